"""TherFormer's loss: exact values, what counts and what does not, the mask's cap."""

import dataclasses
import math

import pytest
import torch
from torch.nn import functional

from hand_pose_ros.networks.therformer import TherFormerOutput
from hand_pose_ros.training.losses.therformer import TherFormerLossConfig, therformer_loss
from tests.networks.therformer_scene import tiny
from tests.training.fakes import make_batch

SIZE = (256, 320)


@pytest.fixture
def batch():
    """Two clips of two frames."""
    return make_batch(2, frames=2, size=SIZE)


def perfect(batch, logit=30.0):
    """The output whose pose is the truth and whose mask is sure of it."""
    mask = functional.interpolate(
        (batch.hand_mask > 0).float()[:, None], (32, 40), mode='nearest-exact'
    )
    joints = batch.joints.flatten(1, 2).nan_to_num()
    return TherFormerOutput(
        joints=joints,
        pixels=batch.pixels.flatten(1, 2).nan_to_num(),
        depth=joints[..., 2:],
        mask_logits=(2 * mask - 1) * logit,
    )


def located(batch, logit, mask=30.0):
    """The perfect output that is sure of the cells in which the joints lie."""
    cells = ((batch.pixels.flatten(1, 2) + 0.5) / 8).floor().long()  # (N, 42, 2)
    known = (cells >= 0).all(-1) & (cells < torch.tensor([40, 32])).all(-1)
    maps = torch.zeros(len(cells), 42, 32, 40)
    frames, joints = known.nonzero(as_tuple=True)
    x, y = cells[frames, joints].unbind(-1)
    maps[frames, joints, y, x] = logit
    return dataclasses.replace(perfect(batch, mask), joint_logits=maps)


def learnable(output):
    """The output with its tensors as leaves, and these."""
    given = {name: value for name, value in vars(output).items() if value is not None}
    leaves = {name: value.clone().requires_grad_() for name, value in given.items()}
    return TherFormerOutput(**leaves), leaves


def gradients(output, batch, config=None):
    output, leaves = learnable(output)
    loss = therformer_loss(output, batch, config)
    loss['total'].backward()
    found = {name: leaf.grad for name, leaf in leaves.items()}
    return {name: value.detach() for name, value in loss.items()}, found


def shifted(output, **by):
    return dataclasses.replace(
        output, **{name: getattr(output, name) + value for name, value in by.items()}
    )


def changed(batch, **changes):
    return dataclasses.replace(batch, **changes)


def marked(batch, share):
    """The batch with a hand on a share of the cells of the grid."""
    cells = torch.zeros(1280)
    cells[: round(share * 1280)] = 1
    mask = functional.interpolate(cells.view(1, 1, 32, 40), SIZE)[:, 0].to(torch.uint8)
    return changed(batch, hand_mask=mask.expand(4, -1, -1))


def test_the_truth_costs_nothing(batch):
    assert all(float(value) < 1e-6 for value in therformer_loss(perfect(batch), batch).values())


def test_the_weights_are_1_100_and_100(batch):
    output = perfect(batch)
    for name, size, weight in (('pixels', 3.0, 1), ('depth', 0.02, 100), ('joints', 0.03, 100)):
        loss = therformer_loss(shifted(output, **{name: size}), batch)
        term = 'points' if name == 'joints' else name
        assert float(loss[term]) == pytest.approx(size, rel=1e-4)
        assert float(loss['total']) == pytest.approx(weight * size, rel=1e-3)
    config = TherFormerLossConfig(pixel_weight=2, depth_weight=3, point_weight=5)
    loss = therformer_loss(shifted(output, pixels=1.0, depth=1.0, joints=1.0), batch, config)
    assert float(loss['total']) == pytest.approx(10, rel=1e-4)


def test_errors_are_means_over_frames_joints_and_coordinates(batch):
    output = perfect(batch)
    output.pixels[1, 5, 0] += 84.0
    loss = therformer_loss(output, batch)
    assert float(loss['pixels']) == pytest.approx(84 / (4 * 42 * 2), rel=1e-4)


