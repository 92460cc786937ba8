"""Handedness: turns the landmark network's side output into an unbiased physical side.

On an image that is not mirrored the output is the probability of a physical right hand (settled on
real thermal frames of a head camera). In thermal and NIR images back and palm look alike, and the
network leans to one side. A mirrored crop shows the same hand as the other side, so half the sum
of both log-odds is that lean, the same for all hands of a camera, and is taken off.
"""

from collections import deque

import numpy as np

_LOG_ODDS_LIMIT = 6.0
_REMEMBERED = 8


class SideBias:
    """The lean of the side output in one stream's images, as the median of recent measurements."""

    def __init__(self, interval: float) -> None:
        """Ask for a measurement every ``interval`` seconds, and of all crops at first."""
        self._interval = interval
        self._measured: deque[float] = deque(maxlen=_REMEMBERED)
        self._stamp: int | None = None

    def wanted(self, stamp: int, crops: int) -> int:
        """Return how many of an image's crops should also be looked at mirrored now."""
        if self._stamp is None or len(self._measured) < _REMEMBERED // 2:
            return crops
        return int(stamp - self._stamp >= self._interval * 1e9)

    def add(self, probability: float, mirrored: float, stamp: int) -> None:
        """Take in the outputs for one crop and for the same crop mirrored."""
        self._measured.append((_log_odds(probability) + _log_odds(mirrored)) / 2)
        self._stamp = stamp

    def right_probability(self, probability: float) -> float:
        """Return the probability of a physical right hand for one output."""
        lean = float(np.median(self._measured)) if self._measured else 0.0
        return _probability(_log_odds(probability) - lean)


def without_lean(probability: float, mirrored: float) -> float:
    """Return the probability of a physical right hand from a crop and its mirror image."""
    return _probability((_log_odds(probability) - _log_odds(mirrored)) / 2)


def _probability(log_odds: float) -> float:
    return float(1.0 / (1.0 + np.exp(-log_odds)))


def _log_odds(probability: float) -> float:
    limit = _probability(-_LOG_ODDS_LIMIT)
    bounded = min(max(probability, limit), 1.0 - limit)
    return float(np.log(bounded / (1.0 - bounded)))
