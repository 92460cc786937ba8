"""Hands that are looked at more than once: looks joined by how sure they are, then completed."""

import dataclasses

import pytest
import torch

from hand_pose_ros.networks.dense_crop import UNIT, crop_cubes
from hand_pose_ros.networks.dense_hands import find_hands, joined, look_turns
from hand_pose_ros.networks.dense_votes import DenseJoints, aggregate, dense_targets
from tests.networks.dense_scene import cameras, depth_of, hand

TURNS = (-0.3, 0.0, 0.4)


def looks_at(joints, turns=TURNS):
    """Crops of the hands, look by look, and perfect fields of each."""
    count, turn = len(joints), look_turns(turns, len(joints))
    looks = len(turns)
    crop = crop_cubes(
        depth_of(joints).repeat(looks, 1, 1, 1), cameras(count * looks),
        joints.mean(dim=1).repeat(looks, 1),
        mirrored=torch.tensor([True, False] * count)[:count].repeat(looks), turn=turn,
    )  # fmt: skip
    return dense_targets(crop, joints.repeat(looks, 1, 1), 2.0).fields, crop


def found(joints, error=None, spread=0.01):
    """Results of looks at one hand, all of whose joints are in one place."""
    values = torch.tensor(joints)[:, None, None].expand(-1, 21, 3).clone()
    errors = None if error is None else torch.tensor(error)[:, None].expand(-1, 21).clone()
    return DenseJoints(joints=values, spread=torch.full((len(joints), 21), spread), error=errors)


def test_looks_come_one_after_the_other():
    assert torch.equal(look_turns((0.0,), 3), torch.zeros(3))
    assert torch.equal(look_turns((-0.5, 0.25), 2), torch.tensor([-0.5, -0.5, 0.25, 0.25]))


def test_every_look_votes_for_the_same_joints():
    """Turned crops bring their joints back to the camera's frame."""
    joints = torch.cat([hand(0), hand(1)])
    fields, crop = looks_at(joints)
    alone = aggregate(fields, crop).joints.unflatten(0, (3, 2))
    for look in alone:
        assert (look - joints).norm(dim=-1).median() < 0.002
    together = find_hands(fields, crop, looks=3)
    assert torch.allclose(together.joints, alone.mean(dim=0), atol=1e-6)
    assert together.spread.shape == (2, 21) and together.error is None


def test_one_look_is_what_its_votes_say():
    joints = torch.cat([hand(0), hand(1)])
    fields, crop = looks_at(joints, turns=(0.0,))
    assert torch.equal(find_hands(fields, crop).joints, aggregate(fields, crop).joints)


def test_the_surer_look_counts_more():
    hands = joined(found([0.1, 0.2], error=[0.01, 0.02]), 2)  # weights 4 and 1
    assert torch.allclose(hands.joints, torch.tensor(0.12))
    assert torch.allclose(hands.error, torch.tensor(0.012))
    assert torch.allclose(hands.spread, torch.tensor(0.01))


def test_a_look_that_found_nothing_does_not_count():
    nothing, something = float('nan'), 0.3
    hands = joined(found([nothing, something], error=[nothing, 0.02]), 2)
    assert torch.allclose(hands.joints, torch.tensor(0.3))
    assert torch.allclose(hands.error, torch.tensor(0.02))
    hands = joined(found([nothing, nothing], error=[nothing, nothing]), 2)
    assert torch.isnan(hands.joints).all() and torch.isnan(hands.error).all()
    assert torch.isnan(hands.spread).all()


@pytest.mark.parametrize('turns', [(0.0,), TURNS])
def test_hands_are_completed_once_they_are_joined(turns):
    joints = torch.cat([hand(0), hand(1)])
    fields, crop = looks_at(joints, turns)
    seen = []

    def complete(normalised, log_error):
        seen.append((normalised, log_error))
        return normalised + torch.tensor([0.0, 0.0, 0.5]), log_error - 1.0

    fields = dataclasses.replace(
        fields, log_error=torch.full(fields.heat_3d.shape[:2], 0.02 / UNIT).log()
    )
    looks = len(turns)
    before = find_hands(fields, crop, looks=looks)
    after = find_hands(fields, crop, looks=looks, complete=complete)
    assert [one.shape for one in seen[0]] == [(2, 21, 3), (2, 21)] and len(seen) == 1
    moved = (after.joints - before.joints).norm(dim=-1)
    assert torch.allclose(moved, torch.tensor(0.05), atol=1e-5)  # 0.5 of 100 mm, whatever the turn
    assert torch.allclose(after.error, before.error / torch.e)


def test_a_hand_that_no_look_shows_stays_unknown_when_completed():
    joints = torch.cat([hand(0), hand(1)])
    fields, crop = looks_at(joints)
    crop.image[1::2] = -1.0
    fields = dataclasses.replace(fields, log_error=torch.zeros(fields.heat_3d.shape[:2]))
    hands = find_hands(fields, crop, looks=3, complete=lambda found, error: (found, error))
    assert torch.isfinite(hands.joints[0]).all() and torch.isnan(hands.joints[1]).all()
    assert torch.isnan(hands.error[1]).all()
