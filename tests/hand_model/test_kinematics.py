"""Kinematics for fitting: the same hand as the hand model's, with exact derivatives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, stack_states
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.skeleton import SIDES

BOTH = np.array([0, 1])
MODEL = FittingModel(load_hand_model('right'), surface=40)


def random_state(seed: int, count: int = 2) -> HandState:
    generator = np.random.default_rng(seed)
    return HandState(
        rotation=Rotation.random(count, rng=generator).as_matrix(),
        wrist=generator.normal((0, 0, 0.5), 0.1, (count, 3)),
        angles=generator.uniform(MODEL.lower, MODEL.upper, (count, len(MODEL.lower))),
        shape=generator.normal(0, 1, (count, MODEL.shapes)),
    )


@given(st.integers(0, 10_000))
def test_is_the_same_hand_as_the_hand_model(seed):
    state = random_state(seed)
    posed = MODEL.pose(state, BOTH)
    for row, side in enumerate(SIDES):
        betas = np.zeros((1, 10))
        betas[:, : MODEL.shapes] = state.shape[row]
        joints, _ = HandModel(load_hand_model(side)).forward(
            Rotation.from_matrix(state.rotation[row]).as_rotvec()[None],
            MODEL.hand_pose(state.angles, BOTH)[row : row + 1],
            betas,
            MODEL.translation(state, BOTH)[row : row + 1],
        )
        np.testing.assert_allclose(posed.points[row, :, :21].T, joints[0], atol=1e-9)


@given(st.integers(0, 10_000))
def test_derivatives_are_those_of_finite_differences(seed):
    state = random_state(seed)
    jacobian = MODEL.pose(state, BOTH, shape=True).jacobian
    size = jacobian.shape[1]
    assert size == 6 + len(MODEL.degrees) + MODEL.shapes
    for parameter in range(size):
        step = np.zeros((2, size))
        step[:, parameter] = 1e-6
        forward = MODEL.pose(state.moved(step), BOTH).points
        backward = MODEL.pose(state.moved(-step), BOTH).points
        np.testing.assert_allclose(jacobian[:, parameter], (forward - backward) / 2e-6, atol=1e-6)


def test_without_shape_the_derivative_is_the_same_but_shorter():
    state = random_state(1)
    short = MODEL.pose(state, BOTH).jacobian
    full = MODEL.pose(state, BOTH, shape=True).jacobian
    np.testing.assert_array_equal(short, full[:, : short.shape[1]])


def test_a_mirrored_pose_is_the_mirrored_hand():
    state = random_state(3, 1)
    mirror = np.array([-1.0, 1.0, 1.0])
    other = HandState(
        rotation=mirror[:, None] * state.rotation * mirror,
        wrist=state.wrist * mirror,
        angles=state.angles,
        shape=state.shape,
    )
    right = MODEL.pose(state, np.array([1])).points
    left = MODEL.pose(other, np.array([0])).points
    np.testing.assert_allclose(left, right * mirror[:, None], atol=1e-12)


def test_angles_survive_the_way_through_mano_poses():
    state = random_state(5)
    pose = MODEL.hand_pose(state.angles, BOTH)
    np.testing.assert_allclose(MODEL.angles(pose, BOTH), state.angles, atol=1e-6)


def test_landmark_offsets_turn_with_their_bones():
    offsets = np.zeros((21, 3))
    offsets[8] = [0.0, 0.01, 0.0]
    model = FittingModel(load_hand_model('right'), offsets, surface=10)
    state = random_state(7)
    landmarks = model.landmarks(state, BOTH)
    posed = model.pose(state, BOTH)
    joints = posed.points[..., :21].transpose(0, 2, 1)
    away = np.linalg.norm(landmarks - joints, axis=2)
    np.testing.assert_allclose(away[:, 8], 0.01, atol=1e-9)
    np.testing.assert_allclose(np.delete(away, 8, axis=1), 0.0, atol=1e-12)
    np.testing.assert_allclose(landmarks, posed.points[..., 21:42].transpose(0, 2, 1), atol=1e-12)


def test_surface_normals_point_outwards():
    state = HandState(
        rotation=np.eye(3)[None], wrist=np.zeros((1, 3)),
        angles=np.zeros((1, len(MODEL.lower))), shape=np.zeros((1, MODEL.shapes)),
    )  # fmt: skip
    posed = MODEL.pose(state, np.array([1]))
    np.testing.assert_allclose(np.linalg.norm(posed.normals, axis=1), 1.0, atol=1e-9)
    surface, joints = posed.points[0, :, 42:].T, posed.points[0, :, :21].T
    nearest = joints[np.linalg.norm(surface[:, None] - joints, axis=2).argmin(axis=1)]
    outward = ((surface - nearest) * posed.normals[0].T).sum(axis=1)
    assert (outward > 0).mean() > 0.8


def test_states_are_joined_taken_and_chosen():
    first, second = random_state(1), random_state(2)
    joined = stack_states([first, second])
    np.testing.assert_array_equal(joined.take([2, 3]).wrist, second.wrist)
    mixed = first.where(np.array([True, False]), second)
    np.testing.assert_array_equal(mixed.wrist[0], first.wrist[0])
    np.testing.assert_array_equal(mixed.rotation[1], second.rotation[1])
