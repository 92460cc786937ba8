"""Fields of joints and the votes that invert them: formulas, exactness, robustness."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.networks.dense_crop import DenseCrop, crop_boxes, crop_cubes, joint_boxes
from hand_pose_ros.networks.dense_votes import (
    THETA,
    AggregationConfig,
    DenseFields,
    aggregate,
    dense_targets,
    mean_shift,
    start_cell,
    vote_weights,
)
from tests.networks.dense_scene import cameras, depth_of, hand, project


def crop_of(joints, **options):
    boxes = joint_boxes(project(joints), 10.0)
    return crop_boxes(depth_of(joints), cameras(len(joints)), boxes, **options)


def flat_crop():
    """A wall of pixels at the centre of mass's depth: grid points on a plane, 5 mm apart."""
    intrinsics = torch.tensor([[[320.0, 0, 64], [0, 320, 64], [0, 0, 1]]])
    eye = torch.eye(3)[None]
    return DenseCrop(
        image=torch.full((1, 1, 128, 128), 0.5), unseen=torch.zeros(1, 1, 128, 128),
        intrinsics=intrinsics,
        com=torch.tensor([[0.0, 0.0, 0.4]]), crop_from_camera=eye, camera_from_crop=eye,
    )  # fmt: skip


def point_of(crop, row, column):
    points, _ = crop.grid()
    return points[0, :, row, column]


# Targets (methods specification, section 3.3).


def test_values_of_the_heat_maps_and_of_the_direction():
    crop = flat_crop()
    q = point_of(crop, 10, 12) + torch.tensor([0.0, 0.24, 0.32])  # 0.4 from the pixel's point
    targets = dense_targets(crop, crop.to_camera(q[None, None]))
    assert float(targets.fields.heat_3d[0, 0, 10, 12]) == pytest.approx(0.5, abs=1e-5)
    vote = point_of(crop, 10, 12) + targets.fields.offsets()[0, 0, :, 10, 12]
    assert torch.allclose(vote, q, atol=1e-5)
    direction = targets.fields.direction[0, :, 10, 12]
    assert torch.allclose(direction, torch.tensor([0.0, 0.6, 0.8]), atol=1e-5)


def test_the_2d_heat_map_is_a_cone_of_four_cells():
    crop = flat_crop()
    targets = dense_targets(crop, crop.to_camera(point_of(crop, 20, 16)[None, None]))
    heat = targets.fields.heat_2d[0, 0]
    assert float(heat[20, 16]) == pytest.approx(1.0, abs=1e-4)
    assert float(heat[20, 18]) == pytest.approx(0.5, abs=1e-4)
    assert float(heat[16, 16]) == pytest.approx(0.0, abs=1e-4)
    assert heat[20, 21:].max() == 0


def test_direction_ends_before_the_heat_map():
    """Between 79 and 80 mm a pixel still has heat but no direction, as published."""
    crop = flat_crop()
    for distance, length in ((0.785, 1.0), (0.795, 0.0), (0.81, 0.0)):
        q = point_of(crop, 10, 12) + torch.tensor([0.0, 0.0, distance])
        fields = dense_targets(crop, crop.to_camera(q[None, None])).fields
        assert float(fields.direction[0, :, 10, 12].norm()) == pytest.approx(length, abs=1e-5)
        expected = max(0.0, (THETA - distance) / THETA)
        assert float(fields.heat_3d[0, 0, 10, 12]) == pytest.approx(expected, abs=1e-5)


def test_votes_with_more_reach_tell_joints_that_are_far_from_all_surface():
    crop = flat_crop()
    q = point_of(crop, 10, 12) + torch.tensor([0.0, 0.72, 0.96])  # 1.2 from the pixel's point
    fields = dense_targets(crop, crop.to_camera(q[None, None]), reach=2.0).fields
    assert float(fields.heat_3d[0, 0, 10, 12]) == pytest.approx(-0.5, abs=1e-5)
    vote = point_of(crop, 10, 12) + fields.offsets()[0, 0, :, 10, 12]
    assert torch.allclose(vote, q, atol=1e-5)
    published = dense_targets(crop, crop.to_camera(q[None, None])).fields
    assert float(published.heat_3d[0, 0, 10, 12]) == 0
    assert float(published.direction[0, :, 10, 12].norm()) == 0


