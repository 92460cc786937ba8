"""HandLayer: equal to the numpy hand model, for any model file, both sides, joints alone too."""

import dataclasses

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import ModelError
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import load_hand_model, mirrored
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.rotations import mirrored_rotations, rotation_from_axis_angle

COUNT = 5


def with_pose_directions():
    """A stand-in for a MANO file: pose correctives and a mean pose."""
    generator = np.random.default_rng(4)
    data = load_hand_model('right')
    shape = (*data.v_template.shape, 135)
    return dataclasses.replace(
        data,
        posedirs=generator.normal(0, 1e-3, shape),
        hands_mean=generator.normal(0, 0.2, (15, 3)),
    )


@pytest.fixture(scope='module')
def draws():
    generator = np.random.default_rng(7)
    return (
        generator.normal(0, 0.6, (COUNT, 2, 16, 3)),
        generator.normal(0, 1, (COUNT, 2, 10)),
        generator.normal(0, 0.3, (COUNT, 2, 3)),
    )


def tensors(draws):
    pose, betas, translation = (torch.from_numpy(array).float() for array in draws)
    return rotation_from_axis_angle(pose), betas, translation


def expected(data, draws, side):
    pose, betas, translation = (array[:, side] for array in draws)
    return HandModel(data).forward(pose[:, 0], pose[:, 1:], betas, translation)


@pytest.mark.parametrize('directions', [False, True])
def test_joints_and_mesh_equal_the_numpy_model(draws, directions):
    right = with_pose_directions() if directions else load_hand_model('right')
    left = mirrored(right)
    layer = HandLayer(left, right)
    hands = layer(*tensors(draws), mesh=True)
    fast = layer(*tensors(draws))
    assert fast.vertices is None
    for side, data in enumerate((left, right)):
        joints, vertices = expected(data, draws, side)
        assert np.abs(hands.vertices[:, side].numpy() - vertices).max() < 1e-5
        assert np.abs(hands.joints[:, side].numpy() - joints).max() < 1e-5
        assert np.abs(fast.joints[:, side].numpy() - joints).max() < 1e-5


def test_the_mean_pose_is_added_to_the_axis_angle_vectors_where_zero_is_relaxed(draws):
    right = with_pose_directions()
    left = mirrored(right)
    layer = HandLayer(left, right, flat_mean=False)
    small = (draws[0] * 0.4, draws[1], draws[2])
    shifted = small[0].copy()
    for side, data in enumerate((left, right)):
        shifted[:, side, 1:] += data.hands_mean
    hands = layer(*tensors(small))
    for side, data in enumerate((left, right)):
        joints, _ = expected(data, (shifted, *small[1:]), side)
        assert np.abs(hands.joints[:, side].numpy() - joints).max() < 1e-5


def test_a_left_hand_is_the_mirror_image(draws):
    rotations, betas, translation = tensors(draws)
    flip = torch.tensor([-1.0, 1.0, 1.0])
    swapped = HandLayer()(
        mirrored_rotations(rotations.flip(1)), betas.flip(1), translation.flip(1) * flip, mesh=True
    )
    plain = HandLayer()(rotations, betas, translation, mesh=True)
    assert torch.allclose(swapped.joints, plain.joints.flip(1) * flip, atol=1e-6)
    assert torch.allclose(swapped.vertices, plain.vertices.flip(1) * flip, atol=1e-6)


def test_the_wrist_is_the_rest_wrist_plus_the_translation(draws):
    layer = HandLayer()
    rotations, betas, translation = tensors(draws)
    joints = layer(rotations, betas, translation).joints
    wrist = layer.rest_joints(betas)[:, :, 0] + translation
    assert torch.allclose(joints[:, :, 0], wrist, atol=1e-6)


def test_gradients_reach_rotations_shape_and_translation(draws):
    inputs = [tensor.requires_grad_() for tensor in tensors(draws)]
    HandLayer()(*inputs).joints.square().sum().backward()
    for tensor in inputs:
        assert tensor.grad.abs().sum() > 0
        assert torch.isfinite(tensor.grad).all()


def test_gradients_are_those_of_finite_differences():
    layer = HandLayer().double()
    generator = torch.Generator().manual_seed(2)
    pose = torch.randn(1, 2, 16, 3, dtype=torch.float64, generator=generator) * 0.3
    betas = torch.randn(1, 2, 10, dtype=torch.float64, generator=generator)

    def joints(pose, betas):
        return layer(rotation_from_axis_angle(pose), betas, torch.zeros(1, 2, 3).double()).joints

    assert torch.autograd.gradcheck(
        joints, (pose.requires_grad_(), betas.requires_grad_()), fast_mode=True
    )


def test_it_adds_nothing_to_a_checkpoint():
    assert not HandLayer().state_dict()
    assert not list(HandLayer().parameters())


def test_models_that_do_not_belong_together_are_refused():
    right = load_hand_model('right')
    with pytest.raises(ModelError, match='left hand model is a right hand'):
        HandLayer(right, right)
    other = dataclasses.replace(mirrored(right), faces=right.faces[:-1])
    with pytest.raises(ModelError, match='two sides of one model'):
        HandLayer(other, right)
