"""Hands are completed from what is known of them."""

import math

import pytest
import torch

from hand_pose_ros.networks.hand_completer import HandCompleter

JOINTS = 5


@pytest.fixture
def hands():
    generator = torch.Generator().manual_seed(0)
    joints = torch.randn(6, JOINTS, 3, generator=generator)
    log_error = torch.full((6, JOINTS), math.log(0.05))
    return joints, log_error


@pytest.fixture
def taught():
    torch.manual_seed(0)
    return HandCompleter(JOINTS, 16).eval()


def test_a_new_completer_changes_nothing(hands):
    completer = HandCompleter(JOINTS, 16)
    completer.start()
    joints, log_error = completer(*hands)
    assert torch.equal(joints, hands[0])
    assert torch.equal(log_error, hands[1])


def test_where_a_hand_is_makes_no_difference(taught, hands):
    joints, log_error = taught(*hands)
    moved, same = taught(hands[0] + torch.tensor([0.3, -0.2, 0.1]), hands[1])
    assert torch.allclose(moved - joints, torch.tensor([0.3, -0.2, 0.1]), atol=1e-5)
    assert torch.allclose(same, log_error, atol=1e-5)
    assert not torch.allclose(joints, hands[0], atol=1e-3)


def test_a_joint_nobody_believes_in_says_nothing_about_where_the_hand_is(taught, hands):
    joints, log_error = hands
    log_error = log_error.clone()
    log_error[:, 2] = math.log(1e4)
    astray = joints.clone()
    astray[:, 2] += 1e-3 * torch.ones(3)
    near, far = taught(joints, log_error)[0], taught(astray, log_error)[0]
    others = [0, 1, 3, 4]
    # The joint itself is read, but the others' middle is not moved by it.
    assert torch.allclose(near[:, others], far[:, others], atol=1e-3)


def test_hands_do_not_know_of_each_other_and_slopes_reach_all(taught, hands):
    together = taught(*hands)[0]
    alone = torch.cat([taught(hands[0][i : i + 1], hands[1][i : i + 1])[0] for i in range(6)])
    assert torch.allclose(together, alone, atol=1e-6)
    sum(value.square().sum() for value in taught(*hands)).backward()
    assert all(torch.isfinite(weight.grad).all() for weight in taught.parameters())


@pytest.mark.parametrize('error', [0.0, 1e-9, 1e9])
def test_any_expected_error_gives_numbers(taught, hands, error):
    log_error = torch.full_like(hands[1], math.log(error) if error else -torch.inf)
    joints, _ = taught(hands[0], log_error)
    assert torch.isfinite(joints).all()
