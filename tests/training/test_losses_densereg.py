"""DenseReg's loss: exact sums, what counts and what does not, and each variant's own terms."""

import dataclasses
import math

import pytest
import torch

from hand_pose_ros.networks.dense_crop import crop_boxes, joint_boxes
from hand_pose_ros.networks.dense_votes import DenseFields, aggregate, dense_targets
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.training.losses.densereg import densereg_loss, error_cost, joint_distance
from tests.networks.dense_scene import cameras, depth_of, hand, project


@pytest.fixture(scope='module')
def example():
    """Crop, joints and targets of two hands."""
    joints = torch.cat([hand(0), hand(1)])
    crop = crop_boxes(depth_of(joints), cameras(2), joint_boxes(project(joints), 10.0))
    return crop, joints, dense_targets(crop, joints)


def shifted(fields, **by):
    return dataclasses.replace(fields, **{k: getattr(fields, k) + v for k, v in by.items()})


def test_the_target_itself_costs_nothing(example):
    targets = example[2]
    for value in densereg_loss([targets.fields] * 2, targets).values():
        assert float(value) == 0.0


def test_the_sum_form_counts_every_pixel_of_every_stack_by_half_its_square(example):
    targets = example[2]
    pixels = 2 * 21 * 32 * 32
    stages = [shifted(targets.fields, heat_2d=0.1), shifted(targets.fields, direction=0.2)]
    loss = densereg_loss(stages, targets)
    assert float(loss['heat_2d']) == pytest.approx(0.5 * 0.01 * pixels, rel=1e-4)
    assert float(loss['heat_3d']) == 0
    assert float(loss['direction']) == pytest.approx(0.5 * 0.04 * 3 * pixels, rel=1e-4)
    assert float(loss['total']) == pytest.approx(0.5 * 0.13 * pixels, rel=1e-4)


def test_the_mean_form_is_the_sum_by_labelled_joints_and_pixels(example):
    targets = example[2]
    stages = [shifted(targets.fields, heat_2d=0.1, heat_3d=0.3)]
    mean = densereg_loss(stages, targets, reduction='mean')
    assert float(mean['total']) == pytest.approx(0.5 * (0.01 + 0.09), rel=1e-4)
    twice = densereg_loss(stages, targets)
    assert float(twice['total'] / mean['total']) == pytest.approx(2 * 21 * 1024, rel=1e-4)


def test_far_pixels_and_background_count_with_their_zero_targets(example):
    targets = example[2]
    far = (targets.fields.heat_3d == 0).to(torch.float32)
    assert far.sum() > 0
    loss = densereg_loss([shifted(targets.fields, heat_3d=far)], targets)
    assert float(loss['total']) == pytest.approx(0.5 * float(far.sum()), rel=1e-5)


@pytest.mark.parametrize('head', ['dense', 'masked_offset', 'detection_depth', 'coordinates'])
def test_joints_without_label_have_no_gradient(example, head):
    crop, joints, _ = example
    joints = joints.clone()
    joints[0, 2] = torch.nan
    targets = dense_targets(crop, joints)
    config = dataclasses.replace(DenseRegConfig.small(), head=head, stacks=1)
    torch.manual_seed(0)
    fields = DenseReg(config).train()(crop.channels(unseen=True))[0]
    names = ['coordinates'] if head == 'coordinates' else ['heat_2d', 'heat_3d', 'direction']
    leaves = {n: getattr(fields, n).detach().clone().requires_grad_() for n in names}
    loss = densereg_loss([dataclasses.replace(fields, **leaves)], targets, head=head)['total']
    assert torch.isfinite(loss)
    loss.backward()
    if head == 'coordinates':
        gradient = leaves['coordinates'].grad
        assert (gradient[0, 2] == 0).all()
        assert (gradient[1, 2] != 0).any()
        return
    assert (leaves['heat_2d'].grad[0, 2] == 0).all()
    assert (leaves['direction'].grad[0, 6:9] == 0).all()
    assert (leaves['heat_2d'].grad[1, 2] != 0).any()
    assert torch.isfinite(leaves['direction'].grad).all()


def test_nothing_labelled_is_a_loss_of_zero(example):
    crop, joints, _ = example
    targets = dense_targets(crop, torch.full_like(joints, torch.nan))
    loss = densereg_loss([shifted(targets.fields, heat_2d=1.0)], targets, reduction='mean')
    assert float(loss['total']) == 0.0


def test_the_masked_variant_leaves_far_pixels_out(example):
    targets = example[2]
    near = (targets.fields.heat_3d > 0) & targets.foreground[:, None]
    wild = torch.where(near, targets.fields.heat_3d, 7.0)
    offsets = DenseFields(
        heat_2d=targets.fields.heat_2d, heat_3d=wild, direction=targets.fields.direction
    )
    loss = densereg_loss([offsets], targets, head='masked_offset')
    between = (targets.offsets.norm(dim=2) >= 0.79) & near  # no direction there: a small error
    assert float(loss['offset']) <= 0.5 * 0.64 * float(between.sum()) + 1e-4
    moved = torch.where(near, targets.fields.heat_3d + 0.5, wild)
    worse = dataclasses.replace(offsets, heat_3d=moved)
    assert float(densereg_loss([worse], targets, head='masked_offset')['offset']) > 10


