"""Sets of messages whose stamps differ by less than a limit."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from rclpy.clock import ROSClock
from rclpy.duration import Duration
from rclpy.logging import get_logger

from message_filters.filters import SimpleFilter
from message_filters.synchronizer import Queue, TimeSynchronizer, nanoseconds


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Calls back with one message of every input whose stamps lie within ``slop`` seconds.

    A new message is combined with the messages of the other inputs nearest to it; the first
    combination whose spread is below ``slop`` is emitted at once and leaves the queues.

    Takes the arguments of both Jazzy, ``(fs, queue_size, slop, allow_headerless)``, and Kilted,
    ``(fs, queue_size, slop, queue_offset, allow_headerless, sync_arrival_time)``: a boolean in
    fourth place is ``allow_headerless``.

    Args:
        fs: the input filters; callbacks get their messages in this order.
        queue_size: messages kept per input; the oldest goes first.
        slop: limit of the spread, seconds.
        queue_offset: offsets between the inputs are not supported: only a boolean is accepted.
        allow_headerless: stamp messages without a header on arrival instead of dropping them.
        sync_arrival_time: stamp all messages on arrival.
    """

    def __init__(
        self,
        fs: Iterable[SimpleFilter],
        queue_size: int,
        slop: float,
        queue_offset: bool | Sequence[int] = False,
        allow_headerless: bool = False,
        sync_arrival_time: bool = False,
    ) -> None:
        if not isinstance(queue_offset, bool):
            raise ValueError(
                f'queue_offset={list(queue_offset)} is not supported here; shift the stamps of the'
                ' messages instead, or use the message_filters of a ROS installation.'
            )
        self.slop = Duration(seconds=slop)
        self.allow_headerless = allow_headerless or queue_offset
        self.sync_arrival_time = sync_arrival_time
        super().__init__(fs, queue_size)

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Take a message of one input and call back with the set it completes, if any."""
        stamp = self._stamp(msg)
        if stamp is None:
            return
        if my_queue_index is None:
            my_queue_index = next(i for i, queue in enumerate(self.queues) if queue is my_queue)
        with self.lock:
            self._store(msg, stamp, my_queue)
            chosen = self._match(stamp, my_queue_index)
            if chosen is not None:
                messages = zip(self.queues, chosen, strict=True)
                self._ready.append(tuple(queue.pop(key) for queue, key in messages))
        self._emit()

    def _stamp(self, msg: Any) -> int | None:
        has_stamp = hasattr(msg, 'header') and hasattr(msg.header, 'stamp')
        if has_stamp and not self.sync_arrival_time:
            return nanoseconds(msg.header.stamp)
        if has_stamp or self.allow_headerless:
            return ROSClock().now().nanoseconds
        get_logger('message_filters').warning(
            f'dropped a {type(msg).__name__} without header; allow_headerless=True would stamp it'
            ' on arrival.',
            throttle_duration_sec=5.0,
        )
        return None

    def _match(self, stamp: int, index: int) -> tuple[int, ...] | None:
        """Return one stamp per queue, that of queue ``index`` being the new one."""
        slop = self.slop.nanoseconds
        candidates = []
        for position, queue in enumerate(self.queues):
            near = [s for s in queue if abs(s - stamp) <= slop]
            if position == index:
                near = [stamp] if stamp in queue else []
            if not near:
                return None
            candidates.append(sorted(near, key=lambda s: abs(s - stamp)))
        sets = itertools.product(*candidates)
        return next((chosen for chosen in sets if max(chosen) - min(chosen) < slop), None)
