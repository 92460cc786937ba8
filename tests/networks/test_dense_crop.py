"""Crops of depth images: cameras that stay true, depths in range, nothing mixed in."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.networks import dense_crop
from hand_pose_ros.networks.dense_crop import (
    background_limit,
    crop_boxes,
    crop_cubes,
    draw_augmentation,
    grid_depth,
    jitter_boxes,
    joint_boxes,
)
from tests.networks.dense_scene import K, cameras, depth_of, hand, project


def crop_of(joints, **options):
    depth = depth_of(joints)
    boxes = joint_boxes(project(joints), 10.0)
    return crop_boxes(depth, cameras(len(joints)), boxes, **options)


def crop_pixels(crop, joints):
    points = joints @ crop.crop_from_camera.mT @ crop.intrinsics.mT
    return points[..., :2] / points[..., 2:]


def test_crop_intrinsics_follow_the_specification():
    box = torch.tensor([[100.0, 40.0, 164.0, 140.0]])
    crop = crop_boxes(torch.full((1, 1, 240, 320), 0.5), cameras(), box)
    r = 100 / 128
    left = 100 - (100 - 64) / 2  # padded to a square of the longer side
    expected = [[240 / r, 0, (160 - left) / r], [0, 240 / r, (120 - 40) / r], [0, 0, 1]]
    assert torch.allclose(crop.intrinsics[0], torch.tensor(expected), atol=1e-3)


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('turn', [None, 0.0, 1.0, -2.5])
@pytest.mark.parametrize('stretch', [None, (0.9, 1.1)])
def test_joints_project_to_the_crop_pixels_that_show_them(mirrored, turn, stretch):
    """A single ball: its image in the crop is centred on the joint, at the joint's depth."""
    joints = torch.tensor([[[0.02, -0.03, 0.45]]])
    box = torch.tensor([[120.0, 60.0, 220.0, 160.0]])
    crop = crop_boxes(
        depth_of(joints, radius=0.012), cameras(), box,
        mirrored=torch.tensor([mirrored]),
        turn=None if turn is None else torch.tensor([turn]),
        stretch=None if stretch is None else torch.tensor([stretch]),
    )  # fmt: skip
    shown = (crop.image[0, 0] > -0.99).nonzero().float()
    centre = shown.mean(dim=0).flip(0)
    assert torch.linalg.norm(centre - crop_pixels(crop, joints)[0, 0]) < 1.2
    nearest = crop.image[crop.image > -0.99].min() * 0.3 - 0.15 + crop.com[0, 2]
    expected = (joints @ crop.crop_from_camera.mT)[0, 0, 2] - 0.012
    assert abs(float(nearest - expected)) < 3e-3


def test_original_pixels_reach_the_crop_at_the_crop_camera_s_projection():
    joints = hand()
    crop = crop_of(joints)
    box = joint_boxes(project(joints), 10.0)
    side = float((box[0, 2:] - box[0, :2]).max())
    corner = (box[0, :2] + box[0, 2:] - side) / 2
    expected = (project(joints) - corner) * 128 / side
    assert torch.allclose(crop_pixels(crop, joints), expected, atol=1e-2)


def test_normalised_depth_is_within_its_range_or_background():
    joints = torch.cat([hand(seed) for seed in range(4)])
    image = crop_of(joints).image
    hand_pixels = image[image != -1]
    assert len(hand_pixels) > 500
    assert hand_pixels.min() > -0.5
    assert hand_pixels.max() < 1


def test_depth_beyond_the_normalised_range_is_background():
    """The hand at 0.5 m keeps the mean near; what is 300 mm before or 150 mm behind goes."""
    depth = torch.full((1, 1, 240, 320), 0.5)
    depth[..., :20], depth[..., 300:] = 0.15, 0.7
    box = torch.tensor([[0.0, 0.0, 320.0, 240.0]])
    crop = crop_boxes(depth, cameras(), box, farthest=2.0)
    z0 = float(crop.com[0, 2])
    row = crop.image[0, 0, 64]
    assert row[0] == -1
    assert row[-1] == -1
    assert row[64] == pytest.approx((0.5 - z0 + 0.15) / 0.3, abs=1e-5)


