"""Energies: zero at the truth, with the right slope and value beside it, blind to gaps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.energies import (
    LimitEnergy,
    Weights,
    cloud_energy,
    hand_evidence,
    joint_energy,
    point_energy,
    projected,
    shape_energy,
    silhouette_energy,
)
from hand_pose_ros.hand_model.model_files import load_hand_model
from tests.annotation.sessions import exact

SIDES = ('left', 'right')


def double(array):
    return torch.as_tensor(np.asarray(array), dtype=torch.float64)


@pytest.fixture(scope='module')
def scene():
    """Evidence of the right hand in which clouds and exo masks lie on vertices, and the truth."""
    session = exact()
    joints, vertices = double(session.joints[:, 1]), double(session.vertices[:, 1])
    evidence = hand_evidence(session.evidence, 1, dtype=torch.float64)
    masks = evidence.masks.clone()
    exo = evidence.exo.index(True)
    masks[exo] = projected(vertices, evidence.T_cam_world[exo])[:, : masks.shape[2]]
    return replace(evidence, masks=masks, cloud=vertices), joints, vertices


def few(evidence, points=40):
    """Less evidence, quicker to differentiate."""
    return replace(
        evidence.take(slice(0, 1)), masks=evidence.masks[:, :1, :points],
        cloud=evidence.cloud[:1, :points],
    )  # fmt: skip


def test_the_weights_are_the_published_ones():
    assert Weights() == Weights(
        silhouette=1.0, points=1.0, limits=100.0, cloud=100.0, joints=1000.0, shape=0.2, ego=2.0
    )


def test_all_terms_vanish_at_the_truth(scene):
    evidence, joints, vertices = scene
    assert point_energy(joints, evidence).max() < 1e-6
    assert joint_energy(joints, evidence).max() < 1e-6
    assert cloud_energy(vertices, evidence).max() < 1e-6
    assert shape_energy(torch.zeros(2, 10)).max() == 0


def test_the_silhouette_vanishes_where_vertices_lie_in_the_mask(scene):
    evidence, _, vertices = scene
    ego = [place for place, exo in enumerate(evidence.exo) if not exo]
    only_exo = evidence.masks.clone()
    only_exo[ego] = torch.nan
    assert silhouette_energy(vertices, replace(evidence, masks=only_exo)).max() < 1e-6
    # A vertex is hidden by the other hand or by nothing: the nearest pixel is as near as the grid.
    one = few(evidence)
    inside = projected(vertices[:1], one.T_cam_world[0])[:, :40]
    masks = torch.full_like(one.masks, torch.nan)
    masks[0] = inside
    assert silhouette_energy(vertices[:1, :40], replace(one, masks=masks)).max() == 0


@pytest.mark.parametrize('side', (0, 1))
def test_true_angles_are_within_the_limits_of_either_side(side):
    truth = exact().truth
    energy = LimitEnergy(load_hand_model(SIDES[side]), torch.float64)
    assert energy(double(truth.hand_pose[:, side])).max() < 1e-9


def test_the_limits_of_the_left_hand_are_mirrored():
    model = load_hand_model('right')
    angles = np.zeros((1, 15, 3))
    angles[0, 0, 2] = -0.8  # the index finger bent backwards
    right = np.einsum('jac,bja->bjc', model.joint_axes, angles)
    left = right * [1.0, -1.0, -1.0]
    energies = [
        float(LimitEnergy(load_hand_model(side), torch.float64)(double(pose)))
        for side, pose in (('right', right), ('left', left), ('left', right))
    ]
    assert energies[0] == pytest.approx((model.joint_limits[0, 2, 0] + 0.8) / 45, abs=1e-9)
    assert energies[1] == pytest.approx(energies[0], abs=1e-12)
    assert abs(energies[2] - energies[0]) > 1e-3  # as the original has it


def test_landmarks_cost_their_distance_twice_in_ego_views(scene):
    evidence, joints, _ = scene
    for view, exo in enumerate(evidence.exo):
        moved = evidence.points.clone()
        moved[view, :, :, 0] += 3.0 / evidence.focal[view]
        energy = point_energy(joints, replace(evidence, points=moved))
        assert energy.numpy() == pytest.approx(3.0 if exo else 6.0, rel=1e-5)


def test_3d_terms_cost_metres(scene):
    evidence, joints, vertices = scene
    shift = torch.tensor([0.0, 0.0, 0.5], dtype=torch.float64)
    assert joint_energy(joints + shift, evidence).numpy() == pytest.approx(0.5, rel=1e-6)
    far = cloud_energy(vertices + 10 * shift, evidence)
    assert ((far > 4.7) & (far < 5.2)).all()


@pytest.mark.parametrize('reach', (None, 4.0))
def test_slopes_of_the_image_terms_are_those_of_finite_differences(scene, reach):
    evidence, joints, vertices = scene
    one = few(evidence)
    shift = torch.tensor([0.011, -0.006, 0.02], dtype=torch.float64)
    near = (joints[:1] + shift).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: point_energy(x, one, reach=reach), (near,))
    surface = (vertices[:1, ::60] + shift).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: silhouette_energy(x, one, reach=reach), (surface,))


@pytest.mark.parametrize('reach', (None, 0.01))
def test_slopes_of_the_3d_terms_are_those_of_finite_differences(scene, reach):
    evidence, joints, vertices = scene
    one = few(evidence)
    shift = torch.tensor([0.011, -0.006, 0.02], dtype=torch.float64)
    near = (joints[:1] + shift).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: joint_energy(x, one, reach=reach), (near,))
    surface = (vertices[:1, ::60] + shift).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: cloud_energy(x, one, reach=reach), (surface,))


def test_slopes_of_limits_and_shape_are_those_of_finite_differences():
    generator = torch.Generator().manual_seed(1)
    pose = torch.randn(1, 15, 3, dtype=torch.float64, generator=generator).requires_grad_(True)
    energy = LimitEnergy(load_hand_model('left'), torch.float64)
    assert float(energy(pose.detach())) > 0.05
    assert torch.autograd.gradcheck(energy, (pose,))
    betas = torch.randn(1, 10, dtype=torch.float64, generator=generator).requires_grad_(True)
    assert torch.autograd.gradcheck(shape_energy, (betas,))


def test_reach_bounds_what_an_outlier_costs(scene):
    evidence, joints, _ = scene
    wrong = evidence.points.clone()
    wrong[0, :, 4] += 500.0 / evidence.focal[0]
    evidence = replace(evidence, points=wrong)
    assert point_energy(joints, evidence).min() > 2 * 500 / 21
    assert point_energy(joints, evidence, reach=10.0).max() <= 2 * 10 / 21 + 1e-6


def test_what_is_missing_changes_no_value_and_no_slope(scene):
    evidence, joints, vertices = scene
    nothing = replace(
        evidence, points=torch.full_like(evidence.points, torch.nan),
        masks=torch.full_like(evidence.masks, torch.nan),
        cloud=torch.full_like(evidence.cloud, torch.nan),
        joints=torch.full_like(evidence.joints, torch.nan),
    )  # fmt: skip
    places, surface = joints.clone().requires_grad_(True), vertices.clone().requires_grad_(True)
    total = (
        point_energy(places, nothing) + joint_energy(places, nothing)
        + cloud_energy(surface, nothing) + silhouette_energy(surface, nothing)
    ).sum()  # fmt: skip
    total.backward()
    assert float(total.detach()) == 0
    assert places.grad is not None and surface.grad is not None
    assert places.grad.abs().max() == 0 and surface.grad.abs().max() == 0
    some = evidence.points.clone()
    some[:, :, 3:] = torch.nan
    shifted = joints + 0.01
    energy = point_energy(shifted, replace(evidence, points=some))
    alone = point_energy(shifted[:, :3], replace(evidence, points=evidence.points[:, :, :3]))
    assert energy.numpy() == pytest.approx(alone.numpy())


def test_only_visible_vertices_need_a_counterpart(scene):
    evidence, _, vertices = scene
    half = replace(evidence, cloud=vertices[:, vertices[0, :, 2] < vertices[0, :, 2].median()])
    visible = torch.zeros(vertices.shape[:2], dtype=torch.bool)
    visible[:, vertices[0, :, 2] < vertices[0, :, 2].median()] = True
    assert cloud_energy(vertices, half).min() > 1e-3
    assert cloud_energy(vertices, half, visible=visible).max() < 1e-6
