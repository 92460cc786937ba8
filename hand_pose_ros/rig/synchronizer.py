"""Adaptive approximate-time synchronisation of image streams on integer stamps.

Sets are built around the messages of one stream, the pivot: the reference, or while that is silent
the next stream that is not. For each pivot message the set of least spread that contains it is
settled as soon as no message still to come can make it tighter, which the learned rates of the
streams prove early. The outcome depends on the stamps, not on the order of arrival.

Source: the idea of a pivot and of proof by rate bounds is that of the approximate-time policy of
ROS message_filters; the search, the time-out and the handling of gaps and jumps are new.
"""

from bisect import bisect
from typing import Any

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.set_search import NONE, Neighbours, tightest, tightest_to_come
from hand_pose_ros.rig.stream_queue import NEVER, StreamQueue
from hand_pose_ros.rig.synchronizer_types import (
    POLICIES,
    Policy,
    StreamCounters,
    SynchronizedSet,
    SynchronizerConfig,
    SynchronizerCounters,
)

__all__ = [
    'POLICIES',
    'Policy',
    'StreamCounters',
    'SynchronizedSet',
    'Synchronizer',
    'SynchronizerConfig',
    'SynchronizerCounters',
]

# A stamp this far from all others is a jump of time or a fault, never a late message.
_JUMP = 1_000_000_000

# Messages in a row that must agree on a new time before it is believed: far ones of one stream,
# and late ones per configured stream.
_FAR_WITNESSES = 3
_LATE_WITNESSES = 4

_EVER = 1 << 62