def test_unseen_is_where_nothing_rules_a_hand_out():
    """A hand, a hole in it, something before it, the wall behind and what is out of the image."""
    depth = torch.full((1, 1, 240, 320), 0.9)
    depth[..., 80:160, 10:40] = 0.5
    depth[..., 80:100, 10:40] = 0.0
    depth[..., 140:160, 10:40] = 0.25
    centre = torch.tensor([[(20 - 160) / 240 * 0.5, 0.0, 0.5]])  # 20 pixels from the left border
    crop = crop_cubes(depth, cameras(), centre, side=0.28)
    image, unseen = crop.image[0, 0], crop.unseen[0, 0]
    pixels = 240 * 0.28 / 0.5 / 128  # of the image in one of the crop

    def at(u, v):
        return int(64 + (v - 120) / pixels), int(64 + (u - 20) / pixels)

    hand, wall = at(25, 120), at(60, 120)
    hole, before, outside = at(25, 90), at(25, 150), at(-9, 120)
    assert image[hand] > -0.99 and unseen[hand] == 0
    for place in (hole, before, outside):
        assert image[place] == -1 and unseen[place] == 1
    assert image[wall] == -1 and unseen[wall] == 0
    assert not ((image > -0.99) & (unseen > 0)).any()
    assert torch.equal(crop.channels(unseen=False), crop.image)
    assert torch.equal(crop.channels(unseen=True)[:, 1:], crop.unseen)


def test_the_centre_of_mass_lies_on_the_ray_of_the_crop_s_centre():
    crop = crop_of(hand())
    assert torch.allclose(crop_pixels(crop, crop.com[:, None]), torch.tensor(64.0), atol=1e-3)
    depth = crop.image[crop.image > -0.99]
    assert abs(float(((depth * 0.3) - 0.15).mean())) < 1e-3


def test_an_empty_crop_has_a_centre_and_no_foreground():
    crop = crop_boxes(torch.zeros(1, 1, 240, 320), cameras(), torch.tensor([[10.0, 10, 50, 50]]))
    assert (crop.image == -1).all()
    assert float(crop.com[0, 2]) == pytest.approx(0.2)
    cube = crop_cubes(torch.zeros(1, 1, 240, 320), cameras(), torch.tensor([[0.0, 0.0, 0.6]]))
    assert float(cube.com[0, 2]) == pytest.approx(0.6)


def test_boxes_beyond_the_image_are_padded_with_background():
    joints = hand(centre=(-0.28, -0.2, 0.45))
    crop = crop_of(joints)
    assert torch.isfinite(crop.image).all()
    assert (crop.image[:, :, :, :20] == -1).all()


@given(st.integers(0, 10_000), st.booleans(), st.floats(-3.1, 3.1), st.floats(0.9, 1.1))
def test_normalising_is_undone_exactly(seed, mirrored, turn, stretch):
    joints = hand(seed)
    crop = crop_boxes(
        torch.full((1, 1, 240, 320), 0.45), cameras(), joint_boxes(project(joints)),
        mirrored=torch.tensor([mirrored]), turn=torch.tensor([turn]),
        stretch=torch.tensor([[stretch, 2 - stretch]]),
    )  # fmt: skip
    assert torch.allclose(crop.to_camera(crop.normalise(joints)), joints, atol=1e-5)


def test_augmentation_keeps_the_centre_and_turns_about_its_ray():
    joints = hand()
    plain = crop_of(joints)
    turned = crop_of(joints, turn=torch.tensor([math.pi / 2]))
    ray = plain.com[0] / plain.com[0].norm()
    assert torch.allclose(turned.crop_from_camera[0] @ ray, ray, atol=1e-6)
    rotation = turned.crop_from_camera[0]
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3), atol=1e-6)
    assert float(torch.linalg.det(rotation)) == pytest.approx(1, abs=1e-5)
    before = crop_pixels(plain, joints)[0] - 64
    after = crop_pixels(turned, joints)[0] - 64
    # u, v -> -v, u near the optical axis
    assert torch.allclose(after, torch.stack([-before[:, 1], before[:, 0]], dim=1), atol=2.5)


