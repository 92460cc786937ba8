"""Completers learn from poses alone and from what was found."""

import math

import pytest
import torch

from hand_pose_ros.networks.hand_completer import HandCompleter
from hand_pose_ros.training.completion import FoundHands, joined, rehearsal, train_completer

JOINTS = 6


def line_hands(count, seed=0):
    """Hands whose joints lie on a line at equal distances, all but two of them shown."""
    generator = torch.Generator().manual_seed(seed)
    start = 0.1 * torch.randn(count, 1, 3, generator=generator)
    step = torch.randn(count, 1, 3, generator=generator)
    step = 0.3 * step / step.norm(dim=2, keepdim=True)
    true = start + step * torch.arange(JOINTS)[:, None]
    visible = torch.ones(count, JOINTS, dtype=torch.bool)
    visible[:, -2:] = False
    error = torch.where(visible, 0.02, 0.4)
    noise = torch.randn(true.shape, generator=generator) * (error / 1.6)[..., None]
    return FoundHands(joints=true + noise, log_error=error.log(), true=true, visible=visible)


def distances(joints, hands):
    return (joints - hands.true).norm(dim=-1)


@pytest.fixture(scope='module')
def taught():
    torch.manual_seed(0)
    completer = HandCompleter(JOINTS, 64)
    completer.start()
    told = []
    train_completer(
        completer, line_hands(4000), torch.Generator().manual_seed(0), poses=400, found=400,
        report=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told[0] == (1, 800)
    assert told[-1] == (800, 800)
    return completer


def test_hidden_joints_follow_from_the_others(taught):
    hands = line_hands(500, seed=1)
    with torch.no_grad():
        joints, _ = taught(hands.joints, hands.log_error)
    before, after = distances(hands.joints, hands), distances(joints, hands)
    hidden = ~hands.visible
    assert float(after[hidden].mean()) < 0.5 * float(before[hidden].mean())
    assert float(after[hands.visible].mean()) < 2.0 * float(before[hands.visible].mean())


def test_completed_hands_are_expected_to_be_as_far_off_as_they_are(taught):
    hands = line_hands(500, seed=2)
    with torch.no_grad():
        joints, log_error = taught(hands.joints, hands.log_error)
    off, expected = distances(joints, hands), log_error.exp()
    for some in (hands.visible, ~hands.visible):
        assert float(expected[some].mean()) == pytest.approx(float(off[some].mean()), rel=0.3)


def test_training_repeats_from_a_seed():
    results = []
    for _ in range(2):
        torch.manual_seed(0)
        completer = HandCompleter(JOINTS, 16)
        train_completer(
            completer, line_hands(100), torch.Generator().manual_seed(3), poses=5, found=5
        )
        results.append(torch.cat([weight.detach().flatten() for weight in completer.parameters()]))
    assert torch.equal(*results)


def test_rehearsed_errors_are_as_expected_and_hidden_joints_stay_hidden():
    hands = line_hands(4000)
    seen = rehearsal(hands, torch.Generator().manual_seed(0))
    off = (seen.joints - hands.true).norm(dim=-1) / seen.log_error.exp()
    assert float(off.mean()) == pytest.approx(1.0, abs=0.03)
    assert torch.equal(seen.true, hands.true)
    assert not (seen.visible & ~hands.visible).any()
    dropped = 1.0 - float(seen.visible[hands.visible].float().mean())
    assert 0.03 < dropped < 0.12
    shown, hidden = seen.log_error[seen.visible], seen.log_error[~seen.visible]
    assert float(shown.median()) == pytest.approx(math.log(0.07), abs=0.05)
    assert float(hidden.median()) == pytest.approx(math.log(0.20), abs=0.05)


def test_parts_are_joined_in_order():
    one, other = line_hands(3), line_hands(2, seed=1)
    both = joined([one, other])
    assert torch.equal(both.true, torch.cat([one.true, other.true]))
    assert torch.equal(both.rows(torch.tensor([4])).joints, other.joints[1:])
