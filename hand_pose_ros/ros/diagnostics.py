"""Diagnostics: once a second, what a node knows about its own health."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node

from hand_pose_ros.ros.qos import RESULT

OK, WARN, ERROR = 0, 1, 2
_LEVELS = (DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
_PERIOD = 1.0
_WINDOW = 128


@dataclass(frozen=True, kw_only=True)
class Status:
    """One entry of a diagnostics message.

    Attributes:
        name: what it is about, without the node's name.
        level: ``OK``, ``WARN`` or ``ERROR``.
        message: one short sentence.
        values: figures by name.
    """

    name: str
    level: int
    message: str
    values: dict[str, Any] = field(default_factory=dict)


class Diagnostics:
    """Publishes what its sources say on /diagnostics once a second of real time.

    The period is real time also under simulated time: a stopped clock is a thing to report.
    """

    def __init__(self, node: Node, hardware: str, source: Callable[[], Iterable[Status]]) -> None:
        """Start publishing.

        Args:
            node: the node it is about.
            hardware: name of the rig.
            source: asked for all entries each time.
        """
        self._node = node
        self._hardware = hardware
        self._source = source
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', RESULT)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = node.create_timer(_PERIOD, self.publish, clock=steady)

    def publish(self, *, arrive: float = 0.0) -> None:
        """Publish all entries now.

        Args:
            arrive: seconds to wait at most until every subscriber has them; needed by a node
                that is about to be destroyed.
        """
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        prefix = self._node.get_fully_qualified_name().lstrip('/')
        for status in self._source():
            values = [KeyValue(key=key, value=_text(v)) for key, v in status.values.items()]
            message.status.append(
                DiagnosticStatus(
                    level=_LEVELS[status.level],
                    name=f'{prefix}: {status.name}',
                    message=status.message,
                    hardware_id=self._hardware,
                    values=values,
                )
            )
        self._publisher.publish(message)
        if arrive:
            self._publisher.wait_for_all_acked(Duration(seconds=arrive))

    def stop(self) -> None:
        """Stop publishing and free the timer and the publisher."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_publisher(self._publisher)


class Window:
    """The last values of a figure; written by one thread, read by another."""

    def __init__(self) -> None:
        """Make an empty window."""
        self._values = np.zeros(_WINDOW)
        self._count = 0

    def add(self, value: float) -> None:
        """Add a value, forgetting the oldest when full."""
        self._values[self._count % _WINDOW] = value
        self._count += 1

    @property
    def values(self) -> np.ndarray:
        """The values held, in no order."""
        return self._values[: min(self._count, _WINDOW)].copy()

    def percentile(self, percent: float) -> float:
        """Return a percentile of the values held, 0 when empty."""
        values = self.values
        return float(np.percentile(values, percent)) if values.size else 0.0


class RateMeter:
    """Counts events and says how many a second there were since it was last asked."""

    def __init__(self) -> None:
        """Start at zero."""
        self.total = 0
        self.newest_stamp = 0
        self._last_total = 0
        self._last_asked = 0

    def count(self, stamp: int) -> None:
        """Count one event that carries a stamp in nanoseconds."""
        self.total += 1
        self.newest_stamp = stamp

    def rate(self, now: int) -> float:
        """Return events per second since the last call; ``now`` is a steady clock in ns."""
        elapsed = (now - self._last_asked) * 1e-9
        rate = (self.total - self._last_total) / elapsed if self._last_asked and elapsed > 0 else 0
        self._last_total, self._last_asked = self.total, now
        return rate

    def age(self, now: int) -> float:
        """Return how old the newest stamp is in seconds at ``now`` of the node's clock."""
        return (now - self.newest_stamp) * 1e-9 if self.newest_stamp else float('inf')


def _text(value: Any) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)
