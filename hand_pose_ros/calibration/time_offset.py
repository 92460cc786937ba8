"""Time offsets of streams from how much their images move: a first estimate, to about a frame."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.recording import Stream

Array = NDArray[np.float64]

_STEP = 0.005  # seconds
LARGEST = 0.5  # seconds that streams may be apart
_CLEAR = 0.3  # correlation from which an estimate is believed


def motion_offset(stream: Stream, reference: Stream) -> tuple[float, float]:
    """Return how much later a stream's stamps are, seconds, and the correlation (0..1).

    The changes of both images are correlated over lags up to half a second; 0 where no lag stands
    out. The joint adjustment refines it with the target itself.
    """
    begin = max(stream.middles[0], reference.middles[0]) + LARGEST
    end = min(stream.middles[-1], reference.middles[-1]) - LARGEST
    if end - begin < 4 * LARGEST:
        return 0.0, 0.0
    times = np.arange(begin, end, _STEP)
    fixed = _standard(np.interp(times, reference.middles, reference.motion[1:]))
    lags = np.arange(-LARGEST, LARGEST + _STEP / 2, _STEP)
    scores = np.array(
        [
            np.mean(fixed * _standard(np.interp(times + lag, stream.middles, stream.motion[1:])))
            for lag in lags
        ]
    )
    best = int(np.argmax(scores))
    if scores[best] < _CLEAR or best in (0, len(lags) - 1):
        return 0.0, float(scores[best])
    left, middle, right = scores[best - 1 : best + 2]
    curve = left - 2 * middle + right
    shift = 0.5 * (left - right) / curve if curve < 0 else 0.0
    return float(lags[best] + shift * _STEP), float(middle)


def _standard(values: Array) -> Array:
    """Return values without offset and scale; the logarithm keeps single jerks from ruling."""
    logarithms = np.log(values + 1e-3)
    return (logarithms - logarithms.mean()) / (logarithms.std() + 1e-9)