def test_a_joint_on_a_pixel_s_point_has_no_direction_and_is_finite():
    crop = flat_crop()
    fields = dense_targets(crop, crop.to_camera(point_of(crop, 5, 5)[None, None])).fields
    assert torch.isfinite(fields.direction).all()
    assert fields.direction[0, :, 5, 5].norm() <= 1 + 1e-5
    assert float(fields.heat_3d[0, 0, 5, 5]) == pytest.approx(1, abs=1e-5)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.booleans())
def test_every_foreground_pixel_within_79_mm_votes_for_the_joint(seed, mirrored):
    joints = hand(seed)
    crop = crop_of(joints, mirrored=torch.tensor([mirrored]))
    targets = dense_targets(crop, joints)
    points, foreground = crop.grid()
    votes = points[:, None] + targets.fields.offsets()
    near = foreground[:, None] & (targets.offsets.norm(dim=2) < 0.79 - 1e-4)
    assert near.any()
    errors = (votes - targets.joints[..., None, None]).norm(dim=2)
    assert float(errors[near].max()) < 1e-4


def test_background_pixels_count_as_150_mm_behind():
    crop = crop_of(hand())
    points, foreground = crop.grid()
    assert not foreground.all()
    assert torch.allclose(points[0, 2][~foreground[0]], torch.tensor(1.5), atol=1e-5)


def test_joints_without_label_leave_no_field():
    joints = hand()
    joints[0, 4] = torch.nan
    targets = dense_targets(crop_of(torch.nan_to_num(joints, nan=0.45)), joints)
    assert not targets.labelled[0, 4]
    assert targets.labelled.sum() == 20
    for field in (targets.fields.heat_2d, targets.fields.heat_3d):
        assert torch.isfinite(field).all()
        assert (field[0, 4] == 0).all()
    assert (targets.fields.direction[0, 12:15] == 0).all()


# Mean shift and its start (section 3.6).


def test_identical_votes_are_a_fixed_point():
    votes = torch.tensor([0.3, -0.2, 0.7]).expand(2, 3, 5, 3)
    weights = torch.rand(2, 3, 5) + 0.1
    start = start_cell(votes, weights)
    assert torch.allclose(mean_shift(votes, weights, start), votes[..., 0, :], atol=1e-6)


def test_an_outlier_200_mm_away_moves_the_result_by_less_than_a_tenth_of_a_millimetre():
    good = torch.tensor([[0.3, 0.3, 0.3]]) + 0.03 * torch.randn(4, 3)
    votes = torch.cat([good, torch.tensor([[0.3, 0.3, -1.7]])])
    weights = torch.ones(5)
    weights[4] = 0.8
    result = mean_shift(votes[None], weights[None], start_cell(votes, weights)[None])[0]
    alone = mean_shift(good[None], weights[None, :4], start_cell(good, weights[:4])[None])[0]
    assert float((result - alone).norm()) * 100 < 0.1


def test_the_mean_shift_is_the_formula():
    generator = torch.Generator().manual_seed(3)
    votes = torch.rand(5, 3, generator=generator) * 2 - 1
    weights = torch.rand(5, generator=generator)
    c = expected = start_cell(votes, weights)
    for _ in range(10):
        g = torch.exp(-(votes - expected).square().sum(1) / (2 * 0.4**2))
        expected = ((weights * g)[:, None] * votes).sum(0) / (weights * g).sum()
    assert torch.allclose(mean_shift(votes[None], weights[None], c[None])[0], expected, atol=1e-5)


@pytest.mark.parametrize('far', [3.0, 50.0, 1e4])
def test_votes_far_from_the_start_and_without_weight_divide_by_nothing(far):
    votes = torch.full((1, 5, 3), far)
    weights = torch.full((1, 5), 1e-6)
    result = mean_shift(votes, weights, start_cell(votes, weights))
    assert torch.allclose(result, votes[:, 0], rtol=1e-5)


def test_the_start_is_the_centre_of_the_heaviest_cell():
    votes = torch.tensor([[-0.9, -0.9, -0.9], [0.1, 0.1, 0.1], [0.2, 0.3, 0.4], [0.9, -0.6, 0.4]])
    weights = torch.tensor([0.9, 0.5, 0.5, 0.8])
    assert start_cell(votes, weights).tolist() == [0.25, 0.25, 0.25]
    assert start_cell(votes, torch.tensor([2.0, 0.5, 0.5, 0.8])).tolist() == [-0.75] * 3
    outside = torch.tensor([[7.0, -7.0, 0.99]]).expand(4, 3)
    assert start_cell(outside, weights).tolist() == [0.75, -0.75, 0.75]


