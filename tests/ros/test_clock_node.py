"""Recorded time on /clock, and graphs that live in it."""

import time
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from hand_pose_ros.msg import HandPose3DArray
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from hand_pose_ros.bags import messages
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators import registry as estimators
from hand_pose_ros.ros.bringup import BringupOptions, running
from hand_pose_ros.ros.camera_stream import ReplayClock
from hand_pose_ros.ros.clock_node import ClockNode
from hand_pose_ros.ros.stamps import nanoseconds
from tests.cameras.bags import write_bag
from tests.ros.fakes import SIZE, FakeEstimator, make_rig

SECOND = 1_000_000_000
# A day of 2023: nothing of today fits in.
START = 1_700_000_000 * SECOND


def spin_until(graph, condition, timeout=30):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, 'condition not met in time'
        graph.spin(0.05)


def listen(graph, message, topic, qos=10):
    received = []
    node = rclpy.create_node(f'listener_{len(graph.nodes)}')
    node.create_subscription(message, topic, received.append, qos)
    graph.add(node)
    return received


@pytest.fixture
def bag_rig(tmp_path):
    """A rig that plays a bag of five seconds in a loop, without intrinsics of its own."""
    rig = make_rig('thermal', 'rgb')
    content = []
    for name, camera in rig.cameras.items():
        info = messages.camera_info(camera.camera, SIZE, START, 'camera')
        content.append((f'/{name}/camera_info', info, START))
    for number in range(150):
        stamp = START + number * SECOND // 30
        grey = np.full((SIZE[1], SIZE[0]), 30_000 + number, np.uint16)
        colour = np.full((SIZE[1], SIZE[0], 3), number, np.uint8)
        for name, pixels, encoding in (('thermal', grey, 'mono16'), ('rgb', colour, 'rgb8')):
            image = messages.image(pixels, encoding, stamp, 'camera')
            content.append((f'/{name}/image_raw', image, stamp))
    path = write_bag(tmp_path / 'bag', 'mcap', content)
    options = {'path': str(path), 'loop': True}
    cameras = {
        name: replace(camera, camera=None, driver='bag', driver_options=options)
        for name, camera in rig.cameras.items()
    }
    return replace(rig, cameras=cameras)


@pytest.mark.parametrize('processes', [False, True], ids=['one process', 'processes'])
def test_a_graph_lives_in_recorded_time(bag_rig, processes, monkeypatch):
    monkeypatch.setitem(estimators.ESTIMATORS, 'landmarks', lambda config, rig: FakeEstimator())
    options = BringupOptions(processes=processes, clock=True, inference=not processes)
    with running(bag_rig, options) as graph:
        clocks = listen(graph, Clock, '/clock')
        images = listen(graph, Image, 'thermal/image_raw', qos_profile_sensor_data)
        infos = listen(graph, CameraInfo, 'rgb/camera_info')
        hands = listen(graph, HandPose3DArray, 'hand_pose/hands')
        spin_until(graph, lambda: len(images) >= 5 and len(infos) >= 5 and len(clocks) >= 5)
        if not processes:
            spin_until(graph, lambda: any(list(m.streams) == ['thermal', 'rgb'] for m in hands))
            assert graph.nodes['inference'].get_clock().ros_time_is_active
        times = [nanoseconds(m.clock) for m in clocks]
        stamps = [nanoseconds(m.header.stamp) for m in images]
    assert times == sorted(times)
    assert START - 5 * SECOND < times[0] < START + 60 * SECOND
    # Stamps are those of the bag to the nanosecond, and the clock runs with them.
    places = {START + number * SECOND // 30 for number in range(150)}
    assert set(stamps) <= places
    assert abs(times[-1] - stamps[-1]) < SECOND
    assert infos[0].k[0] > 0
    assert {nanoseconds(m.header.stamp) for m in hands} <= places


def test_without_a_recording_there_is_no_recorded_time(recorded_rig):
    with (
        pytest.raises(HandPoseError, match='no camera plays a recording'),
        running(recorded_rig, BringupOptions(clock=True)),
    ):
        pass


def test_nothing_is_published_before_the_recording_has_a_time(ros):
    replay = ReplayClock()
    ros.add(ClockNode(replay))
    clocks = ros.listen(Clock, '/clock')
    ros.for_seconds(0.2)
    assert clocks == []
    replay.shift(START)
    ros.until(lambda: len(clocks) > 3)
    times = [nanoseconds(m.clock) for m in clocks]
    assert times == sorted(times)
    assert abs(times[-1] - START) < 5 * SECOND
