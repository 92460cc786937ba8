"""Joints that correct each other: what a token knows, and that all tokens are heard."""

import dataclasses

import pytest
import torch
from torch import nn

from hand_pose_ros.networks.dense_votes import DenseFields
from hand_pose_ros.networks.joint_refiner import JointRefiner

JOINTS, CHANNELS, FINE = 5, 6, 4


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def refiner():
    torch.manual_seed(0)
    made = JointRefiner(JOINTS, CHANNELS, FINE, 16).eval()
    nn.init.normal_(made.out.weight, std=0.5)
    return made


@pytest.fixture
def scene():
    """Fields, maps, fine map, position and hand of two crops; the left half shows the hand."""
    shown = torch.zeros(2, 32, 32, dtype=torch.bool)
    shown[..., :16] = True
    fields = DenseFields(
        heat_2d=random(2, JOINTS, 32, 32),
        heat_3d=random(2, JOINTS, 32, 32, seed=1),
        direction=random(2, 3 * JOINTS, 32, 32, seed=2) - 0.5,
    )
    maps, fine = random(2, CHANNELS, 32, 32, seed=3), random(2, FINE, 64, 64, seed=5)
    return fields, maps, fine, random(2, 3, 32, 32, seed=4), shown


@torch.inference_mode()
def test_it_begins_with_no_correction_and_the_same_error_for_all(refiner, scene):
    assert refiner(*scene)[0].any()
    refiner.start()
    correction, log_error = refiner(*scene)
    assert correction.shape == (2, JOINTS, 3) and not correction.any()
    torch.testing.assert_close(log_error.exp(), torch.full((2, JOINTS), 0.12))


@torch.inference_mode()
def test_a_joint_s_votes_change_what_is_said_of_the_others(refiner, scene):
    fields, *rest = scene
    direction = fields.direction.clone()
    direction[:, :3] += 1.0  # those of joint 0 alone
    changed = dataclasses.replace(fields, direction=direction)
    for before, after in zip(refiner(*scene), refiner(changed, *rest), strict=True):
        difference = (after - before).abs().reshape(2, JOINTS, -1).amax(dim=2)
        assert (difference > 1e-4).all()


@torch.inference_mode()
def test_maps_count_where_the_joint_is_seen(refiner, scene):
    fields, maps, *rest = scene
    heat_2d = torch.zeros_like(fields.heat_2d)
    heat_2d[:, :, 8, 8] = 1.0
    fields = dataclasses.replace(fields, heat_2d=heat_2d)
    before = refiner(fields, maps, *rest)[0]
    there, elsewhere = maps.clone(), maps.clone()
    there[:, :, 8, 8] += 1.0
    elsewhere[:, :, 20, 20] += 1.0
    near = (refiner(fields, there, *rest)[0] - before).abs().max()
    far = (refiner(fields, elsewhere, *rest)[0] - before).abs().max()
    assert near > 0.05
    assert far < 1e-4


@torch.inference_mode()
def test_pixels_without_a_hand_do_not_vote(refiner, scene):
    fields, *rest = scene
    direction = fields.direction.clone()
    direction[..., 16:] += 10.0
    changed = refiner(dataclasses.replace(fields, direction=direction), *rest)
    assert all(map(torch.equal, changed, refiner(*scene)))


def test_it_looks_where_r_sees_a_joint():
    """The patch about a cell's centre: what the fine map shows there, rows before columns."""
    refiner = JointRefiner(2, 8, 3, 16).eval()
    fine = torch.zeros(1, 3, 64, 64)
    fine[0, 1, 20:22, 40:42] = 1.0  # the four fine cells of row 10, column 20
    places = torch.tensor([[[20.0, 10.0], [10.0, 20.0]]]) / 16 - 1
    with torch.no_grad():
        patches = refiner._patches(fine, places).unflatten(2, (3, 5, 5))
        beyond = refiner._patches(fine, places - 5.0)
    assert patches[0, 1].abs().max() < 1e-6
    assert patches[0, 0, [0, 2]].abs().max() < 1e-6
    here = patches[0, 0, 1]
    assert here[2, 2] == pytest.approx(1.0, abs=1e-2)
    assert here[2, 3] == pytest.approx(0.5, abs=1e-2)
    assert here[0].abs().max() < 1e-6 and here[:, 4].abs().max() < 1e-6
    assert not beyond.any()


@torch.inference_mode()
def test_hands_do_not_influence_each_other(refiner, scene):
    fields, *rest = scene
    first = DenseFields(
        **{name: getattr(fields, name)[:1] for name in ('heat_2d', 'heat_3d', 'direction')}
    )
    alone = refiner(first, *(tensor[:1] for tensor in rest))
    for own, both in zip(alone, refiner(*scene), strict=True):
        torch.testing.assert_close(own, both[:1], atol=1e-5, rtol=0)
