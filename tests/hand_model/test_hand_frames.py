"""Frames of wrist and joints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.hand_frames import joint_rotations, quaternions, wrist_rotation
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.skeleton import BONES, SIDES, TIPS
from tests.ros.fakes import make_hand

angles = st.tuples(*3 * [st.floats(-3, 3)])


def posed(side, rotation):
    return make_hand(side).joints @ Rotation.from_rotvec(rotation).as_matrix().T


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(SIDES), angles)
def test_axes_are_rotations_that_turn_with_the_hand(side, rotation):
    turned = joint_rotations(posed(side, rotation), side)
    still = joint_rotations(posed(side, (0, 0, 0)), side)
    np.testing.assert_allclose(turned @ turned.transpose(0, 2, 1), np.tile(np.eye(3), (21, 1, 1)),
                               atol=1e-9)  # fmt: skip
    np.testing.assert_allclose(np.linalg.det(turned), 1, atol=1e-9)
    expected = Rotation.from_rotvec(rotation).as_matrix() @ still
    np.testing.assert_allclose(turned, expected, atol=1e-6)


@pytest.mark.parametrize('side', SIDES)
def test_wrist_axes_of_a_real_hand(side):
    """MANO's flat right hand: fingers along -x, back of the hand +y, thumb side +z."""
    data = load_hand_model(side)
    joints = HandModel(data).rest_joints(np.zeros((1, 10)))[0]
    axes = wrist_rotation(joints, side)
    forward = (-1, 0, 0) if side == 'right' else (1, 0, 0)
    assert axes[:, 0] @ forward > 0.95
    assert axes[:, 2] @ (0, 1, 0) > 0.9
    towards_thumb = 1 if side == 'right' else -1
    assert axes[:, 1] @ (0, 0, towards_thumb) > 0.9


def test_x_of_a_joint_is_its_bone():
    hand = make_hand('right')
    axes = joint_rotations(hand.joints, 'right')
    for parent, joint in BONES:
        if parent == 0:
            continue
        bone = hand.joints[joint] - hand.joints[parent]
        bone /= np.linalg.norm(bone)
        np.testing.assert_allclose(axes[parent][:, 0], bone, atol=1e-9)
        if joint in TIPS:
            np.testing.assert_allclose(axes[joint][:, 0], bone, atol=1e-9)


@pytest.mark.parametrize('joints', [np.zeros((21, 3)), np.full((21, 3), np.nan)])
def test_no_axes_without_a_hand(joints):
    assert wrist_rotation(joints, 'left') is None
    assert joint_rotations(joints, 'left') is None


@settings(deadline=None, max_examples=100)
@given(angles)
def test_quaternions_agree_with_scipy(rotation):
    expected = Rotation.from_rotvec(rotation)
    found = quaternions(expected.as_matrix()[None])[0]
    assert found[3] >= 0
    assert np.isclose(np.linalg.norm(found), 1)
    assert abs(found @ expected.as_quat()) == pytest.approx(1)


def test_quaternions_of_half_turns():
    for axis in np.eye(3):
        matrix = Rotation.from_rotvec(np.pi * axis).as_matrix()
        found = quaternions(matrix[None])[0]
        np.testing.assert_allclose(Rotation.from_quat(found).as_matrix(), matrix, atol=1e-9)
