"""Records the topics of a running rig to a bag, as the bytes they arrive in."""

import importlib
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.queued_writer import QueuedWriter
from hand_pose_ros.bags.writer import BagWriter, Repeat
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.ros.diagnostics import Diagnostics
from hand_pose_ros.ros.environment import prepare
from hand_pose_ros.ros.recorder_health import RecorderHealth
from hand_pose_ros.ros.topic_count import TopicCount
from hand_pose_ros.sessions.checks.stream_times import LossCounter
from hand_pose_ros.sessions.hand_messages import RESULTS_TOPIC
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic, info_topic
from hand_pose_ros.sessions.truth import truth_topic

RESULTS = (RESULTS_TOPIC, '/hand_pose/topology')
# Messages that wait while the executor is busy, by size.
_IMAGE_DEPTH = 30
_DEPTH = 200
_LOOK_PERIOD = 0.5
_TELL_PERIOD = 0.5
_STEP = 0.1
# Seconds that subscribers have to take the last diagnostics.
_ARRIVAL = 1.0


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which topics to record beside the cameras, the transforms and a simulation's truth.

    Attributes:
        results: the hands.
        topics: names of more.
        all: everything that is published.
    """

    results: bool = False
    topics: tuple[str, ...] = ()
    all: bool = False


@dataclass(kw_only=True)
class SessionRecording:
    """Records a running rig until time is up or ``stop`` is called.

    Attributes:
        rig: of which the cameras are recorded.
        writer: the open bag; closing it is the caller's.
        selection: what else.
        duration: seconds from the first image; 0 = until stopped.
        counts: by topic, while recording and afterwards.
        dropped: by topic: what the disk was too slow for.
    """

    rig: RigDescription
    writer: BagWriter
    selection: Selection = field(default_factory=Selection)
    duration: float = 0.0
    counts: dict[str, TopicCount] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End the recording; may be called from a signal handler."""
        self._stopped.set()

    def run(self, progress: Callable[[float], None] = lambda _: None) -> None:
        """Record; tells the seconds since the first image, twice a second.

        Raises:
            HandPoseError: if no image came at all, though the disk took some.
        """
        prepare()
        # Ctrl-C is the caller's: it ends the recording, not the middleware under it.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        queued = QueuedWriter(self.writer)
        self.dropped = queued.dropped
        executor = SingleThreadedExecutor()
        try:
            node = SessionRecorder(self, queued)
            executor.add_node(node)
            try:
                self._spin(executor, node, progress)
                if self.writer.ending is not None:
                    node.tell_end()
            finally:
                node.destroy_node()
        except ExternalShutdownException:
            pass
        finally:
            executor.shutdown()
            rclpy.try_shutdown()
            queued.close()
        came = any(self.counts[image_topic(name)].messages for name in self.rig.cameras)
        if not came and self.writer.ending is None:
            names = ', '.join(image_topic(name) for name in self.rig.cameras)
            raise HandPoseError(
                f'no image came on {names}: start the cameras (hand-pose up {self.rig.name}) with '
                'the same ROS_DOMAIN_ID, or record without ROS with --direct.'
            )

    def _spin(
        self,
        executor: SingleThreadedExecutor,
        node: 'SessionRecorder',
        progress: Callable[[float], None],
    ) -> None:
        told = looked = 0.0
        while not self._stopped.is_set() and self.writer.ending is None:
            executor.spin_once(timeout_sec=_STEP)
            now = time.monotonic()
            if now - looked >= _LOOK_PERIOD:
                node.look()
                looked = now
            passed = 0.0 if node.started is None else now - node.started
            if self.duration and passed >= self.duration:
                return
            if now - told >= _TELL_PERIOD:
                progress(passed)
                told = now


class SessionRecorder(Node):
    """Subscribes to topics and queues every message, undecoded, with its time of reception.

    Attributes:
        started: steady time of the first image in seconds, None before.
    """

    def __init__(self, recording: SessionRecording, queued: QueuedWriter) -> None:
        """Announce the rig and subscribe to what is known beforehand."""
        super().__init__('hand_pose_recorder')
        self.started: float | None = None
        self._recording, self._queued = recording, queued
        self._dropped = 0
        rig, writer = recording.rig, recording.writer
        writer.add_topic(RIG_TOPIC, messages.STRING, repeat='all')
        # Written before the first message of others: a bag without any stays empty.
        self._rig: bytes | None = messages.serialised(messages.text(rig_text(rig)))
        for name, camera in rig.cameras.items():
            self._record(image_topic(name), messages.IMAGE, period=1e9 / camera.rate)
            self._record(info_topic(name), messages.CAMERA_INFO)
        self._record('/tf', messages.TRANSFORMS)
        self._record('/tf_static', messages.TRANSFORMS)
        self._wanted: set[str] = set(recording.selection.topics)
        if any(camera.driver == 'simulated' for camera in rig.cameras.values()):
            self._wanted.add(truth_topic(rig))
        if recording.selection.results:
            self._wanted.update(RESULTS)
        health = RecorderHealth(queued, recording.counts)
        self._diagnostics = Diagnostics(self, rig.name, health.statuses)

    def tell_end(self) -> None:
        """Publish the last diagnostics, and wait a moment until they have arrived."""
        self._diagnostics.publish(arrive=_ARRIVAL)

    def look(self) -> None:
        """Subscribe to wanted topics that have come up, and tell what the disk lost."""
        for topic, kinds in self.get_topic_names_and_types():
            wanted = self._recording.selection.all or topic in self._wanted
            if wanted and topic not in self._recording.counts and topic != RIG_TOPIC:
                self._record(topic, kinds[0])
        dropped = sum(self._queued.dropped.values())
        if dropped > self._dropped:
            self.get_logger().warning(
                f'the disk is too slow: {dropped} messages dropped so far',
                throttle_duration_sec=5.0,
            )
            self._dropped = dropped

    def _record(self, topic: str, type_name: str, period: float = 0.0) -> None:
        count = TopicCount(losses=LossCounter(period=period) if period else None)
        self._recording.counts[topic] = count
        try:
            kind = _message_class(type_name)
        except (ImportError, AttributeError):
            self.get_logger().warning(
                f'{topic} is not recorded: its type {type_name} is not installed'
            )
            return
        latched = self._is_latched(topic)
        self._recording.writer.add_topic(
            topic, type_name, repeat=_repeat(topic, type_name, latched)
        )

        def record(data: bytes) -> None:
            received = time.time_ns()
            if self.started is None and period:
                self.started = time.monotonic()
            count.add(data, received)
            if self._rig is not None:
                self._queued.write(RIG_TOPIC, self._rig, received)
                self._rig = None
            self._queued.write(topic, data, received)

        large = type_name in (messages.IMAGE, 'sensor_msgs/msg/PointCloud2')
        self.create_subscription(kind, topic, record, _qos(large, latched), raw=True)

    def _is_latched(self, topic: str) -> bool:
        if topic == '/tf_static':
            return True
        offers: Iterable[Any] = self.get_publishers_info_by_topic(topic)
        return any(
            offer.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers
        )


def _message_class(type_name: str) -> type:
    package, _, name = type_name.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


def _repeat(topic: str, type_name: str, latched: bool) -> Repeat:
    if latched:
        return 'all'
    return 'last' if type_name == messages.CAMERA_INFO else 'never'


def _qos(large: bool, latched: bool) -> QoSProfile:
    """Best effort, which hears every publisher and slows none, except for latched topics."""
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=_IMAGE_DEPTH if large else _DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
