"""Runs a rig's graph for a while and records it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage

from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.msg import HandPose3DArray, HandTopology
from hand_pose_ros.rig.description import RigDescription
from hand_pose_ros.ros import bringup
from hand_pose_ros.ros.recording import BagRecorder, RecordedTopic
from hand_pose_ros.sessions.hand_messages import RESULTS_TOPIC
from hand_pose_ros.sessions.recorded_rig import image_topic, info_topic
from hand_pose_ros.sessions.truth import truth_topic

# Images are recorded for a tenth of a second in every so many nanoseconds.
_IMAGE_PERIOD = 2_000_000_000
# Compiling the simulation and loading networks for the first time takes this long at most.
_START_TIMEOUT = 90.0
_STEP = 0.25


class SessionError(HandPoseError):
    """A graph that does not deliver."""


def recorded_topics(rig: RigDescription) -> list[RecordedTopic]:
    """What the demo records of a rig: all but most of the images."""
    topics = [
        RecordedTopic(name=RESULTS_TOPIC, message=HandPose3DArray, reliable=True),
        RecordedTopic(name=truth_topic(rig), message=HandPose3DArray, reliable=True),
        RecordedTopic(name='/hand_pose/topology', message=HandTopology, latched=True),
        RecordedTopic(name='/tf', message=TFMessage, reliable=True),
        RecordedTopic(name='/tf_static', message=TFMessage, latched=True),
        RecordedTopic(name='/diagnostics', message=DiagnosticArray),
    ]
    for name in rig.cameras:
        topics.append(RecordedTopic(name=info_topic(name), message=CameraInfo))
        topics.append(
            RecordedTopic(name=image_topic(name), message=Image, period=_IMAGE_PERIOD, depth=5)
        )
    return topics


def record_session(
    rig: RigDescription,
    folder: Path,
    seconds: float,
    *,
    processes: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, int]:
    """Bring a rig up, wait for its first result, record for some time, bring it down.

    Args:
        rig: the rig.
        folder: the bag to make.
        seconds: length of the recording, counted from the first result.
        processes: one process for each node instead of one for all.
        progress: told the seconds recorded so far, first 0 at the first result.

    Returns:
        Messages recorded by topic.

    Raises:
        SessionError: if no result comes.
        KeyboardInterrupt: if the program is interrupted; the bag is complete up to then.
    """
    options = bringup.BringupOptions(processes=processes)
    writer = BagWriter(folder, ros_distro=os.environ.get('ROS_DISTRO', ''))
    try:
        with writer, bringup.running(rig, options) as graph:
            graph.add(BagRecorder(writer, recorded_topics(rig)))
            _wait_for_results(graph, writer)
            start = time.monotonic()
            while (elapsed := time.monotonic() - start) < seconds:
                progress(elapsed)
                graph.spin(min(_STEP, seconds - elapsed))
    except ExternalShutdownException:
        raise KeyboardInterrupt from None
    return writer.counts


def _wait_for_results(graph: bringup.Graph, writer: BagWriter) -> None:
    end = time.monotonic() + _START_TIMEOUT
    while not writer.counts[RESULTS_TOPIC]:
        if time.monotonic() > end:
            raise SessionError(
                f'nothing came on {RESULTS_TOPIC} in {_START_TIMEOUT:.0f} s: see the messages of '
                'the nodes above.'
            )
        graph.spin(_STEP)
