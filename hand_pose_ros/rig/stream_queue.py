"""The waiting messages of one stream, and what has been learned about its rate."""

from bisect import bisect
from typing import Any

from hand_pose_ros.rig.synchronizer_types import StreamCounters

NEVER = -(1 << 62)


class StreamQueue:
    """Messages of one stream in the order of their stamps.

    Attributes:
        name: stream name.
        offset: constant lateness of its stamps in nanoseconds.
        stamps, items: waiting messages, oldest first, offset removed.
        newest: latest stamp taken, or NEVER.
        heard: when the stream last gave a sign of life; the start of time before its first.
        used: stamp of the last message that went into a set.
        period: typical time between messages in nanoseconds, 0 while unknown.
        shortest: learned lower bound of that time, 0 while unknown.
    """

    __slots__ = (
        'heard',
        'items',
        'late',
        'matched',
        'name',
        'newest',
        'offset',
        'period',
        'received',
        'shortest',
        'stamps',
        'used',
    )

    def __init__(self, name: str, offset: int) -> None:
        """Make an empty queue."""
        self.name = name
        self.offset = offset
        self.stamps: list[int] = []
        self.items: list[Any] = []
        self.received = self.matched = self.late = 0
        self.period = self.shortest = 0
        self.newest = self.heard = self.used = NEVER

    def push(self, stamp: int, item: Any) -> None:
        """Append a message newer than all before and learn from its distance to the last."""
        interval = stamp - self.newest
        self.stamps.append(stamp)
        self.items.append(item)
        period = self.period
        if period:
            # A gap counts as at most one and a half periods: drops must not slow the estimate.
            if interval > period + (period >> 1):
                interval = period + (period >> 1)
            self.period = period + ((interval - period) >> 4) or 1
            # A minimum that forgets: falls at once, rises slowly.
            shortest = self.shortest
            self.shortest = (
                interval if interval < shortest else shortest + ((interval - shortest) >> 6)
            )
        elif self.newest != NEVER:
            self.period = interval
            self.shortest = interval >> 1
        self.newest = self.heard = stamp

    def insert(self, stamp: int, item: Any) -> bool:
        """Insert a message that arrived after a newer one; False when it is a double or too old."""
        place = bisect(self.stamps, stamp)
        if stamp <= self.used or (place and self.stamps[place - 1] == stamp):
            return False
        self.stamps.insert(place, stamp)
        self.items.insert(place, item)
        return True

    def pop(self, count: int) -> None:
        """Drop the oldest messages."""
        del self.stamps[:count]
        del self.items[:count]

    def clear(self) -> None:
        """Forget the messages; the learned rate and the counters stay."""
        self.stamps.clear()
        self.items.clear()
        self.newest = self.heard = self.used = NEVER

    def counters(self) -> StreamCounters:
        """Return what became of the messages so far."""
        return StreamCounters(
            received=self.received,
            matched=self.matched,
            dropped=self.received - self.matched - len(self.stamps),
            late=self.late,
        )
