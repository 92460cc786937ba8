"""A running rig's topics end up in a bag that a session opens; what cannot be is a sentence."""

import threading
import time
from functools import partial

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from hand_pose_ros.bags.queued_writer import QueuedWriter
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.ros import qos, record_session
from hand_pose_ros.ros.camera_info import camera_info
from hand_pose_ros.ros.record_session import Selection, SessionRecording
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.sessions.checks.bag_check import check_bag
from hand_pose_ros.sessions.session import Session

pytestmark = pytest.mark.ros
CAMERA = Camera(
    width=8, height=6, intrinsics=np.array([[9.0, 0, 4], [0, 9.0, 3], [0, 0, 1]]),
    distortion=np.zeros(5),
)  # fmt: skip
RIG = RigDescription(
    name='tiny',
    cameras={'thermal': CameraDescription(name='thermal', modality='thermal', camera=CAMERA)},
)
PERIOD = 33_333_333
IMAGES = '/thermal/image_raw'
FACTS = Selection(topics=('/facts',))
START = 1_700_000_000_000_000_000


class Rig(threading.Thread):
    """Publishes numbered images (every seventh is lost) once somebody listens."""

    def __init__(self, context):
        super().__init__(daemon=True)
        self.node = Node('rig', context=context)
        self.images = self.node.create_publisher(Image, '/thermal/image_raw', qos.DRIVER)
        self.infos = self.node.create_publisher(CameraInfo, '/thermal/camera_info', qos.DRIVER)
        self.facts = self.node.create_publisher(String, '/facts', qos.LATCHED)
        self.facts.publish(String(data='said before anybody listened'))
        self.ended = threading.Event()
        self.published = 0

    def run(self):
        while not self.ended.wait(0.01):
            listening = self.facts.get_subscription_count() and self.infos.get_subscription_count()
            if self.images.get_subscription_count() and listening:
                self.publish(START + self.published * PERIOD)

    def publish(self, stamp):
        self.published += 1
        if self.published % 7 == 0:
            return
        message = Image(height=6, width=8, encoding='mono16', step=16)
        message.header = header(stamp, 'thermal_optical_frame')
        message.data.frombytes(np.full(48, self.published, np.uint16).tobytes())
        self.images.publish(message)
        self.infos.publish(camera_info(CAMERA, (8, 6), stamp, 'thermal_optical_frame'))


@pytest.fixture
def running():
    context = Context()
    rclpy.init(context=context)
    rig = Rig(context)
    rig.start()
    yield rig
    rig.ended.set()
    rig.join()
    rig.node.destroy_node()
    context.try_shutdown()


def test_a_running_rig_is_recorded(running, tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        recording = SessionRecording(rig=RIG, writer=writer, selection=Selection(all=True))
        end = time.monotonic() + 40

        def enough(_):
            if running.published >= 30 or time.monotonic() > end:
                recording.stop()

        recording.run(enough)
    thermal = recording.counts['/thermal/image_raw']
    assert thermal.messages >= 20
    # Between the first and the last image recorded, the numbers that are sevens are missing.
    assert thermal.lost == pytest.approx(thermal.messages / 6, abs=1.5)
    with BagReader(tmp_path / 'bag') as bag:
        (fact,) = bag.messages('/facts')
        assert bag.decode(fact).data == 'said before anybody listened'
        assert next(bag.messages()).topic == '/rig_description'
    with Session.open(tmp_path / 'bag') as session:
        assert session.rig.name == 'tiny'
        assert session.frame(3).streams['thermal'].image.shape == (6, 8)
    assert check_bag(tmp_path / 'bag').streams['thermal'].times.lost == thermal.lost


def test_silence_is_a_sentence(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        recording = SessionRecording(rig=RIG, writer=writer)
        with pytest.raises(HandPoseError, match='no image came on /thermal/image_raw'):
            recording.run(lambda _: recording.stop())
        assert writer.discard_if_empty()
    assert not (tmp_path / 'bag').exists()


@pytest.fixture
def heard(running):
    """Diagnostics of the recorder, and what has to be called to receive them."""
    node = Node('listener', context=running.node.context)
    executor = SingleThreadedExecutor(context=running.node.context)
    executor.add_node(node)
    statuses = []

    def hear(message):
        statuses.extend(one for one in message.status if one.name.startswith('hand_pose_recorder'))

    node.create_subscription(DiagnosticArray, '/diagnostics', hear, 10)
    yield statuses, lambda: executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    node.destroy_node()


def test_a_slow_disk_is_on_diagnostics_with_what_was_dropped(running, heard, tmp_path, monkeypatch):
    statuses, hear = heard
    monkeypatch.setattr(record_session, 'QueuedWriter', partial(QueuedWriter, capacity=5000))
    end = time.monotonic() + 40
    with BagWriter(tmp_path / 'bag') as writer:
        recording = SessionRecording(rig=RIG, writer=writer, selection=FACTS)
        write, go = writer.write, threading.Event()
        monkeypatch.setattr(writer, 'write', lambda *message: go.wait(40) and write(*message))

        def enough(_):
            hear()
            told = [one for one in statuses if 'messages dropped' in one.message]
            if told or time.monotonic() > end:
                go.set()
                recording.stop()

        recording.run(enough)
    told = next(one for one in statuses if 'messages dropped' in one.message)
    assert told.level == DiagnosticStatus.WARN
    assert told.message.startswith('the disk is too slow: ')
    assert told.hardware_id == 'tiny'
    values = {entry.key: entry.value for entry in told.values}
    assert 0 < int(values['dropped']) <= sum(recording.dropped.values())
    assert int(values['/thermal/image_raw dropped']) > 0
    assert float(values['/thermal/image_raw rate (Hz)']) > 0
    assert float(values['free space (MB)']) > 0
    assert float(values['received (MB/s)']) > 0


def test_a_full_disk_is_an_error_on_diagnostics(running, heard, tmp_path):
    statuses, hear = heard
    end = time.monotonic() + 40
    with BagWriter(tmp_path / 'bag') as writer:
        recording = SessionRecording(rig=RIG, writer=writer, selection=FACTS)

        def fill(_):
            # What is published before anybody listens is not heard.
            hear()
            if (statuses and recording.counts[IMAGES].messages) or time.monotonic() > end:
                writer.reserve = 2**62

        recording.run(fill)
    assert writer.ending is not None
    while statuses[-1].level != DiagnosticStatus.ERROR and time.monotonic() < end:
        hear()
    assert statuses[-1].level == DiagnosticStatus.ERROR
    assert 'the disk is full' in statuses[-1].message
    assert 'nothing is recorded any more' in statuses[-1].message


def test_a_disk_that_is_full_at_once_is_not_taken_for_silence(tmp_path):
    with BagWriter(tmp_path / 'bag', reserve=2**62) as writer:
        SessionRecording(rig=RIG, writer=writer).run()
        assert 'the disk is full' in writer.ending.reason
        assert writer.discard_if_empty()
