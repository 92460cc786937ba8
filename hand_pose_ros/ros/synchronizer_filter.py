"""The synchroniser as a message filter that any node can use."""

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from message_filters import ApproximateTimeSynchronizer, SimpleFilter
from rclpy.clock import Clock, ClockType
from rclpy.node import Node

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.synchronizer import (
    SynchronizedSet,
    Synchronizer,
    SynchronizerConfig,
    SynchronizerCounters,
)
from hand_pose_ros.ros.stamps import nanoseconds

_POLLS_PER_TIMEOUT = 8
_SHORTEST_POLL = 0.005


class SynchronizerFilter(SimpleFilter):
    """Calls back with one message of every stream, in the order of ``config.streams``.

    The place of a stream that is missing from a set holds None. Callbacks run outside the lock, one
    at a time and in order, in the thread of the message or the timer that settled the set.
    """

    def __init__(
        self, node: Node, filters: Mapping[str, SimpleFilter], config: SynchronizerConfig
    ) -> None:
        """Listen to the filters.

        Args:
            node: spins the timer behind the time-out.
            filters: input by stream name; messages need a header.
            config: how the streams are put together.

        Raises:
            RigError: streams and filters do not match.
        """
        super().__init__()
        if set(filters) != set(config.streams):
            raise RigError(
                f'filters are given for {sorted(filters)} but the synchronizer has the streams '
                f'{sorted(config.streams)}: give one filter for each'
            )
        self._streams = config.streams
        self._synchronizer = Synchronizer(config)
        self._lock = threading.Lock()
        self._ready: deque[SynchronizedSet] = deque()
        self._emitting = threading.Lock()
        for name, source in filters.items():
            source.registerCallback(self._add, name)
        # Real time also under simulated time: only differences count.
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._node = node
        period = max(config.timeout * 1e-9 / _POLLS_PER_TIMEOUT, _SHORTEST_POLL)
        self._timer = node.create_timer(period, self.poll, clock=self._clock)

    @property
    def counters(self) -> SynchronizerCounters:
        """Totals since the start."""
        with self._lock:
            return self._synchronizer.counters

    def poll(self) -> None:
        """Emit the sets that have waited long enough; called by the timer."""
        with self._lock:
            self._ready.extend(self._synchronizer.poll(self._clock.now().nanoseconds))
        self._emit()

    def reset(self) -> None:
        """Forget all messages, as after a jump of time."""
        with self._lock:
            self._synchronizer.reset()
            self._ready.clear()

    def stop(self) -> None:
        """Stop the timer."""
        self._node.destroy_timer(self._timer)

    def _add(self, message: Any, stream: str) -> None:
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            self._ready.extend(self._synchronizer.add(stream, stamp, message))
        self._emit()

    def _emit(self) -> None:
        # One thread emits for all; what arrives after its last look is found by the outer check.
        while self._ready and self._emitting.acquire(blocking=False):
            try:
                while self._ready:
                    items = self._ready.popleft().items
                    self.signalMessage(*(items.get(name) for name in self._streams))
            finally:
                self._emitting.release()


def synchronize(
    node: Node, filters: Mapping[str, SimpleFilter], config: SynchronizerConfig
) -> SimpleFilter:
    """Return the filter that ``config.policy`` asks for, connected to its inputs.

    Both call back with one message per stream in the order of ``config.streams``; with
    ``approximate_time`` (message_filters' own class) none is ever missing.

    Raises:
        RigError: ``approximate_time`` cannot do what the configuration asks for.
    """
    if config.policy == 'adaptive':
        return SynchronizerFilter(node, filters, config)
    if any(config.offsets.values()):
        raise RigError(
            'policy approximate_time knows no time offsets: use policy adaptive, or remove '
            'time_offset from the cameras'
        )
    inputs = [filters[name] for name in config.streams]
    return ApproximateTimeSynchronizer(inputs, config.queue_size, config.max_spread * 1e-9)
