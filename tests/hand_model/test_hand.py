"""The numpy hand model against smplx, and its symmetries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.hand import HandModel, rotation_matrices
from hand_pose_ros.hand_model.mano import joints_with_tips, mano_layer
from hand_pose_ros.hand_model.model_files import MIRROR_ROTATIONS, load_hand_model, mirrored

MODELS = {side: HandModel(load_hand_model(side)) for side in ('left', 'right')}
seeds = st.integers(0, 2**31)


def random_pose(seed, batch=2):
    generator = np.random.default_rng(seed)
    return (
        generator.normal(0, 1, (batch, 3)),
        generator.normal(0, 0.5, (batch, 15, 3)),
        generator.normal(0, 1, (batch, 10)),
        generator.normal(0, 0.5, (batch, 3)),
    )


def with_posedirs(data, tmp_path):
    generator = np.random.default_rng(3)
    path = tmp_path / 'posed.npz'
    np.savez(
        path, v_template=data.v_template, f=data.faces, shapedirs=data.shapedirs,
        J_regressor=data.J_regressor, weights=data.weights, tips=data.tips,
        kintree_table=np.array([[4294967295, *data.parents[1:]], range(16)]),
        posedirs=generator.normal(0, 1e-3, (*data.v_template.shape, 135)),
        side=np.array('right'), licence=np.array('test'),
    )  # fmt: skip
    return path


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize('posedirs', [False, True])
def test_equals_smplx(side, posedirs, tmp_path):
    path = with_posedirs(MODELS['right'].data, tmp_path) if posedirs else None
    data = load_hand_model(side, path)
    model, layer = HandModel(data), mano_layer(side, path)
    orient, pose, betas, translation = random_pose(5, batch=3)
    joints, vertices = model.forward(orient, pose, betas, translation)
    tensors = [torch.tensor(a, dtype=torch.float32) for a in (orient, pose, betas, translation)]
    output = layer(
        global_orient=tensors[0], hand_pose=tensors[1].reshape(3, 45), betas=tensors[2],
        transl=tensors[3],
    )  # fmt: skip
    tips = torch.tensor(data.tips.astype(np.int64))
    expected = joints_with_tips(output.joints, output.vertices, tips).detach().numpy()
    np.testing.assert_allclose(joints, expected, atol=1e-5)
    np.testing.assert_allclose(vertices, output.vertices.detach().numpy(), atol=1e-5)
    np.testing.assert_allclose(model.joints(orient, pose, betas, translation), joints, atol=1e-12)


def test_layer_is_differentiable():
    layer = mano_layer('right')
    pose = torch.zeros(1, 45, requires_grad=True)
    layer(hand_pose=pose, betas=torch.zeros(1, 10), global_orient=torch.zeros(1, 3),
          transl=torch.zeros(1, 3)).joints.sum().backward()  # fmt: skip
    assert torch.isfinite(pose.grad).all()
    assert pose.grad.abs().sum() > 0


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_left_is_the_mirror_image_of_right(seed):
    orient, pose, betas, translation = random_pose(seed)
    joints, vertices = MODELS['right'].forward(orient, pose, betas, translation)
    flip = np.array([-1, 1, 1])
    left_joints, left_vertices = MODELS['left'].forward(
        orient * MIRROR_ROTATIONS, pose * MIRROR_ROTATIONS, betas, translation * flip
    )
    np.testing.assert_allclose(left_joints, joints * flip, atol=1e-12)
    np.testing.assert_allclose(left_vertices, vertices * flip, atol=1e-12)


def test_mirroring_keeps_pose_correctives(tmp_path):
    data = load_hand_model('right', with_posedirs(MODELS['right'].data, tmp_path))
    orient, pose, betas, translation = random_pose(8)
    _, vertices = HandModel(data).forward(orient, pose, betas, translation)
    flip = np.array([-1, 1, 1])
    _, left = HandModel(mirrored(data)).forward(
        orient * MIRROR_ROTATIONS, pose * MIRROR_ROTATIONS, betas, translation * flip
    )
    np.testing.assert_allclose(left, vertices * flip, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_rigid_motion_moves_every_point_alike(seed):
    orient, pose, betas, translation = random_pose(seed, batch=1)
    turn = Rotation.random(random_state=seed % 1000)
    model = MODELS['right']
    wrist = model.rest_joints(betas)[0, 0]
    before = model.joints(orient, pose, betas, np.zeros((1, 3)))[0]
    turned = (turn * Rotation.from_rotvec(orient[0])).as_rotvec()[None]
    after = model.joints(turned, pose, betas, translation)[0]
    np.testing.assert_allclose(after, turn.apply(before - wrist) + wrist + translation, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_bone_lengths_depend_on_shape_only(seed):
    orient, pose, betas, translation = random_pose(seed, batch=1)
    model = MODELS['left']
    rest = model.rest_joints(betas)[0]
    posed = model.joints(orient, pose, betas, translation)[0]
    inner = [(0, 5), (5, 6), (6, 7), (0, 1), (1, 2), (2, 3), (17, 18), (18, 19)]
    for a, b in inner:
        length = np.linalg.norm(rest[a] - rest[b])
        assert np.linalg.norm(posed[a] - posed[b]) == pytest.approx(length, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_angles_round_trip_and_agree_between_sides(seed):
    angles = np.random.default_rng(seed).normal(0, 0.5, (2, 15, 3))
    for model in MODELS.values():
        np.testing.assert_allclose(model.angles(model.pose_from_angles(angles)), angles, atol=1e-6)
    right = MODELS['right'].pose_from_angles(angles)
    left = MODELS['left'].pose_from_angles(angles)
    np.testing.assert_allclose(left, right * MIRROR_ROTATIONS, atol=1e-12)


def test_rotation_matrices_match_scipy_also_near_zero():
    vectors = np.array([[0, 0, 0], [1e-9, 0, 0], [1e-5, -2e-5, 0], [1, 2, 3], [np.pi, 0, 0.0]])
    np.testing.assert_allclose(
        rotation_matrices(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12
    )


def test_betas_change_the_size_within_adult_bounds():
    betas = np.random.default_rng(0).normal(0, 1, (400, 10))
    joints = MODELS['right'].rest_joints(betas)
    length = np.linalg.norm(joints[:, 12] - joints[:, 0], axis=1)
    assert 0.006 < length.std() < 0.016
    assert length.min() > 0.13
    assert length.max() < 0.24
