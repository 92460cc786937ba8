"""The view's node hands messages on, images at a bounded rate, the topology also when late."""

import time

import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2')

from hand_pose_ros.msg import HandPose3DArray, HandTopology
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy, qos_profile_sensor_data
from sensor_msgs.msg import Image

from hand_pose_ros.ros.view_subscriber import ViewSubscriber

pytestmark = pytest.mark.ros
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def test_everything_arrives():
    context = Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    got = {'hands': [], 'images': [], 'topology': []}
    try:
        source = Node('source', context=context)
        topology = source.create_publisher(HandTopology, 'hand_pose/topology', LATCHED)
        topology.publish(HandTopology(vertex_count=7))
        hands = source.create_publisher(HandPose3DArray, 'hand_pose/hands', 10)
        images = source.create_publisher(Image, 'rgb/image_raw', qos_profile_sensor_data)
        view = ViewSubscriber(
            ['rgb'],
            on_hands=lambda message, received: got['hands'].append((message, received)),
            on_image=lambda camera, message: got['images'].append((camera, message)),
            on_topology=got['topology'].append,
            image_rate=2.0,
            context=context,
        )
        executor.add_node(source)
        executor.add_node(view)
        end = time.monotonic() + 15
        while not (images.get_subscription_count() and hands.get_subscription_count()):
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.05)
        for sent in range(1, 11):
            images.publish(Image(height=1, width=1, encoding='mono8', step=1))
            hands.publish(HandPose3DArray())
            while len(got['hands']) < sent:
                assert time.monotonic() < end
                executor.spin_once(timeout_sec=0.05)
        while not (got['topology'] and got['images']):
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.05)
    finally:
        executor.shutdown()
        context.try_shutdown()
    assert [message.vertex_count for message in got['topology']] == [7]
    assert 1 <= len(got['images']) <= 2 and got['images'][0][0] == 'rgb'
    assert abs(got['hands'][0][1] - time.time_ns()) < 30e9
