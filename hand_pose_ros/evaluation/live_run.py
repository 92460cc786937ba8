"""A recorded live run read back from its bag: results, ground truth, timing."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.errors import BagError
from hand_pose_ros.evaluation.matching import JointTrack
from hand_pose_ros.evaluation.summary import AccuracySummary, summarise
from hand_pose_ros.sessions.hand_messages import STATES
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES, Side

Array = NDArray[np.float64]

# Share of the joints the camera must see for the truth to count as a visible hand.
_VISIBLE_SHARE = 0.5
_SEEN = (STATES['tracked'], STATES['predicted'])


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedHand:
    """One hand of one message.

    Attributes:
        state: message constant (1 tracked, 2 predicted, 3 lost).
        score: 0..1.
        joints: (21, 3) metres, NaN when absent.
        confidence: (21,) in 0..1; in the truth, whether the reference camera sees the joint.
        covariance: (21, 3, 3) square metres, NaN when absent.
    """

    state: int
    score: float
    joints: Array
    confidence: Array
    covariance: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordedSet:
    """One message of results.

    Attributes:
        stamp: acquisition stamp of the reference image, ns.
        received: when the recorder got the message, ns.
        spread: seconds between the images of the set.
        frame_id: frame of the joints.
        streams: streams present in the set.
        hands: by side.
        stages: seconds by processing stage.
    """

    stamp: int
    received: int
    spread: float
    frame_id: str
    streams: tuple[str, ...]
    hands: dict[Side, RecordedHand]
    stages: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class LiveRun:
    """A run: its results, and the truth at the truth's own stamps."""

    results: list[RecordedSet]
    truth: list[RecordedSet]

    @property
    def stamps(self) -> NDArray[np.int64]:
        """Stamps of the results (N,) in ns."""
        return np.array([entry.stamp for entry in self.results], dtype=np.int64)

    @property
    def latencies(self) -> Array:
        """Seconds from acquisition to reception of each result (N,)."""
        return np.array([(entry.received - entry.stamp) / 1e9 for entry in self.results])

    @property
    def spreads(self) -> Array:
        """Seconds between the images of each set (N,)."""
        return np.array([entry.spread for entry in self.results])

    @property
    def rate(self) -> float:
        """Results per second over the run, from their stamps."""
        if len(self.results) < 2:
            return 0.0
        return float((len(self.results) - 1) / (np.ptp(self.stamps) / 1e9))

    def joints(self, side: Side) -> Array:
        """Estimated joints (N, 21, 3) at the results' stamps, NaN where none was published."""
        return _stack(self.results, side, 'joints', (JOINT_COUNT, 3))

    def covariance(self, side: Side) -> Array:
        """Published covariance (N, 21, 3, 3), NaN where none was published."""
        return _stack(self.results, side, 'covariance', (JOINT_COUNT, 3, 3))

    def true_joints(self, side: Side) -> Array:
        """True joints (N, 21, 3) brought to the results' stamps, NaN where out of view."""
        track = JointTrack.of(
            (entry.stamp, _visible_joints(entry.hands.get(side))) for entry in self.truth
        )
        return track.at(self.stamps)

    def accuracy(self, side: Side) -> AccuracySummary:
        """Compare one side with the truth."""
        return summarise(self.joints(side), self.true_joints(side), self.covariance(side))

    def accuracy_of_both(self) -> AccuracySummary:
        """Compare both sides with the truth, every hand of every frame counting alike."""
        return summarise(
            np.concatenate([self.joints(side) for side in SIDES]),
            np.concatenate([self.true_joints(side) for side in SIDES]),
            np.concatenate([self.covariance(side) for side in SIDES]),
        )


def read_run(folder: Path, results: str, truth: str) -> LiveRun:
    """Read a run from its bag.

    Args:
        folder: the bag.
        results: topic of the results (HandPose3DArray).
        truth: topic of the ground truth (HandPose3DArray) in the same frame.

    Raises:
        BagError: if a topic is not in the bag, or the two are in different frames.
    """
    with BagReader(folder) as bag:
        for topic in (results, truth):
            if not bag.counts.get(topic):
                raise BagError(f'bag {folder} has no messages on {topic}: did the nodes run?')
        sets: dict[str, list[RecordedSet]] = {results: [], truth: []}
        for message in bag.messages(results, truth):
            sets[message.topic].append(recorded_set(bag.decode(message), message.stamp))
    frames = {entry.frame_id for entries in sets.values() for entry in entries}
    if len(frames) > 1:
        raise BagError(f'results and truth are in different frames: {", ".join(sorted(frames))}.')
    return LiveRun(results=sets[results], truth=sets[truth])


def recorded_set(message: Any, received: int) -> RecordedSet:
    """Convert a HandPose3DArray message, from ROS or from a bag."""
    stages = zip(message.stage_names, message.stage_seconds, strict=True)
    return RecordedSet(
        stamp=message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec,
        received=received,
        spread=float(message.synchronization_spread),
        frame_id=message.header.frame_id,
        streams=tuple(message.streams),
        hands={SIDES[hand.side]: recorded_hand(hand) for hand in message.hands},
        stages={name: float(seconds) for name, seconds in stages},
    )


def recorded_hand(message: Any) -> RecordedHand:
    """Convert a HandPose3D message, from ROS or from a bag."""
    joints = np.array([(point.x, point.y, point.z) for point in message.joints])
    covariance = np.array(message.covariance, dtype=np.float64).reshape(JOINT_COUNT, 3, 3)
    if message.state not in _SEEN:
        joints, covariance = np.full_like(joints, np.nan), np.full_like(covariance, np.nan)
    return RecordedHand(
        state=int(message.state),
        score=float(message.score),
        joints=joints,
        confidence=np.array(message.confidence, dtype=np.float64),
        covariance=covariance,
    )


def _visible_joints(hand: RecordedHand | None) -> Array:
    if hand is None or (hand.confidence > 0).mean() < _VISIBLE_SHARE:
        return np.full((JOINT_COUNT, 3), np.nan)
    return hand.joints


def _stack(
    sets: Iterable[RecordedSet], side: Side, attribute: str, shape: tuple[int, ...]
) -> Array:
    missing = np.full(shape, np.nan)
    rows = [
        getattr(entry.hands[side], attribute) if side in entry.hands else missing for entry in sets
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, *shape)
