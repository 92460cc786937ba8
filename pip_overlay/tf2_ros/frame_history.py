"""What is known of one frame over time: its parent and its transform into the parent."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from tf2_ros.exceptions import ExtrapolationException
from tf2_ros.rigid_transform import RigidTransform, interpolate


class Sample(NamedTuple):
    """A frame's parent and its transform into it."""

    parent: str
    transform: RigidTransform


def seconds(stamp: int) -> str:
    """Return nanoseconds as a text in seconds."""
    return f'{stamp / 1e9:.6f}'


class FrameHistory:
    """The samples of one moving frame in the order of their stamps, back to a limit of age.

    Args:
        cache_time: age relative to the newest sample beyond which samples are forgotten, ns.
    """

    def __init__(self, cache_time: int) -> None:
        self.cache_time = cache_time
        self.stamps: list[int] = []
        self.samples: list[Sample] = []

    def insert(self, stamp: int, sample: Sample) -> bool:
        """Add a sample in its place; return False for one that is too old or already there."""
        if self.stamps and stamp < self.stamps[-1] - self.cache_time:
            return False
        index = bisect_left(self.stamps, stamp)
        if index < len(self.stamps) and self.stamps[index] == stamp:
            return False
        self.stamps.insert(index, stamp)
        self.samples.insert(index, sample)
        expired = bisect_left(self.stamps, self.stamps[-1] - self.cache_time)
        del self.stamps[:expired], self.samples[:expired]
        return True

    def latest(self) -> int | None:
        """Return the newest stamp."""
        return self.stamps[-1]

    def at(self, stamp: int) -> Sample:
        """Return the sample at a time, interpolated; 0 is the newest.

        Raises:
            ExtrapolationException: if the time is before the first or after the last sample.
        """
        if stamp == 0:
            return self.samples[-1]
        index = bisect_right(self.stamps, stamp)
        if index > 0 and self.stamps[index - 1] == stamp:
            return self.samples[index - 1]
        if 0 < index < len(self.stamps):
            return self._between(index - 1, stamp)
        if len(self.stamps) == 1:
            only = seconds(self.stamps[0])
            known = f'at time {seconds(stamp)}, but only time {only} is in the buffer'
        elif index == 0:
            known = _beyond('past', stamp, 'earliest', self.stamps[0])
        else:
            known = _beyond('future', stamp, 'latest', self.stamps[-1])
        raise ExtrapolationException(f'Lookup would require extrapolation {known}')

    def _between(self, index: int, stamp: int) -> Sample:
        before, after = self.samples[index], self.samples[index + 1]
        if before.parent != after.parent:
            return before
        start, end = self.stamps[index], self.stamps[index + 1]
        ratio = (stamp - start) / (end - start)
        return Sample(before.parent, interpolate(before.transform, after.transform, ratio))


def _beyond(direction: str, stamp: int, end: str, known: int) -> str:
    return (
        f'into the {direction}.  Requested time {seconds(stamp)} but the {end} data is at time'
        f' {seconds(known)}'
    )


class StaticFrame:
    """A frame that never moves in its parent: one sample for all times."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample

    def latest(self) -> int | None:
        """Return None: no stamp limits a frame that does not move."""
        return None

    def at(self, stamp: int) -> Sample:
        """Return the sample."""
        del stamp
        return self.sample
