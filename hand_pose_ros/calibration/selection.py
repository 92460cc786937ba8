"""Which images are looked at: moments spread over the recording, still ones and moving ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.recording import Stream

# Every third moment is one of motion, which tells the time offsets; the others are still ones.
_MOVING = 3
_MOVING_RANK = 0.7  # not the fastest part, where images are blurred
_STEP = 0.01  # seconds between the times compared
_NEIGHBOURS = 1  # images on either side of the nearest one
_FARTHEST = 60_000_000  # ns an image may be from its moment, whose motion is a parabola


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """What to look at.

    Attributes:
        stamps: of the moments, nanoseconds on the reference camera's clock.
        still: (M,) whether the target is expected to rest.
        images: by camera, stamp as recorded -> number of the moment.
    """

    stamps: list[int]
    still: list[bool]
    images: dict[str, dict[int, int]]


def plan(streams: dict[str, Stream], offsets: dict[str, float], count: int) -> Plan:
    """Choose moments.

    Args:
        streams: cameras.
        offsets: seconds by which each camera's stamps are late.
        count: number of moments, evenly spread.
    """
    late = {name: int(1e9 * offset) for name, offset in offsets.items()}
    begin = max(int(s.stamps[1]) - late[n] for n, s in streams.items())
    end = min(int(s.stamps[-2]) - late[n] for n, s in streams.items())
    times = begin + np.arange(0, max(end - begin, 1), int(1e9 * _STEP), dtype=np.int64)
    motion = np.zeros(len(times))
    for name, stream in streams.items():
        seconds = (times + late[name]) * 1e-9
        values = np.interp(seconds, stream.middles, stream.motion[1:])
        motion += values / (np.median(values) + 1e-9)
    stamps, still = [], []
    slots = [slot for slot in np.array_split(np.arange(len(times)), count) if len(slot)]
    for number, slot in enumerate(slots):
        order = slot[np.argsort(motion[slot], kind='stable')]
        moving = number % _MOVING == _MOVING - 1
        stamps.append(int(times[order[int(_MOVING_RANK * (len(order) - 1)) if moving else 0]]))
        still.append(not moving)
    images = {n: _nearest(s.stamps, np.array(stamps) + late[n]) for n, s in streams.items()}
    return Plan(stamps=stamps, still=still, images=images)


def _nearest(stamps: NDArray[np.int64], moments: NDArray[np.int64]) -> dict[int, int]:
    """Return the images around each moment; an image belongs to one moment only."""
    chosen: dict[int, int] = {}
    for number, moment in enumerate(moments):
        place = int(np.argmin(np.abs(stamps - moment)))
        low, high = max(0, place - _NEIGHBOURS), place + _NEIGHBOURS + 1
        for stamp in stamps[low:high]:
            if abs(int(stamp) - int(moment)) <= _FARTHEST:
                chosen.setdefault(int(stamp), number)
    return chosen