def test_the_mask_costs_weighted_cross_entropy_on_the_logit(batch):
    output = dataclasses.replace(perfect(batch), mask_logits=torch.full((4, 1, 32, 40), 0.7))
    output = shifted(output, pixels=1000.0)  # far below the cap
    loss = therformer_loss(output, marked(batch, 0.05))
    p = 1 / (1 + math.exp(-0.7))
    expected = -(0.95 * math.log(1 - p) + 0.05 * 30 * math.log(p))
    assert float(loss['mask']) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(('share', 'cost'), [(0.02, 0.87), (0.05, 1.13), (0.10, 1.56)])
def test_the_released_form_charges_even_a_perfect_mask(batch, share, cost):
    batch = marked(batch, share)
    output = shifted(perfect(batch, logit=100.0), pixels=1000.0)
    legacy = TherFormerLossConfig(legacy_mask_loss=True)
    found = float(therformer_loss(output, batch, legacy)['mask'])
    exact = (1 - share) * math.log(2) + 30 * share * math.log(1 + 1 / math.e)
    assert found == pytest.approx(exact, rel=5e-3)
    assert found == pytest.approx(cost, abs=0.02)
    assert float(therformer_loss(output, batch)['mask']) < 1e-6


def test_the_mask_costs_at_most_a_quarter_of_the_pose(batch):
    output = shifted(perfect(batch, logit=-5.0), pixels=2.0)
    for legacy in (False, True):
        config = TherFormerLossConfig(legacy_mask_loss=legacy)
        loss = therformer_loss(output, batch, config)
        assert float(loss['mask']) == pytest.approx(0.5, rel=1e-4)
        assert float(loss['total']) == pytest.approx(2.5, rel=1e-4)


def test_the_mask_head_learns_while_capped_and_the_pose_gradient_is_its_own(batch):
    output = shifted(perfect(batch, logit=-1.0), pixels=2.0)
    _, capped = gradients(output, batch)
    _, legacy = gradients(output, batch, TherFormerLossConfig(legacy_mask_loss=True))
    assert capped['mask_logits'].abs().max() > 0
    assert legacy['mask_logits'].abs().max() == 0
    pose = 1 / (4 * 42 * 2)
    torch.testing.assert_close(capped['pixels'], torch.full((4, 42, 2), pose))
    torch.testing.assert_close(legacy['pixels'], torch.full((4, 42, 2), 1.25 * pose))
    # The capped gradient is the uncapped one, scaled.
    _, free = gradients(shifted(output, pixels=1e4), batch)
    scale = (capped['mask_logits'] / free['mask_logits']).flatten()
    torch.testing.assert_close(scale, scale[:1].expand_as(scale), rtol=1e-4, atol=1e-6)
    assert 0 < float(scale[0]) < 1


def test_padded_frames_change_nothing(batch):
    keep = torch.tensor([1.0, 0.0, 1.0, 0.0])
    padded = changed(batch, not_padding=keep)
    output = shifted(located(batch, 2.0, mask=0.5), pixels=3.0, depth=0.02, joints=0.01)
    parts = {name: value for name, value in vars(output).items() if value is not None}
    spoilt = {name: value.clone() for name, value in parts.items()}
    for value in spoilt.values():
        value[keep == 0] = 7.0
    spoilt = TherFormerOutput(**spoilt)
    short = therformer_loss(
        TherFormerOutput(**{name: value[::2] for name, value in parts.items()}),
        changed(batch, frames=1).select(torch.tensor([0, 2])),
    )
    loss, found = gradients(spoilt, padded)
    for name, value in loss.items():
        assert value.item() == pytest.approx(short[name].item(), rel=1e-5), name
    for gradient in found.values():
        assert not gradient[keep == 0].any()
        assert gradient[keep == 1].any()