def test_stretch_moves_joints_in_the_image_and_leaves_their_depth():
    joints = hand()
    plain = crop_of(joints)
    stretched = crop_of(joints, stretch=torch.tensor([[1.1, 0.9]]))
    before, after = (crop_pixels(crop, joints)[0] - 64 for crop in (plain, stretched))
    assert torch.allclose(after, before * torch.tensor([1.1, 0.9]), atol=1e-2)
    moved = joints @ stretched.crop_from_camera.mT
    assert torch.allclose(moved[..., 2], joints[..., 2], atol=1e-6)


def test_a_left_hand_is_shown_as_its_mirror_image():
    joints = hand()
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    other = joints * mirror
    camera = K.clone()
    camera[0, 2] = 319 - K[0, 2]
    right = crop_of(joints)
    image = depth_of(joints).flip(3)  # what the mirrored camera sees of the mirrored hand
    boxes = joint_boxes(project(other, camera), 10.0)
    left = crop_boxes(image, camera[None], boxes, mirrored=torch.tensor([True]))
    assert torch.allclose(left.normalise(other), right.normalise(joints), atol=1e-3)
    assert torch.allclose(left.intrinsics, right.intrinsics, atol=1e-2)
    same = (left.image - right.image).abs() < 1e-3
    assert same.float().mean() > 0.98  # rounding to source pixels differs at silhouettes


def test_mirroring_is_chosen_per_hand():
    joints = torch.cat([hand(), hand()])
    crop = crop_of(joints, mirrored=torch.tensor([False, True]))
    assert torch.allclose(crop.crop_from_camera[0], torch.eye(3), atol=1e-6)
    assert float(torch.linalg.det(crop.crop_from_camera[1])) == pytest.approx(-1, abs=1e-5)


def test_cubes_show_hands_at_one_scale_and_cut_what_is_outside():
    near, far = (hand(centre=(0, 0, z)) for z in (0.3, 0.9))
    scales = []
    for joints in (near, far):
        depth = depth_of(joints, background=float(joints[..., 2].mean()) + 0.2)
        crop = crop_cubes(depth, cameras(), joints.mean(dim=1), side=0.28)
        pixels = crop_pixels(crop, joints)[0]
        metric = joints[0, :, :2] / joints[0, :, 2:] * joints[0, :, 2].mean()
        scales.append((pixels.std(dim=0) / metric.std(dim=0)).mean())
        assert 0.05 < (crop.image > -0.99).float().mean() < 0.7  # the wall behind is gone
    assert float(scales[0] / scales[1]) == pytest.approx(1, abs=0.02)
    assert float(scales[0]) == pytest.approx(128 / 0.28, rel=0.02)


def test_the_background_limit_follows_the_nearest_joint():
    joints = hand()
    depth = depth_of(joints, background=2.0)
    pixels = project(joints)
    limit = background_limit(depth, pixels)
    assert float(limit) == pytest.approx(float(joints[..., 2].min()) - 0.009 + 0.25, abs=0.004)
    missing = pixels.clone()
    missing[:, :] = torch.nan
    assert torch.isinf(background_limit(depth, missing)).all()
    missing[:, 0] = torch.tensor([1e6, -1e6])
    assert torch.isinf(background_limit(depth, missing)).all()
    crop = crop_boxes(depth, cameras(), joint_boxes(pixels, 10.0), farthest=limit)
    assert float((crop.image > -0.99).float().mean()) < 0.6


def test_boxes_contain_all_labelled_joints_and_leave_others_out():
    pixels = project(hand())
    pixels[0, 3] = torch.nan
    box = joint_boxes(pixels, 20.0)[0]
    kept = pixels[0][torch.isfinite(pixels[0, :, 0])]
    assert torch.allclose(box[:2], kept.amin(dim=0) - 20)
    assert torch.allclose(box[2:], kept.amax(dim=0) + 20)


