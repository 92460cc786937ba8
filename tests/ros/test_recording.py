"""What is published is in the bag, unchanged; images only in bursts."""

import time

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.bags.reader import BagReader, header_stamp
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.ros.recording import BagRecorder, RecordedTopic, type_name

pytestmark = pytest.mark.ros
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def image(stamp: int, value: int) -> Image:
    message = Image(height=4, width=6, encoding='mono8', step=6)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    message.data.frombytes(bytes([value]) * 24)
    return message


@pytest.fixture
def session():
    context = Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    yield context, executor
    executor.shutdown()
    context.try_shutdown()


def spin(executor, until, seconds=15.0):
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, 'timed out'
        executor.spin_once(timeout_sec=0.05)


def test_recorded_messages_come_back(session, tmp_path):
    context, executor = session
    node = Node('source', context=context)
    latched = node.create_publisher(String, 'facts', LATCHED)
    latched.publish(String(data='said before anybody listened'))
    images = node.create_publisher(Image, 'cam/image_raw', qos_profile_sensor_data)
    period = 1_000_000_000
    stamps = [10 * period + k * 50_000_000 for k in range(40)]
    with BagWriter(tmp_path / 'bag') as writer:
        recorder = BagRecorder(
            writer,
            [
                RecordedTopic(name='facts', message=String, latched=True),
                RecordedTopic(name='cam/image_raw', message=Image, period=period),
            ],
            context=context,
        )
        executor.add_node(node)
        executor.add_node(recorder)
        spin(executor, lambda: images.get_subscription_count() == 1)
        for index, stamp in enumerate(stamps):
            images.publish(image(stamp, index))
            executor.spin_once(timeout_sec=0.02)
        spin(executor, lambda: writer.counts == {'/facts': 1, '/cam/image_raw': 4})
    with BagReader(tmp_path / 'bag') as bag:
        (fact,) = bag.messages('/facts')
        assert bag.decode(fact).data == 'said before anybody listened'
        recorded = list(bag.messages('/cam/image_raw'))
        assert [header_stamp(entry.data) for entry in recorded] == [
            stamp for stamp in stamps if stamp % period < 100_000_000
        ]
        assert (image_array(bag.decode(recorded[1])) == 1).all()


def test_type_names_are_those_of_bags():
    assert type_name(Image) == 'sensor_msgs/msg/Image'
