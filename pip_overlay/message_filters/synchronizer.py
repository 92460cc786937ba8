"""Sets of messages with equal stamps."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from message_filters.filters import SimpleFilter

Queue = dict[int, Any]


def nanoseconds(stamp: Any) -> int:
    """Return a ``builtin_interfaces/Time`` or an ``rclpy.time.Time`` as nanoseconds."""
    if hasattr(stamp, 'nanoseconds'):
        return stamp.nanoseconds
    return stamp.sec * 1_000_000_000 + stamp.nanosec


class TimeSynchronizer(SimpleFilter):
    """Calls back with one message of every input filter once their header stamps are equal.

    Args:
        fs: the input filters; callbacks get their messages in this order.
        queue_size: messages kept per input while the others are awaited; the oldest goes first.
    """

    def __init__(self, fs: Iterable[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.lock = threading.Lock()
        self._ready: deque[tuple[Any, ...]] = deque()
        self._emitting = threading.Lock()
        self.queues: list[Queue] = []
        self.input_connections: list[int] = []
        self.connectInput(fs)

    def connectInput(self, fs: Iterable[SimpleFilter]) -> None:
        """Listen to these filters, with empty queues."""
        filters = list(fs)
        self.queues = [{} for _ in filters]
        self.input_connections = [
            source.registerCallback(self.add, queue, index)
            for index, (source, queue) in enumerate(zip(filters, self.queues, strict=True))
        ]

    def add(self, msg: Any, my_queue: Queue, my_queue_index: int | None = None) -> None:
        """Take a message of one input and call back with the sets it completes."""
        with self.lock:
            self._store(msg, nanoseconds(msg.header.stamp), my_queue)
            for stamp in sorted(set.intersection(*(set(queue) for queue in self.queues))):
                self._ready.append(tuple(queue.pop(stamp) for queue in self.queues))
        self._emit()

    def _store(self, msg: Any, stamp: int, queue: Queue) -> None:
        queue[stamp] = msg
        while len(queue) > self.queue_size:
            del queue[min(queue)]

    def _emit(self) -> None:
        # One caller emits for all, so that callbacks never run at the same time or out of order.
        # Sets that arrive after its last look are found by the check behind the release.
        while self._ready and self._emitting.acquire(blocking=False):
            try:
                while self._ready:
                    self.signalMessage(*self._ready.popleft())
            finally:
                self._emitting.release()
