"""Turns of views: 2D stays the projection of 3D, pixels follow, labels stay consistent."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.networks.view_turns import draw_turns, turn_images, turn_matrices, turn_views
from hand_pose_ros.networks.wildhands import project

HEIGHT, WIDTH, COUNT = 120, 160, 3
LAYER = HandLayer()


def scene(seed):
    """Labelled views of cameras whose focal lengths differ in x and y."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(COUNT, 2, *shape, generator=generator)

    orient, pose, betas = normal(3), 0.3 * normal(15, 3), normal(10)
    translation = 0.05 * normal(3) + torch.tensor([0.0, 0.0, 0.5])
    rotations = rotation_from_axis_angle(torch.cat([orient[:, :, None], pose], dim=2))
    joints = LAYER(rotations, betas, translation).joints
    intrinsics = torch.tensor([[130.0, 0.0, 75.0], [0.0, 110.0, 64.0], [0.0, 0.0, 1.0]])
    intrinsics = intrinsics.expand(COUNT, 3, 3)
    return {
        'image': torch.rand(COUNT, 3, HEIGHT, WIDTH, generator=generator),
        'intrinsics': intrinsics,
        'joints': joints,
        'pixels': project(joints, intrinsics),
        'visible': torch.ones(COUNT, 2, 21, dtype=torch.bool),
        'global_orient': orient,
        'translation': translation,
    }, (pose, betas)


@given(st.integers(0, 1000), st.floats(-3, 3))
def test_2d_is_the_projection_of_3d_and_3d_the_posed_hand(seed, angle):
    views, (pose, betas) = scene(seed)
    turned = turn_views(torch.full((COUNT,), angle), **views)
    again = project(turned['joints'], views['intrinsics'])
    ahead = turned['joints'][..., 2] > 0.1
    assert torch.allclose(turned['pixels'][ahead], again[ahead], atol=1e-2)
    axis_angle = torch.cat([turned['global_orient'][:, :, None], pose], dim=2)
    posed = LAYER(rotation_from_axis_angle(axis_angle), betas, turned['translation']).joints
    assert torch.allclose(posed, turned['joints'], atol=1e-5)


def test_pixels_follow_the_scene():
    views, _ = scene(0)
    image = torch.zeros(1, 1, HEIGHT, WIDTH)
    image[0, 0, 40:43, 100:103] = 1.0
    matrix = views['intrinsics'][:1]
    point = torch.tensor([[(101.0 - 75.0) / 130.0, (41.0 - 64.0) / 110.0, 1.0]])
    turn = turn_matrices(torch.tensor([0.5]))
    turned = turn_images(image, matrix, turn)[0, 0]
    place = (turned * torch.arange(WIDTH)).sum() / turned.sum()
    height = (turned * torch.arange(HEIGHT)[:, None]).sum() / turned.sum()
    expected = project((turn @ point[..., None])[..., 0][:, None], matrix)[0, 0]
    assert [float(place), float(height)] == pytest.approx(expected.tolist(), abs=0.1)


def test_no_turn_changes_nothing():
    views, _ = scene(1)
    mask = torch.randint(0, 4, (COUNT, HEIGHT, WIDTH)).to(torch.uint8)
    turned = turn_views(torch.zeros(COUNT), **views, hand_mask=mask, surface=mask)
    assert torch.allclose(turned['image'], views['image'], atol=1e-4)
    assert torch.equal(turned['hand_mask'], mask)
    assert turned['surface'].dtype == torch.uint8
    assert torch.allclose(turned['translation'], views['translation'])


def test_there_and_back():
    views, _ = scene(2)
    angles = torch.tensor([0.4, -0.9, 1.5])
    once = turn_views(angles, **views)
    back = turn_views(-angles, **{name: once.get(name, views[name]) for name in views})
    for name in ('joints', 'pixels', 'translation'):
        assert torch.allclose(back[name], views[name], atol=1e-3)


def test_joints_that_leave_the_image_are_no_longer_visible():
    views, _ = scene(3)
    views['pixels'][:] = torch.tensor([155.0, 64.0])
    turned = turn_views(torch.full((COUNT,), math.pi / 2), **views)
    assert not turned['visible'].any()


def test_missing_labels_stay_missing_and_spoil_nothing_else():
    views, _ = scene(4)
    for name in ('joints', 'pixels', 'global_orient', 'translation'):
        views[name][:, 0] = torch.nan
    turned = turn_views(torch.full((COUNT,), 0.3), **views)
    for name in ('joints', 'pixels', 'global_orient', 'translation'):
        assert torch.isnan(turned[name][:, 0]).all()
        assert torch.isfinite(turned[name][:, 1]).all()


def test_draws_are_normal_clipped_and_mostly_zero():
    angles = draw_turns(4000, torch.Generator().manual_seed(0))
    assert float((angles != 0).float().mean()) == pytest.approx(0.4, abs=0.03)
    assert angles.abs().max() <= math.radians(60.0) + 1e-6
    turned = angles[angles != 0]
    assert float(turned.std()) == pytest.approx(math.radians(28.9), abs=math.radians(1.5))
