"""Rigid transforms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry import transforms

coordinates = st.floats(-10, 10)
vectors = hnp.arrays(np.float64, 3, elements=coordinates)


@st.composite
def rigid_transforms(draw):
    """Any rotation with any translation within 10 m."""
    rotation = Rotation.from_rotvec(draw(vectors) / 3)
    return transforms.rigid(rotation.as_matrix(), draw(vectors))


@given(rigid_transforms(), hnp.arrays(np.float64, (5, 3), elements=coordinates))
def test_inverse_takes_points_back(transform, points):
    there = transforms.apply(transform, points)
    np.testing.assert_allclose(
        transforms.apply(transforms.inverse(transform), there), points, atol=1e-9
    )


@given(rigid_transforms(), rigid_transforms(), vectors)
def test_product_applies_right_to_left(T_a_b, T_b_c, point):
    one_by_one = transforms.apply(T_a_b, transforms.apply(T_b_c, point))
    np.testing.assert_allclose(transforms.apply(T_a_b @ T_b_c, point), one_by_one, atol=1e-9)


@given(rigid_transforms())
def test_quaternion_round_trip(transform):
    back = transforms.from_quaternion(transforms.to_quaternion(transform), transform[:3, 3])
    np.testing.assert_allclose(back, transform, atol=1e-9)


def test_quaternion_is_x_y_z_w():
    half = np.sqrt(0.5)
    quarter_turn_about_z = transforms.from_quaternion([0, 0, half, half], np.zeros(3))
    np.testing.assert_allclose(
        transforms.apply(quarter_turn_about_z, [1, 0, 0]), [0, 1, 0], atol=1e-12
    )


@given(rigid_transforms())
def test_rigid_transforms_are_recognised(transform):
    assert transforms.is_rigid(transform)


@pytest.mark.parametrize(
    'matrix',
    [
        np.diag([1.0, 1.0, -1.0, 1.0]),
        np.diag([2.0, 2.0, 2.0, 1.0]),
        np.zeros((4, 4)),
        np.vstack([np.eye(4)[:3], [0, 0, 1, 1]]),
    ],
    ids=['mirror', 'scale', 'zero', 'perspective'],
)
def test_other_matrices_are_not_rigid(matrix):
    assert not transforms.is_rigid(matrix)


def test_apply_keeps_leading_axes():
    points = np.zeros((2, 7, 3))
    moved = transforms.apply(transforms.rigid(np.eye(3), np.array([1.0, 2.0, 3.0])), points)
    assert moved.shape == points.shape
    np.testing.assert_array_equal(moved[1, 4], [1, 2, 3])
