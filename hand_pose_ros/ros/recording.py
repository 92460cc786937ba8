"""A node that records topics to a bag as the bytes they arrive in."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from hand_pose_ros.bags.reader import header_stamp
from hand_pose_ros.bags.writer import BagWriter


@dataclass(frozen=True, kw_only=True)
class RecordedTopic:
    """One topic to record.

    Attributes:
        name: topic, relative names are in the node's namespace.
        message: message class.
        latched: whether the last message was published before the recorder came.
        reliable: ask for lost messages again; only when the publisher offers it.
        depth: messages kept while the recorder is busy.
        period: 0 = all; else only stamps in the first ``burst`` nanoseconds of every period,
            so that the same moments are kept of all streams.
        burst: see ``period``.
    """

    name: str
    message: type
    latched: bool = False
    reliable: bool = False
    depth: int = 50
    period: int = 0
    burst: int = 100_000_000

    @property
    def qos(self) -> QoSProfile:
        """The subscription's quality of service."""
        reliable = self.reliable or self.latched
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST,
            depth=self.depth,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
            durability=(
                DurabilityPolicy.TRANSIENT_LOCAL if self.latched else DurabilityPolicy.VOLATILE
            ),
        )


def type_name(message: type) -> str:
    """The name of a message class as bags know it: ``package/msg/Type``."""
    return f'{message.__module__.split(".")[0]}/msg/{message.__name__}'


class BagRecorder(Node):
    """Subscribes to topics and writes every message, undecoded, with its time of reception."""

    def __init__(self, writer: BagWriter, topics: Iterable[RecordedTopic], **options: Any) -> None:
        """Announce the topics in the bag and subscribe to them.

        Args:
            writer: the open bag; closing it is the caller's.
            topics: what to record.
            **options: for the node (``namespace``, ``context``, ...).
        """
        super().__init__('hand_pose_recorder', **options)
        self._writer = writer
        for topic in topics:
            self._add(topic)

    def _add(self, topic: RecordedTopic) -> None:
        name = self.resolve_topic_name(topic.name)
        self._writer.add_topic(name, type_name(topic.message))

        def record(data: bytes) -> None:
            received = time.time_ns()
            if topic.period and header_stamp(data) % topic.period >= topic.burst:
                return
            self._writer.write(name, data, received)

        self.create_subscription(topic.message, topic.name, record, topic.qos, raw=True)