def test_hands_and_joints_without_label_take_no_part(batch):
    output = shifted(perfect(batch, logit=0.5), pixels=3.0, depth=0.02, joints=0.01)
    expected = therformer_loss(output, batch)
    joints, pixels = batch.joints.clone(), batch.pixels.clone()
    joints[0, 1], pixels[0, 1] = torch.nan, torch.nan  # a hand
    joints[2, 0, 4], pixels[2, 0, 4] = torch.nan, torch.nan  # a joint
    valid = {name: flags.clone() for name, flags in batch.valid.items()}
    for name in ('joints_3d', 'joints_2d'):
        valid[name][1, 0] = False  # labels that are there but wrong
    joints[1, 0], pixels[1, 0] = 99.0, 1e4
    partly = changed(batch, joints=joints, pixels=pixels, valid=valid)
    loss, found = gradients(output, partly)
    for name, value in loss.items():
        assert value.item() == pytest.approx(expected[name].item(), rel=1e-4), name
    for name in ('joints', 'pixels', 'depth'):
        gradient = found[name].unflatten(1, (2, 21))
        assert gradient.isfinite().all()
        assert not gradient[0, 1].any() and not gradient[1, 0].any()
        assert not gradient[2, 0, 4].any() and gradient[2, 0, 5].any()


def test_pixels_alone_can_be_labelled(batch):
    valid = {**batch.valid, 'joints_3d': torch.zeros(4, 2, dtype=torch.bool)}
    flat = changed(batch, joints=torch.full_like(batch.joints, torch.nan), valid=valid)
    loss, found = gradients(shifted(perfect(batch), pixels=3.0, joints=1.0), flat)
    assert float(loss['total']) == pytest.approx(3.0, rel=1e-4)
    assert not found['joints'].any() and not found['depth'].any()


def test_without_pose_labels_the_mask_is_not_capped(batch):
    none = {name: torch.zeros(4, 2, dtype=torch.bool) for name in batch.valid}
    unlabelled = changed(batch, valid={**none, 'mask': batch.valid['mask']})
    loss, found = gradients(perfect(batch, logit=-1.0), unlabelled)
    assert float(loss['mask']) > 1
    assert found['mask_logits'].any() and not found['pixels'].any()


def test_frames_without_mask_labels_take_no_part(batch):
    output = shifted(perfect(batch, logit=-1.0), pixels=1000.0)
    valid = {**batch.valid, 'mask': torch.tensor([[True, True], [True, False]] * 2)}
    loss, found = gradients(output, changed(batch, valid=valid))
    expected = therformer_loss(output, batch)  # all frames have the same mask
    assert float(loss['mask']) == pytest.approx(float(expected['mask']), rel=1e-5)
    assert not found['mask_logits'][1::2].any() and found['mask_logits'][::2].any()
    without = therformer_loss(output, changed(batch, hand_mask=None))
    assert float(without['mask']) == 0


def test_a_batch_without_any_label_gives_zero_and_a_gradient_of_zeros(batch):
    none = {name: torch.zeros(4, 2, dtype=torch.bool) for name in batch.valid}
    network = tiny().train()
    output = network(batch.image, batch.intrinsics, frames=2)
    loss = therformer_loss(output, changed(batch, valid=none, hand_mask=None))
    loss['total'].backward()
    assert loss['total'].item() == 0
    assert not any(p.grad.any() for p in network.parameters() if p.grad is not None)


def test_a_network_learns_a_batch_and_its_mask_makes_anchors():
    batch = make_batch(1, frames=2, size=SIZE)
    warm = torch.zeros(2, *SIZE, dtype=torch.uint8)
    warm[:, 100:164, 60:140], warm[:, 80:144, 190:270] = 1, 2
    image = (0.2 * batch.image + 0.7 * (warm > 0)[:, None]).clamp(0, 1)
    batch = changed(batch, image=image, hand_mask=warm)
    network = tiny().train()
    with torch.no_grad():
        network.mask_head[3].weight /= 12  # as a new network: undecided everywhere
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    totals, rates = [], []
    for _ in range(30):
        output = network(batch.image, batch.intrinsics, frames=2, not_padding=batch.not_padding)
        loss = therformer_loss(output, batch)
        optimiser.zero_grad()
        loss['total'].backward()
        optimiser.step()
        totals.append(loss['total'].item())
        rates.append(output.anchor_rate.mean().item())
    assert totals[-1] < 0.7 * totals[0]
    hands = (warm > 0).float().mean().item()
    assert rates[0] < 0.01
    assert 0.7 * hands < rates[-1] < 2 * hands