def test_depth_reading_learns_the_thickness_of_the_hand(example):
    """The loss is least where the thickness is that of the balls."""
    crop, _, targets = example
    network = DenseReg(dataclasses.replace(DenseRegConfig.small(), head='detection_depth')).eval()
    losses = []
    for millimetres in (2.0, 8.0, 14.0):
        with torch.no_grad():
            network.heads[-1].thickness.fill_(millimetres / 100)
            fields = network(crop.channels(unseen=True))[-1]
        losses.append(float(densereg_loss([fields], targets, head='detection_depth')['depth']))
    assert losses[1] < losses[0]
    perfect = dataclasses.replace(fields, heat_2d=targets.fields.heat_2d)
    assert torch.isfinite(aggregate(perfect, crop).joints).all()


def test_the_background_need_not_learn_to_vote(example):
    targets = example[2]
    empty = ~targets.foreground[:, None]
    assert empty.any() and targets.foreground.any()

    def loss(where, background):
        change = 0.1 * where.float()
        off = shifted(targets.fields, heat_2d=change, heat_3d=change, direction=change)
        return densereg_loss([off], targets, background=background)

    assert float(loss(empty, True)['total']) > 0
    without = loss(empty, False)
    assert float(without['heat_3d']) == float(without['direction']) == 0.0
    assert float(without['heat_2d']) == float(loss(empty, True)['heat_2d']) > 0
    for name, value in loss(~empty, True).items():
        assert float(loss(~empty, False)[name]) == pytest.approx(float(value), rel=1e-6), name


def test_joint_distances_pass_their_slopes_to_the_votes(example):
    crop, _, targets = example
    fields = dataclasses.replace(
        targets.fields, direction=targets.fields.direction.clone().requires_grad_()
    )
    found = aggregate(fields, crop).joints
    true = found.detach() + torch.tensor([0.003, 0.0, 0.004])
    distance = joint_distance(found, true)
    assert float(distance.detach()) == pytest.approx(0.005, rel=1e-3)
    (slope,) = torch.autograd.grad(distance, fields.direction)
    votes = (slope != 0).any(dim=1)
    assert 0 < int((slope.unflatten(1, (21, 3)) != 0).any(dim=2).sum()) <= 2 * 21 * 5
    assert not (votes & ~targets.foreground).any()
    down = dataclasses.replace(targets.fields, direction=targets.fields.direction - 3.0 * slope)
    assert float(joint_distance(aggregate(down, crop).joints, true)) < float(distance.detach())


def test_joint_distances_leave_out_what_is_not_known():
    found = torch.zeros(2, 3, 3, requires_grad=True)
    true = torch.zeros(2, 3, 3)
    true[0, 0] = torch.tensor([0.03, 0.04, 0.0])
    true[0, 1], true[1] = torch.nan, torch.nan
    distance = joint_distance(found, true)
    assert float(distance.detach()) == pytest.approx((0.05 + 1e-4) / 2, rel=1e-4)
    (slope,) = torch.autograd.grad(distance, found)
    assert slope.isfinite().all() and not slope[1].any()
    assert float(joint_distance(found.detach(), true.fill_(torch.nan))) == 0.0


def test_expected_errors_cost_least_where_they_are_the_errors():
    true = torch.zeros(1, 2, 3)
    found = true + torch.tensor([[0.03, 0.04, 0.0]])  # half a unit of 100 mm
    found.requires_grad_()

    def cost(expected):
        log_error = torch.full((1, 2), expected).log().requires_grad_()
        value = error_cost(log_error, found, true)
        return float(value.detach()), *torch.autograd.grad(value, log_error)

    least, slope = cost(0.5)
    assert least == pytest.approx(math.log(50.0) + 1.0, rel=1e-5)  # 50 mm
    torch.testing.assert_close(slope, torch.zeros(1, 2), atol=1e-6, rtol=0)
    assert cost(0.4)[0] > least and cost(0.6)[0] > least
    # Joints do not move to please what was expected of them, and unknown ones say nothing.
    value = error_cost(torch.zeros(1, 2, requires_grad=True), found, true)
    assert torch.autograd.grad(value, found, allow_unused=True) == (None,)
    true[0, 1] = torch.nan
    assert float(error_cost(torch.zeros(1, 2), found, true)) == pytest.approx(math.log(100) + 0.5)
    assert float(error_cost(torch.zeros(1, 2), found, true * torch.nan)) == 0.0
