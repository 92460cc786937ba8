"""TopicCount: what became of the messages of a topic that is recorded."""

from dataclasses import dataclass

from hand_pose_ros.bags.reader import header_stamp
from hand_pose_ros.sessions.checks.stream_times import LossCounter


@dataclass
class TopicCount:
    """What became of the messages of a topic.

    Attributes:
        messages: received.
        size: of them, bytes.
        losses: missing between stamps, against the rig's period, before they reached us; None
            for topics without a period.
        first, last: times of reception, nanoseconds.
    """

    messages: int = 0
    size: int = 0
    first: int = 0
    last: int = 0
    losses: LossCounter | None = None

    @property
    def rate(self) -> float:
        """Messages per second between the first and the last; 0 with fewer than two."""
        span = self.last - self.first
        return (self.messages - 1) * 1e9 / span if span > 0 else 0.0

    def add(self, data: bytes, received: int) -> None:
        """Count one message in."""
        self.first = self.first if self.messages else received
        self.messages, self.size, self.last = self.messages + 1, self.size + len(data), received
        if self.losses is not None:
            self.losses.add(header_stamp(data))

    @property
    def lost(self) -> int:
        """Messages that did not reach us."""
        return self.losses.lost if self.losses is not None else 0