class Synchronizer:
    """Puts messages of several streams together by their stamps.

    Pure and deterministic: no clock, no threads, no callbacks. ``add`` and ``poll`` return the
    sets that became certain, oldest first; in every stream and in time they only go forward, and
    no message is in two sets.
    """

    _clock: int
    _polled_clock: int
    _polled_at: int
    _last_stamp: int
    _deadline: int

    def __init__(self, config: SynchronizerConfig) -> None:
        """Make an empty synchroniser."""
        self.config = config
        self._limit = config.max_spread
        self._timeout = config.timeout
        self._queue_size = config.queue_size
        self._queues = {
            name: StreamQueue(name, config.offsets.get(name, 0)) for name in config.streams
        }
        self._order: list[StreamQueue] = [self._queues[config.reference]]
        self._order += [queue for name, queue in self._queues.items() if name != config.reference]
        self._required = frozenset(config.required)
        self._sets = self._partial_sets = self._resets = 0
        self._spread_sum = self._spread_max = self._wait_sum = self._wait_max = 0
        self._clear()

    def add(self, stream: str, stamp: int, item: Any) -> list[SynchronizedSet]:
        """Take one message and return the sets it settled (often none).

        Args:
            stream: name of the stream.
            stamp: acquisition stamp in nanoseconds, the stream's offset still in it.
            item: what the set will hold.

        Raises:
            RigError: when the stream is not configured.
        """
        try:
            queue = self._queues[stream]
        except KeyError:
            known = ', '.join(self._queues)
            raise RigError(f'synchronizer has no stream {stream!r}, use one of {known}') from None
        queue.received += 1
        stamp -= queue.offset
        ahead = stamp - self._clock
        if stamp <= queue.newest or not -_JUMP <= ahead <= _JUMP:
            return self._take_irregular(queue, stamp, item)
        queue.push(stamp, item)
        if ahead > 0:
            self._clock = stamp
        if self._rejected:
            self._rejected.clear()
        if len(queue.stamps) > self._queue_size:
            queue.pop(1)
        awaited = self._awaited
        if queue is not awaited and awaited is not None and self._clock <= self._deadline:
            return []
        return self._settle(self._clock)

    def poll(self, now: int) -> list[SynchronizedSet]:
        """Let time pass without messages and return the sets that waited long enough.

        Args:
            now: any clock in nanoseconds that runs at the speed of the stamps; only differences
                between calls count, so it need not agree with the stamps.
        """
        if self._clock != self._polled_clock or now < self._polled_at:
            self._polled_clock, self._polled_at = self._clock, now
        if self._clock == NEVER:
            return []
        return self._settle(self._clock + now - self._polled_at)

    def flush(self) -> list[SynchronizedSet]:
        """Return the sets that can still be made, as at the end of a recording."""
        return [] if self._clock == NEVER else self._settle(_EVER)

    def reset(self) -> None:
        """Forget all messages, as after a jump of time; the counters go on."""
        self._resets += 1
        self._clear()

    @property
    def counters(self) -> SynchronizerCounters:
        """Totals since the synchroniser was made."""
        sets = max(self._sets, 1)
        return SynchronizerCounters(
            streams={name: queue.counters() for name, queue in self._queues.items()},
            sets=self._sets,
            partial_sets=self._partial_sets,
            spread_mean=self._spread_sum / sets,
            spread_max=self._spread_max,
            wait_mean=self._wait_sum / sets,
            wait_max=self._wait_max,
            resets=self._resets,
        )

    def _clear(self) -> None:
        for queue in self._order:
            queue.clear()
        self._clock = NEVER
        self._polled_clock = NEVER
        self._polled_at = 0
        self._last_stamp = NEVER
        # Messages that fit no more, or not yet, since the last one that did.
        self._rejected: list[tuple[StreamQueue, int, Any]] = []
        self._set_pivot(self._order[0])
        # What can settle something next: a message of this stream (None: any) or this time.
        self._awaited: StreamQueue | None = None
        self._deadline = NEVER

    def _take_irregular(self, queue: StreamQueue, stamp: int, item: Any) -> list[SynchronizedSet]:
        """Take a message that is older than the last of its stream or far from all others."""
        if self._clock == NEVER:
            return self._take_first(queue, stamp, item)
        far = abs(stamp - self._clock) > _JUMP
        if not far and queue.insert(stamp, item):
            self._rejected.clear()
            return self._settle(self._clock)
        queue.late += 1
        if self._rejected and abs(stamp - self._rejected[-1][1]) > _JUMP:
            self._rejected.clear()
        self._rejected.append((queue, stamp, item))
        if not self._time_has_jumped(far):
            return []
        witnesses = self._rejected
        sets = self.flush()
        self.reset()
        for witness, witness_stamp, witness_item in witnesses:
            witness.late -= 1
            witness.received -= 1
            sets += self.add(witness.name, witness_stamp + witness.offset, witness_item)
        return sets

    def _take_first(self, queue: StreamQueue, stamp: int, item: Any) -> list[SynchronizedSet]:
        """Take the message that starts time."""
        self._clock = stamp
        for other in self._order:
            other.heard = stamp
        queue.push(stamp, item)
        return self._settle(stamp)

    def _time_has_jumped(self, far: bool) -> bool:
        streams = {queue.name for queue, _, _ in self._rejected}
        if far:
            wanted = min(2, len(self._order))
            return len(streams) >= 2 or len(self._rejected) >= max(wanted, _FAR_WITNESSES)
        return len(self._rejected) >= _LATE_WITNESSES * len(self._order)

    def _set_pivot(self, pivot: StreamQueue) -> None:
        self._pivot = pivot
        self._others = [queue for queue in self._order if queue is not pivot]

    def _choose_pivot(self, clock: int) -> StreamQueue:
        alive = clock - self._timeout
        for queue in self._order:
            if queue.stamps or queue.heard >= alive:
                if queue is not self._pivot:
                    self._set_pivot(queue)
                return queue
        return self._pivot

    def _settle(self, clock: int) -> list[SynchronizedSet]:
        """Return every set that is certain at ``clock``, and note what the next one waits for."""
        sets: list[SynchronizedSet] = []
        first = self._order[0]
        while True:
            pivot = self._pivot
            if pivot is not first or not pivot.stamps:
                pivot = self._choose_pivot(clock)
            if not pivot.stamps:
                awaited: StreamQueue | None = pivot
                self._deadline = pivot.heard + self._timeout
                break
            if pivot.stamps[0] <= self._last_stamp:
                pivot.pop(1)
                continue
            awaited = self._match(pivot, clock, sets)
            if awaited is not None:
                self._deadline = min(pivot.stamps[0], awaited.heard) + self._timeout
                break
        # While another stream stands in for the reference, its return must be noticed at once.
        self._awaited = awaited if pivot is first else None
        return sets

    def _match(
        self, pivot: StreamQueue, clock: int, sets: list[SynchronizedSet]
    ) -> StreamQueue | None:
        """Settle the oldest pivot message, or return the stream that it has to wait for.

        In one piece because it runs for every other message: calls would cost a quarter more.
        """
        stamp = pivot.stamps[0]
        alive = clock - self._timeout
        limit = self._limit
        period = pivot.period
        half = period >> 1
        streams: list[Neighbours] = []
        start = end = 0
        still_to_come = False
        needed: StreamQueue | None = None
        closest_alternative = NONE
        for queue in self._others:
            stamps = queue.stamps
            before = after = expected = absent = NONE
            if stamps:
                if needed is not None:
                    continue
                oldest = stamps[0]
                if oldest > stamp:
                    after = oldest - stamp
                else:
                    if len(stamps) > 1:
                        if stamps[1] <= stamp:
                            queue.pop(bisect(stamps, stamp) - 1)
                            oldest = stamps[0]
                        if len(stamps) > 1:
                            after = stamps[1] - stamp
                    before = stamp - oldest
            if after == NONE and stamp >= alive and queue.heard >= alive:
                shortest = queue.shortest
                # One eighth below the learned bound, which is itself an estimate.
                expected = queue.newest + shortest - (shortest >> 3) - stamp
                if expected < 0:
                    expected = 0
                if before == NONE and expected <= limit and expected <= half:
                    # Of several that must come, the last one to come settles the matter.
                    if needed is None or queue.newest > needed.newest:
                        needed = queue
                    continue
                next_one = expected
                still_to_come = True
            else:
                next_one = after
            # Without a message close before the pivot, the one after it may be the next pivot's.
            if half < next_one <= limit and before > half:
                absent = abs(period - next_one)
                # This one yields only to a clearly better fit.
                absent += absent >> 1
            streams.append((before, after, expected, absent))
            if before > limit and next_one > limit:
                continue
            if before <= after:
                if before > start:
                    start = before
                other = next_one
            else:
                if after > end:
                    end = after
                other = before
            if absent < other:
                other = absent
            if other < closest_alternative:
                closest_alternative = other
        if needed is not None:
            return needed
        # A set with an alternative in it is at least as wide as that is far.
        if start + end > limit or start + end > closest_alternative:
            choice = tightest(streams, limit)
            if still_to_come:
                best = tightest_to_come(streams, limit)
                if best[:2] < choice[:2]:
                    return self._worth_waiting_for(streams, best[2])
            start, end = choice[2], limit - choice[2]
        self._emit(pivot, streams, start, end, clock, sets)
        return None

    def _worth_waiting_for(self, streams: list[Neighbours], start: int) -> StreamQueue:
        """Return a stream whose next message the best window, beginning at ``start``, needs."""
        for queue, (before, after, expected, absent) in zip(self._others, streams, strict=True):
            if before > start and absent > start and expected < after:
                return queue
        return self._pivot

    def _emit(
        self,
        pivot: StreamQueue,
        streams: list[Neighbours],
        start: int,
        end: int,
        clock: int,
        sets: list[SynchronizedSet],
    ) -> None:
        """Make the set of the oldest pivot message and what lies in its window."""
        if self._required and not self._holds_required(pivot, streams, start, end):
            pivot.pop(1)
            return
        stamp = pivot.used = pivot.stamps.pop(0)
        pivot.matched += 1
        stamps = {pivot.name: stamp}
        items = {pivot.name: pivot.items.pop(0)}
        earlier = later = 0
        for queue, (before, after, _, absent) in zip(self._others, streams, strict=True):
            if before <= start and before <= absent:
                if before > earlier:
                    earlier = before
            elif absent > start and after <= end:
                if after > later:
                    later = after
                if before != NONE:
                    queue.pop(1)
            else:
                continue
            name = queue.name
            stamps[name] = queue.used = queue.stamps.pop(0)
            items[name] = queue.items.pop(0)
            queue.matched += 1
        self._last_stamp = stamp
        spread = earlier + later
        wait = (clock if clock != _EVER else self._clock) - stamp - later
        partial = len(stamps) < len(self._order)
        self._sets += 1
        self._partial_sets += partial
        self._spread_sum += spread
        self._wait_sum += wait
        if spread > self._spread_max:
            self._spread_max = spread
        if wait > self._wait_max:
            self._wait_max = wait
        sets.append(SynchronizedSet(stamps, items, spread, wait, partial))

    def _holds_required(
        self, pivot: StreamQueue, streams: list[Neighbours], start: int, end: int
    ) -> bool:
        """Say whether the window holds a message of every required stream."""
        present = {pivot.name}
        for queue, (before, after, _, absent) in zip(self._others, streams, strict=True):
            if (before <= start and before <= absent) or (absent > start and after <= end):
                present.add(queue.name)
        return self._required <= present