def test_maps_of_joints_learn_the_cells_they_lie_in(batch):
    # Nothing can cost less than the entropy of the Gaussian about the joint.
    pixels = torch.full_like(batch.pixels, 100.0 - 0.5)  # in the middle of cell 12
    batch = changed(batch, pixels=pixels)
    config = TherFormerLossConfig(cell_weight=2.0)
    ideal = -0.5 * ((torch.arange(40) - 12) / 0.75).square()
    ideal = ideal[:32, None] + ideal[None]  # (32, 40)
    output = dataclasses.replace(
        perfect(batch), joint_logits=ideal.expand(4, 42, -1, -1).contiguous()
    )
    loss, slopes = gradients(output, batch, config)
    shares = ideal.flatten().softmax(0)
    assert float(loss['cells']) == pytest.approx(float(torch.special.entr(shares).sum()), rel=1e-4)
    assert float(loss['total']) == pytest.approx(2.0 * float(loss['cells']), rel=1e-4)
    assert float(slopes['joint_logits'].abs().max()) < 1e-7
    even = dataclasses.replace(output, joint_logits=torch.zeros(4, 42, 32, 40))
    assert float(therformer_loss(even, batch)['cells']) == pytest.approx(math.log(1280), rel=1e-4)


def test_joints_outside_of_the_image_or_without_label_have_no_cell(batch):
    pixels = batch.pixels.clone()
    pixels[:, 0] = torch.tensor([-0.6, 100.0])  # left of the first pixel
    pixels[:, 1, :20] = torch.nan
    batch = changed(batch, pixels=pixels)
    output = dataclasses.replace(
        perfect(batch), joint_logits=torch.zeros(4, 42, 32, 40, requires_grad=True)
    )
    loss = therformer_loss(output, batch)
    assert float(loss['cells']) == pytest.approx(math.log(1280), rel=1e-4)
    (slope,) = torch.autograd.grad(loss['cells'], output.joint_logits)
    assert float(slope[:, :41].abs().max()) == 0.0 < float(slope[:, 41].abs().max())
    nowhere = changed(batch, pixels=torch.full_like(pixels, torch.nan))
    assert float(therformer_loss(output, nowhere)['cells']) == 0.0


def test_certain_maps_in_the_right_cells_cost_less_than_in_others(batch):
    right = therformer_loss(located(batch, 8.0), batch)['cells']
    maps = located(batch, 8.0).joint_logits
    wrong = dataclasses.replace(perfect(batch), joint_logits=maps.roll(5, dims=3))
    assert float(right) < float(therformer_loss(wrong, batch)['cells']) - 1.0


def test_relative_errors_are_blind_to_where_the_hand_is(batch):
    config = TherFormerLossConfig(relative_weight=3.0)
    truth = perfect(batch)
    assert 'relative' not in therformer_loss(truth, batch)
    moved = truth.joints + torch.tensor([0.3, -0.2, 0.1])
    loss = therformer_loss(dataclasses.replace(truth, joints=moved), batch, config)
    assert float(loss['relative']) == pytest.approx(0.0, abs=1e-6)
    assert float(loss['points']) == pytest.approx(0.2, rel=1e-4)
    bent = truth.joints.clone()
    bent[:, 21 + 8, 2] += 0.042  # one of 2 x 21 joints, one of three coordinates
    output = dataclasses.replace(truth, joints=bent)
    loss = therformer_loss(output, batch, config)
    assert float(loss['relative']) == pytest.approx(0.042 / 126, rel=1e-4)
    without = therformer_loss(output, batch)
    difference = float(loss['total'] - without['total'])
    assert difference == pytest.approx(3.0 * 0.042 / 126, rel=1e-3)


def test_relative_errors_need_the_wrist(batch):
    joints = batch.joints.clone()
    joints[:, 0, 0] = torch.nan
    batch = changed(batch, joints=joints)
    output = perfect(batch)
    moved = output.joints.nan_to_num(0.0)
    moved[:, 5] += 0.1
    output = dataclasses.replace(output, joints=moved.requires_grad_())
    loss = therformer_loss(output, batch, TherFormerLossConfig(relative_weight=1.0))
    assert float(loss['relative']) == pytest.approx(0.0, abs=1e-6)
    (slope,) = torch.autograd.grad(loss['relative'], output.joints)
    assert bool(slope.isfinite().all()) and not slope[:, :21].any()