def test_mixed_pixels_become_background():
    """Pixels half way between hand and wall, which a real camera gives at silhouettes."""
    depth = torch.full((1, 1, 240, 320), 0.6)
    depth[..., 100:140, 140:180] = 0.5
    depth[..., 100:140, 139] = depth[..., 100:140, 180] = 0.55
    box = torch.tensor([[120.0, 80.0, 200.0, 160.0]])
    crop = crop_boxes(depth, cameras(), box, farthest=2.0)
    z = crop.image * 0.3 - 0.15 + crop.com[0, 2]
    assert not ((z > 0.51) & (z < 0.59) & (crop.image > -0.99)).any()
    assert ((z - 0.5).abs() < 1e-4).any()
    assert ((z - 0.6).abs() < 1e-4).any()


def test_the_grid_never_mixes_two_surfaces():
    image = torch.full((1, 1, 128, 128), -1.0)
    image[..., :66] = 0.2  # two of four columns of one cell
    image[..., 66:90] = 0.5
    grid = grid_depth(image)[0, 0]
    allowed = torch.tensor([-1.0, 0.2, 0.5])
    assert ((grid[..., None] - allowed).abs().amin(dim=-1) < 1e-6).all()
    assert torch.allclose(grid[:, 16], torch.tensor(0.2))
    lonely = torch.full((1, 1, 128, 128), -1.0)
    lonely[..., 8, 8:11] = 0.3  # three of sixteen pixels are no surface
    assert (grid_depth(lonely) == -1).all()


def test_grid_points_lie_on_the_surface_and_background_behind():
    depth = torch.full((1, 1, 240, 320), 0.5)
    depth[..., :160] = 0
    box = torch.tensor([[110.0, 70.0, 210.0, 170.0]])
    crop = crop_boxes(depth, cameras(), box)
    points, foreground = crop.grid()
    metric = points * 0.1 + crop.com[:, :, None, None]
    assert torch.allclose(metric[0, 2][foreground[0]], torch.tensor(0.5), atol=1e-5)
    behind = metric[0, 2][~foreground[0]]
    assert torch.allclose(behind, crop.com[0, 2] + 0.15, atol=1e-5)
    pixels = crop.grid_pixels(points.flatten(2).mT)[0]
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing='ij')
    assert torch.allclose(pixels, torch.stack([columns, rows], -1).flatten(0, 1), atol=1e-3)


def test_augmentation_draws_have_the_published_distribution():
    generator = torch.Generator().manual_seed(0)
    turn, stretch = draw_augmentation(5000, generator)
    assert turn.min() < -3.1 < 3.1 < turn.max()
    assert turn.abs().max() <= math.pi
    assert float(stretch.min()) == pytest.approx(0.9)
    assert float(stretch.max()) == pytest.approx(1.1)
    inside = ((stretch > 0.9) & (stretch < 1.1)).float().mean()
    assert float(inside) == pytest.approx(0.383, abs=0.02)  # within half a standard deviation
    again, _ = draw_augmentation(5000, torch.Generator().manual_seed(0))
    assert torch.equal(turn, again)


def test_jitter_moves_boxes_and_keeps_them_boxes():
    boxes = torch.tensor([[10.0, 20.0, 110.0, 80.0]]).expand(2000, 4)
    moved = jitter_boxes(boxes, torch.Generator().manual_seed(0))
    assert (moved[:, 2:] > moved[:, :2]).all()
    centres = (moved[:, :2] + moved[:, 2:]) / 2
    assert torch.allclose(centres.mean(dim=0), torch.tensor([60.0, 50.0]), atol=1.0)
    assert torch.allclose(centres.std(dim=0), torch.tensor(8.0), atol=0.6)


def test_cached_grids_serve_training_after_inference():
    dense_crop._grid_centres.cache_clear()
    with torch.inference_mode():
        crop_of(hand()).grid()
    scale = torch.ones(1, requires_grad=True)
    crop = crop_of(hand())
    points, _ = dense_crop.DenseCrop(
        **{**crop.__dict__, 'intrinsics': crop.intrinsics * scale}
    ).grid()
    points.sum().backward()
    assert scale.grad is not None
