"""Measured points around hands."""

import numpy as np
import pytest

from hand_pose_ros.annotation.label_masks import ImagePlace
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.review.cloud import measured_points


@pytest.fixture
def place():
    """A camera 10 cm to the left of the labels' frame."""
    T_cam_world = np.eye(4)
    T_cam_world[0, 3] = 0.1
    camera = Camera(
        width=160, height=120, distortion=np.zeros(5),
        intrinsics=np.array([[120.0, 0, 80], [0, 120.0, 60], [0, 0, 1]]),
    )  # fmt: skip
    return ImagePlace(
        camera='depth', intrinsics=camera, stamp=0, header_stamp=0, T_cam_world=T_cam_world
    )


def test_points_of_a_wall_near_a_joint_are_on_the_wall(place):
    wall = np.full((120, 160), 0.5, np.float32)
    joint = np.array([[0.0, 0.0, 0.48]])
    points = measured_points(wall, place, joint)
    assert len(points) > 100
    np.testing.assert_allclose(points[:, 2], 0.5, atol=1e-6)
    away = np.linalg.norm(points - joint, axis=1)
    assert 0.05 < away.max() < 0.06
    assert abs(points[:, :2].mean(axis=0)).max() < 0.003


def test_nothing_is_near(place):
    wall = np.full((120, 160), 0.5, np.float32)
    for joint in ([0.0, 0.0, 1.0], [0.0, 0.0, -1.0], [5.0, 5.0, 0.5], [-5.0, -5.0, 0.5]):
        assert measured_points(wall, place, np.array([joint])).shape == (0, 3)
    assert measured_points(wall, place, np.zeros((0, 3))).shape == (0, 3)
    unknown = np.full((120, 160), np.nan, np.float32)
    assert measured_points(unknown, place, np.array([[0.0, 0.0, 0.5]])).shape == (0, 3)
