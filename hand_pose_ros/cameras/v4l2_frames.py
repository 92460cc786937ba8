"""From raw frames of a video device to samples: stamps, telemetry, flat-field correction."""

import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.cameras.clock_mapping import ClockMapping, RisingStamps
from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cameras.lepton import FrameCounter, LeptonTelemetry, split_telemetry
from hand_pose_ros.rig.model import CameraDescription

# A buffer that seems older on arrival has a stamp of some other clock.
_OLDEST_BUFFER = 2_000_000_000
# So many repetitions in a row are neither chance nor one image sent twice.
_FROZEN_REPEATS = 2


def acquisition_time(milliseconds: float, now: int, monotonic: int, period: int) -> int:
    """Return when a buffer was filled, Unix nanoseconds.

    The kernel stamps buffers with its monotonic clock (or Unix time where uvcvideo is told so),
    when the transfer of the image begins. A stamp that can be neither, or none, gives the time of
    arrival less half a period: the middle of the frame, on average.

    Args:
        milliseconds: stamp of the buffer.
        now: Unix time of its arrival, nanoseconds.
        monotonic: the same moment on the monotonic clock.
        period: between images, nanoseconds.
    """
    stamp = round(milliseconds * 1e6)
    for clock in (monotonic, now):
        if stamp > 0 and 0 <= clock - stamp <= _OLDEST_BUFFER:
            return now - (clock - stamp)
    return now - period // 2


class FrameInterpreter:
    """Makes samples of the frames of one device, over all times it is opened."""

    def __init__(self, description: CameraDescription) -> None:
        """Start without knowledge.

        Args:
            description: the camera.
        """
        self._description = description
        self._period = round(1e9 / description.rate)
        self._device_clock = ClockMapping()
        self._counter = FrameCounter()
        self._rising = RisingStamps()
        self._last_image: NDArray[Any] | None = None
        self._repeats = 0

    def sample(
        self, pixels: NDArray[Any], milliseconds: float, *, telemetry_rows: int, missed: int
    ) -> CameraSample:
        """Return the sample of a frame that has just arrived.

        Args:
            pixels: (H, W) counts or (H, W, 3) colour, blue first.
            milliseconds: stamp of its buffer, 0 when there is none.
            telemetry_rows: how many rows below the image are telemetry of a Lepton.
            missed: frames that are known to be missing before it.
        """
        stamp = acquisition_time(milliseconds, time.time_ns(), time.monotonic_ns(), self._period)
        extras: dict[str, Any] = {}
        telemetry = None
        if telemetry_rows:
            pixels, telemetry = split_telemetry(pixels, telemetry_rows)
            # The camera's own clock does not know how long the transfer took.
            stamp = self._device_clock.to_unix(telemetry.uptime, stamp)
            # The counter sees the missing frames too, unless the camera lost its power.
            missed = max(missed, self._counter.lost(telemetry.frame_counter))
            extras['telemetry'] = telemetry
        if self._description.modality == 'thermal':
            extras['flat_field'] = self._in_flat_field(pixels, telemetry)
        if self._description.encoding == 'rgb8':
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        return CameraSample(
            image=pixels,
            encoding=self._description.encoding,
            stamp=self._rising.next(stamp),
            dropped=missed,
            extras=extras,
        )

    def _in_flat_field(self, image: NDArray[Any], telemetry: LeptonTelemetry | None) -> bool:
        """Whether the shutter is closed: said by telemetry, or seen by an image that stands still.

        Noise makes two images of a running thermal camera differ.
        """
        if telemetry is not None:
            return telemetry.flat_field_state == 'active'
        same = self._last_image is not None and np.array_equal(image, self._last_image)
        self._repeats = self._repeats + 1 if same else 0
        self._last_image = image
        return self._repeats >= _FROZEN_REPEATS
