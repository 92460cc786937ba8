"""Telemetry of FLIR Lepton cameras: the rows below the images of PureThermal boards."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows of telemetry by width of the image: four packets of 80 words, or three.
TELEMETRY_ROWS = {160: 2, 80: 3}

# Places of words in the first packet (Lepton engineering data sheet, telemetry row A).
_UPTIME, _STATUS, _COUNTER = 1, 3, 20
_DESIRED, _STATE_SHIFT, _STATE_MASK, _OVERHEATED = 1 << 3, 4, 3, 1 << 20
_STATES = ('never', 'imminent', 'active', 'complete')


@dataclass(frozen=True, kw_only=True)
class LeptonTelemetry:
    """What a Lepton says of one image.

    Attributes:
        uptime: time since power-on at which the image was taken, nanoseconds.
        frame_counter: number of the image since power-on, modulo 2^32.
        flat_field_state: of the flat-field correction: ``never``, ``imminent``, ``active`` (the
            shutter is closed, the image stands still) or ``complete``.
        flat_field_desired: whether the camera asks for a correction.
        overheated: whether the camera will switch itself off within ten seconds.
    """

    uptime: int
    frame_counter: int
    flat_field_state: str
    flat_field_desired: bool
    overheated: bool


def split_telemetry(
    image: NDArray[np.uint16], rows: int
) -> tuple[NDArray[np.uint16], LeptonTelemetry]:
    """Return the image (H - rows, W) without its last rows, and what those say."""
    words = image[-rows:].ravel()
    status = _long(words, _STATUS)
    telemetry = LeptonTelemetry(
        uptime=_long(words, _UPTIME) * 1_000_000,
        frame_counter=_long(words, _COUNTER),
        flat_field_state=_STATES[status >> _STATE_SHIFT & _STATE_MASK],
        flat_field_desired=bool(status & _DESIRED),
        overheated=bool(status & _OVERHEATED),
    )
    return image[:-rows], telemetry


class FrameCounter:
    """Counts lost images from a counter that may go on by more than one an image.

    Export-limited cameras repeat each image three times inside, and some firmware counts those.
    """

    def __init__(self) -> None:
        """Start without knowledge of the step."""
        self._last: int | None = None
        self._step: int | None = None

    def lost(self, counter: int) -> int:
        """Return how many images are missing before the one with this counter."""
        last, self._last = self._last, counter
        step = 0 if last is None else (counter - last) % 2**32
        # A counter that runs back belongs to a camera that was switched on again.
        if not 0 < step < 2**31:
            return 0
        self._step = step if self._step is None else min(self._step, step)
        return round(step / self._step) - 1


def _long(words: NDArray[Any], place: int) -> int:
    return int(words[place]) | int(words[place + 1]) << 16