@given(st.integers(0, 10_000))
def test_the_start_agrees_with_a_histogram(seed):
    generator = torch.Generator().manual_seed(seed)
    votes = torch.rand(8, 3, generator=generator) * 2.4 - 1.2
    weights = torch.rand(8, generator=generator) + 0.01
    cell = ((votes + 1) * 2).clamp(0, 3.9).floor()
    histogram = torch.zeros(4, 4, 4)
    for index, weight in zip(cell.long(), weights, strict=True):
        histogram[tuple(index)] += weight
    best = torch.tensor(divmod(int(histogram.argmax()), 16))
    expected = torch.tensor([best[0], best[1] // 4, best[1] % 4]) / 2 - 0.75
    assert torch.equal(start_cell(votes, weights), expected)


def test_votes_off_the_grid_take_the_weight_of_its_border():
    crop = flat_crop()
    heat = torch.zeros(1, 1, 32, 32)
    heat[0, 0, 31, 31], heat[0, 0, 0, 0] = 0.7, -5.0
    fields = DenseFields(heat_2d=heat, heat_3d=heat, direction=torch.zeros(1, 3, 32, 32))
    votes = torch.tensor([[[[9.0, 9, 0], [-9, -9, 0], [0, 0, -4.0], [1e9, 1e9, 1e9]]]])
    weights = vote_weights(fields, crop, votes)
    assert weights[0, 0, 0] == pytest.approx(0.7)
    assert weights[0, 0, 1] == pytest.approx(1e-6)  # a negative R and a zero weigh next to nothing
    assert torch.isfinite(weights).all()
    fields = dataclasses.replace(fields, heat_2d=torch.full((1, 1, 32, 32), 3.0))
    assert (vote_weights(fields, crop, votes) == 1).all()


# From perfect fields back to joints.


def end_to_end(joints, config=None, side='box', **options):
    if side == 'box':
        crop = crop_of(joints, **options)
    else:
        centres = joints.mean(dim=1)
        crop = crop_cubes(depth_of(joints), cameras(len(joints)), centres, **options)
    result = aggregate(dense_targets(crop, joints).fields, crop, config)
    return (result.joints - joints).norm(dim=-1), result.spread


@pytest.mark.parametrize('side', ['box', 'cube'])
@pytest.mark.parametrize('mirrored', [False, True])
def test_perfect_fields_give_back_the_joints(side, mirrored):
    joints = torch.cat([hand(seed) for seed in range(8)])
    errors, spread = end_to_end(joints, side=side, mirrored=torch.full((8,), mirrored))
    assert float(errors.max()) < 1e-3
    assert float(spread.max()) < 1e-3


def test_perfect_fields_give_back_augmented_joints():
    joints = torch.cat([hand(seed) for seed in range(4)])
    errors, _ = end_to_end(
        joints, turn=torch.tensor([0.5, -2.0, 3.0, 1.5]), stretch=torch.rand(4, 2) * 0.2 + 0.9
    )
    assert float(errors.max()) < 1e-3


@pytest.mark.parametrize('count', [14, 16, 21])
def test_perfect_fields_for_every_data_set_s_joints(count):
    errors, _ = end_to_end(hand(joints=count))
    assert errors.shape == (1, count)
    assert float(errors.max()) < 1e-3


def test_joints_beyond_100_mm_from_the_centre_of_mass():
    """They fall outside of the histogram; the mean shift still finds them."""
    joints = hand(extent=0.13)
    crop = crop_of(joints)
    assert (crop.normalise(joints).abs() > 1.05).any()
    errors, _ = end_to_end(joints)
    assert float(errors.max()) < 1e-3


@pytest.mark.parametrize('select', ['product', 'heat_3d', 'heat_2d'])
@pytest.mark.parametrize('weighted', [True, False])
@pytest.mark.parametrize('votes', [1, 5, 20])
def test_every_way_to_aggregate_inverts_perfect_fields(select, weighted, votes):
    if select == 'heat_2d' and votes == 20:
        pytest.skip('R alone also chooses pixels on other surfaces, which have no direction')
    config = AggregationConfig(select=select, weighted=weighted, votes=votes)
    errors, _ = end_to_end(hand(), config)
    assert float(errors.max()) < 1e-3


def test_short_directions_pull_votes_home_unless_they_are_renormalised():
    joints = hand()
    crop = crop_of(joints)
    fields = dense_targets(crop, joints).fields
    short = dataclasses.replace(fields, direction=fields.direction * 0.7)
    kept = aggregate(short, crop).joints
    unit = aggregate(short, crop, AggregationConfig(unit_directions=True)).joints
    assert float((kept - joints).norm(dim=-1).mean()) > 2e-3
    assert float((unit - joints).norm(dim=-1).max()) < 1e-3


def test_disagreeing_votes_spread():
    joints = hand()
    crop = crop_of(joints)
    fields = dense_targets(crop, joints).fields
    noise = torch.randn(fields.heat_3d.shape, generator=torch.Generator().manual_seed(0))
    noisy = dataclasses.replace(fields, heat_3d=fields.heat_3d + 0.1 * noise)
    calm, wild = aggregate(fields, crop), aggregate(noisy, crop)
    assert float(wild.spread.mean()) > 5 * float(calm.spread.mean()) + 1e-3


def test_fewer_foreground_pixels_than_votes_give_no_joints():
    joints = torch.cat([hand(), hand(1)])
    depth = depth_of(joints)
    depth[1] = 0
    crop = crop_boxes(depth, cameras(2), joint_boxes(project(joints), 10.0))
    result = aggregate(dense_targets(crop, joints).fields, crop)
    assert torch.isfinite(result.joints[0]).all()
    assert torch.isnan(result.joints[1]).all()
    assert torch.isnan(result.spread[1]).all()


def test_background_never_votes():
    """Even where the network fires only there."""
    joints = hand()
    crop = crop_of(joints)
    _, foreground = crop.grid()
    fields = dense_targets(crop, joints).fields
    results = []
    for behind in (5.0, -9.0):
        heat = torch.where(foreground[:, None], fields.heat_3d - 2.0, behind)
        results.append(aggregate(dataclasses.replace(fields, heat_3d=heat), crop).joints)
    assert torch.allclose(*results)


def test_what_a_network_corrects_is_added_to_what_the_votes_say():
    joints = hand()
    crop = crop_of(joints)
    fields = dense_targets(crop, joints).fields
    moved = torch.zeros(1, 21, 3)
    moved[0, 4] = torch.tensor([0.1, -0.2, 0.3])  # 10, 20 and 30 mm
    plain, corrected = (
        aggregate(dataclasses.replace(fields, correction=correction), crop)
        for correction in (None, moved)
    )
    assert torch.allclose(corrected.joints - plain.joints, 0.1 * moved, atol=1e-6)
    assert torch.equal(corrected.spread, plain.spread)


def test_a_network_may_say_how_far_off_its_joints_are():
    joints = hand()
    crop = crop_of(joints)
    fields = dense_targets(crop, joints).fields
    assert aggregate(fields, crop).error is None
    fields = dataclasses.replace(fields, log_error=torch.full((1, 21), 0.2).log())
    assert torch.allclose(aggregate(fields, crop).error, torch.tensor(0.02))


def test_regressed_coordinates_need_no_votes():
    joints = hand()
    crop = crop_of(joints)
    empty = torch.zeros(1, 0, 32, 32)
    fields = DenseFields(
        heat_2d=empty, heat_3d=empty, direction=empty, coordinates=crop.normalise(joints)
    )
    assert torch.allclose(aggregate(fields, crop).joints, joints, atol=1e-6)


def test_hands_do_not_influence_each_other():
    joints = torch.cat([hand(0), hand(1), hand(2)])
    crop = crop_of(joints)
    noise = torch.randn(3, 21, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.1
    fields = dense_targets(crop, joints).fields
    fields = dataclasses.replace(fields, heat_3d=fields.heat_3d + noise)
    together = aggregate(fields, crop).joints
    for i in range(3):
        one = {f.name: getattr(crop, f.name)[i : i + 1] for f in dataclasses.fields(crop)}
        alone = aggregate(
            DenseFields(
                heat_2d=fields.heat_2d[i : i + 1], heat_3d=fields.heat_3d[i : i + 1],
                direction=fields.direction[i : i + 1],
            ),
            DenseCrop(**one),
        )  # fmt: skip
        assert torch.allclose(together[i], alone.joints[0], atol=1e-5)
