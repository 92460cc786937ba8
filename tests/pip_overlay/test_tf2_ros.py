"""tf2_ros broadcasters and listener through a real middleware, and the tf2_msgs type."""

import json
import time
from pathlib import Path

import pytest

rclpy = pytest.importorskip('rclpy')
from ament_index_python.packages import get_package_prefix
from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.time import Time
from tf2_ros import (
    Buffer,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformListener,
)

TYPE_HASH = 'RIHS01_e369d0f05a23ae52508854b66f6aa0437f3449d652e8cbf22d5abe85d020f087'


def stamped(parent, child, x, seconds=1):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp.sec = seconds
    message.transform.translation.x = float(x)
    message.transform.rotation.w = 1.0
    return message


@pytest.fixture
def nodes():
    context = rclpy.Context()
    rclpy.init(context=context)
    sender = rclpy.create_node('tf_sender', context=context)
    receiver = rclpy.create_node('tf_receiver', context=context)
    yield sender, receiver
    context.try_shutdown()


def spin_until(executor, condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.02)
    return condition()


def test_listener_fills_the_buffer_also_with_static_transforms_sent_before_it_existed(nodes):
    sender, receiver = nodes
    static = StaticTransformBroadcaster(sender)
    static.sendTransform(stamped('rig', 'thermal', 1))
    static.sendTransform([stamped('rig', 'rgb', 2), stamped('rig', 'nir', 3)])
    moving = TransformBroadcaster(sender)
    buffer = Buffer(node=receiver)
    listener = TransformListener(buffer, receiver)
    executor = SingleThreadedExecutor(context=receiver.context)
    executor.add_node(receiver)
    for frame, x in (('thermal', 1), ('rgb', 2), ('nir', 3)):
        assert spin_until(executor, lambda f=frame: buffer.can_transform('rig', f, Time()))
        assert buffer.lookup_transform('rig', frame, Time()).transform.translation.x == x
    assert spin_until(executor, lambda: moving.pub_tf.get_subscription_count() == 1)
    moving.sendTransform([stamped('thermal', 'left_hand/wrist', 4, s) for s in (1, 2)])
    assert spin_until(executor, lambda: buffer.can_transform('rig', 'left_hand/wrist', Time()))
    found = buffer.lookup_transform('rig', 'left_hand/wrist', Time())
    assert (found.transform.translation.x, found.header.stamp.sec) == (5.0, 2)
    listener.unregister()
    assert (listener.tf_sub, listener.tf_static_sub) == (None, None)


def test_listener_with_its_own_thread(nodes):
    sender, receiver = nodes
    buffer = Buffer()
    listener = TransformListener(buffer, receiver, spin_thread=True)
    moving = TransformBroadcaster(sender, qos=5)
    deadline = time.monotonic() + 10
    while not buffer.can_transform('a', 'b', Time()) and time.monotonic() < deadline:
        moving.sendTransform(stamped('a', 'b', 1))
        time.sleep(0.02)
    assert buffer.can_transform('a', 'b', Time())
    listener.unregister()


def test_tf_message_has_the_type_hash_of_every_ros_installation():
    prefix = get_package_prefix('tf2_msgs')
    description = Path(prefix) / 'share' / 'tf2_msgs' / 'msg' / 'TFMessage.json'
    hashes = json.loads(description.read_text())['type_hashes']
    assert {'type_name': 'tf2_msgs/msg/TFMessage', 'hash_string': TYPE_HASH} in hashes
