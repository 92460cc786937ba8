"""What the ROS tests share: nodes, spinning with a time limit, and a rig that plays images."""

import gc
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy')

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter

from hand_pose_ros.ros.environment import prepare
from tests.ros.fakes import SIZE, make_rig

TIMEOUT = 20.0


def pytest_collection_modifyitems(items):
    for item in items:
        if 'tests/ros/' in item.path.as_posix():
            item.add_marker(pytest.mark.ros)


class Spinner:
    """Nodes of one test and the executor that spins them."""

    def __init__(self):
        self.executor = SingleThreadedExecutor()
        self.nodes = []

    def add(self, node):
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def node(self, name='test', **options):
        return self.add(rclpy.create_node(name, **options))

    def listen(self, message, topic, qos=10):
        """Subscribe in a node of its own; returns the list that messages are appended to."""
        received = []
        node = self.node(f'listener_{len(self.nodes)}')
        node.create_subscription(message, topic, received.append, qos)
        return received

    def until(self, condition, timeout=TIMEOUT):
        """Spin until a condition holds; fails the test when it does not in time."""
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, 'condition not met in time'
            self.executor.spin_once(timeout_sec=0.05)

    def for_seconds(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def close(self):
        for node in self.nodes:
            node.destroy_node()
        self.executor.shutdown()


@pytest.fixture(autouse=True)
def participants_end_with_their_test():
    """Collect what a test leaves in reference cycles before the next one starts.

    A participant that is destroyed while another of the same process discovers it can hang in
    Fast DDS for ever.
    """
    yield
    gc.collect()


@pytest.fixture
def ros():
    """A ROS context for one test, with something to spin nodes."""
    prepare()
    rclpy.init()
    spinner = Spinner()
    yield spinner
    spinner.close()
    rclpy.try_shutdown()


@pytest.fixture
def recorded_rig(tmp_path):
    """A rig whose cameras play small recorded images in a loop, forever in step."""
    rig = make_rig('thermal', 'rgb')
    cameras = {}
    for name, camera in rig.cameras.items():
        folder = tmp_path / name
        folder.mkdir()
        for index in range(6):
            image = np.full((SIZE[1], SIZE[0]), 30_000 + index, np.uint16)
            if name == 'rgb':
                image = np.full((SIZE[1], SIZE[0], 3), 40 * index, np.uint8)
            cv2.imwrite(str(folder / f'{index:04d}.png'), image)
        options = {'path': str(folder), 'pace': 'rate', 'loop': True, 'live': True,
                   'preload': True}  # fmt: skip
        cameras[name] = replace(camera, driver='image_folder', driver_options=options)
    return replace(rig, cameras=cameras)


@pytest.fixture
def parameters():
    """Turns keyword arguments into parameter overrides of a node."""

    def overrides(**values):
        return [Parameter(name, value=value) for name, value in values.items()]

    return overrides
