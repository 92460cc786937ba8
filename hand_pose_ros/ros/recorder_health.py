"""What the recorder node knows about its own health, as diagnostics."""

import time
from collections.abc import Iterable, Mapping

from hand_pose_ros.bags.queued_writer import QueuedWriter
from hand_pose_ros.ros.diagnostics import ERROR, OK, WARN, Status
from hand_pose_ros.ros.topic_count import TopicCount

# Of the queue; a disk that keeps up leaves it all but empty.
_FULL_QUEUE = 0.5
# The disk is nearly full when it has room for fewer seconds at the present rate.
_SOON = 60.0


class RecorderHealth:
    """Tells of one recording what was received, what the disk was too slow for, and its room."""

    def __init__(self, queued: QueuedWriter, counts: Mapping[str, TopicCount]) -> None:
        """Start with nothing recorded.

        Args:
            queued: the way to the bag.
            counts: what was received, by topic; may grow.
        """
        self._queued = queued
        self._counts = counts
        self._asked = time.monotonic()
        self._last: dict[str, tuple[int, int]] = {}
        self._dropped = 0

    def statuses(self) -> Iterable[Status]:
        """Return the only entry, of the time since it was last asked for."""
        rates, bytes_per_second = self._rates()
        dropped = sum(self._queued.dropped.values())
        newly, self._dropped = dropped - self._dropped, dropped
        try:
            free = self._queued.writer.free_space
            unknown = ''
        except OSError as error:
            free, unknown = 0, f'{self._queued.writer.folder} is gone ({error.strerror})'
        level, message = self._verdict(newly, dropped, free, bytes_per_second)
        if unknown:
            level, message = ERROR, unknown
        values: dict[str, object] = {
            'bag': self._queued.writer.folder,
            'received (MB/s)': bytes_per_second / 1e6,
            'waiting for the disk (MB)': self._queued.waiting / 1e6,
            'dropped': dropped,
            'free space (MB)': free / 1e6,
        }
        values |= {f'{topic} rate (Hz)': rate for topic, rate in rates.items()}
        values |= {f'{topic} dropped': count for topic, count in self._queued.dropped.items()}
        values |= {
            f'{topic} lost by the source': count.lost
            for topic, count in self._counts.items()
            if count.lost
        }
        yield Status(name='recording', level=level, message=message, values=values)

    def _verdict(self, newly: int, dropped: int, free: int, rate: float) -> tuple[int, str]:
        queued = self._queued
        if queued.writer.ending is not None:
            return ERROR, f'{queued.writer.ending.reason}: nothing is recorded any more'
        if newly:
            return WARN, f'the disk is too slow: {newly} messages dropped, {dropped} in all'
        if queued.waiting > _FULL_QUEUE * queued.capacity:
            part = queued.waiting / queued.capacity
            return WARN, f'the disk is too slow: what waits for it fills {part:.0%} of the queue'
        room = free - queued.writer.reserve
        if rate and room < _SOON * rate:
            return WARN, f'the disk is full in {max(room, 0) / rate:.0f} s'
        if dropped:
            # The bag has holes, whatever the disk does now.
            return WARN, f'the disk was too slow: {dropped} messages dropped so far'
        return OK, 'recording'

    def _rates(self) -> tuple[dict[str, float], float]:
        """Return messages a second by topic, and bytes a second, since the last call."""
        now = time.monotonic()
        elapsed, self._asked = max(now - self._asked, 1e-3), now
        totals = {topic: (count.messages, count.size) for topic, count in self._counts.items()}
        rates, size = {}, 0
        for topic, total in totals.items():
            last = self._last.get(topic, (0, 0))
            rates[topic] = (total[0] - last[0]) / elapsed
            size += total[1] - last[1]
        self._last = totals
        return rates, size / elapsed
