"""Rotations: orthonormal, inverse to each other, differentiable, and mirrored as the hands are."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.networks.rotations import (
    IDENTITY_6D,
    axis_angle_from_rotation,
    cross_matrix,
    mirrored_rotations,
    rotation_from_6d,
    rotation_from_axis_angle,
)

component = st.floats(-3, 3, allow_nan=False, width=32)


@given(st.integers(0, 10_000))
def test_6d_vectors_give_orthonormal_matrices_of_determinant_one(seed):
    vectors = torch.randn(32, 6, generator=torch.Generator().manual_seed(seed))
    matrices = rotation_from_6d(vectors)
    eye = torch.eye(3).expand_as(matrices)
    assert torch.allclose(matrices @ matrices.transpose(1, 2), eye, atol=1e-4)
    assert torch.allclose(torch.linalg.det(matrices), torch.ones(32), atol=1e-4)
    # The first column keeps its direction.
    assert torch.allclose(
        matrices[:, :, 0], torch.nn.functional.normalize(vectors[:, :3], dim=1), atol=1e-5
    )


def test_the_start_is_no_rotation():
    assert torch.equal(rotation_from_6d(torch.tensor(IDENTITY_6D)), torch.eye(3))


@given(st.lists(component, min_size=3, max_size=3))
def test_axis_angle_equals_the_numpy_model(vector):
    expected = rotation_matrices(np.array(vector))
    found = rotation_from_axis_angle(torch.tensor(vector, dtype=torch.float64))
    assert np.allclose(found.numpy(), expected, atol=1e-9)


@given(st.lists(component, min_size=3, max_size=3))
def test_axis_angle_comes_back(vector):
    matrix = rotation_from_axis_angle(torch.tensor(vector, dtype=torch.float64))
    back = axis_angle_from_rotation(matrix)
    assert float(back.norm()) <= np.pi + 1e-9
    assert torch.allclose(rotation_from_axis_angle(back), matrix, atol=1e-7)


@pytest.mark.parametrize('angle', [0.0, 1e-7, 1e-3, 3.0, np.pi - 1e-6, np.pi])
def test_axis_angle_is_accurate_near_nothing_and_near_half_a_turn(angle):
    vector = torch.tensor([0.6, -0.48, 0.64], dtype=torch.float64) * angle
    back = axis_angle_from_rotation(rotation_from_axis_angle(vector))
    assert torch.allclose(back.abs(), vector.abs(), atol=1e-9)


@pytest.mark.parametrize('angle', [0.0, 0.3, 2.0, 3.1])
def test_gradients_are_those_of_finite_differences(angle):
    vector = torch.tensor([[0.6, -0.48, 0.64]], dtype=torch.float64) * angle
    vector.requires_grad_()
    assert torch.autograd.gradcheck(rotation_from_axis_angle, vector)
    if angle:
        assert torch.autograd.gradcheck(
            lambda v: axis_angle_from_rotation(rotation_from_axis_angle(v)), vector
        )
    six = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.autograd.gradcheck(rotation_from_6d, six.requires_grad_())


def test_the_gradient_at_no_rotation_is_finite():
    vector = torch.zeros(4, 3, requires_grad=True)
    axis_angle_from_rotation(rotation_from_axis_angle(vector)).sum().backward()
    assert torch.allclose(vector.grad, torch.ones(4, 3), atol=1e-5)


def test_cross_matrix_multiplies_like_the_cross_product():
    a, b = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(1))
    assert torch.allclose((cross_matrix(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))


def test_a_mirrored_rotation_negates_components_y_and_z():
    vector = torch.tensor([0.3, -0.7, 1.1])
    mirrored = mirrored_rotations(rotation_from_axis_angle(vector))
    expected = rotation_from_axis_angle(vector * torch.tensor([1.0, -1.0, -1.0]))
    assert torch.allclose(mirrored, expected, atol=1e-6)
