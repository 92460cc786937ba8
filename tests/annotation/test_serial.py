"""Serial: the published schedule, its warm start, and its rule for frames that failed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.energies import HandEvidence, hand_evidence
from hand_pose_ros.annotation.serial import (
    Schedule,
    SerialFit,
    handed_by_place,
    reused_where_failed,
)
from hand_pose_ros.networks.hand_layer import HandLayer
from tests.annotation.sessions import exact

VIEWS = ('rgb', 'exo_rgb')
QUICK = Schedule(first=150, steps=40)


@pytest.fixture(scope='module')
def layer():
    return HandLayer()


@pytest.fixture
def evidence():
    """The right hand in the published two views."""
    session = exact()
    whole = hand_evidence(session.evidence.seen_by(VIEWS), 1)
    # Fewer mask and cloud points: the rules are tested here, not the fit.
    return replace(whole, masks=whole.masks[:, :, ::8], cloud=whole.cloud[:, ::8])


def errors(fit, evidence):
    truth = torch.as_tensor(exact().joints[:, fit.side], dtype=torch.float32)
    hands = list(fit.frames(evidence))
    found = [fit.posed(hand, mesh=False)[0][0].detach() for hand in hands]
    away = [(joints - truth[row]).norm(dim=1).mean() for row, joints in enumerate(found)]
    return hands, 1e3 * np.array(away)


def test_the_schedule_is_the_published_one():
    assert Schedule() == Schedule(first=500, steps=300, rate=0.1, decay=0.9, every=50)


def test_it_walks_to_the_hand_and_holds_the_shape_after_the_first_stage(layer, evidence):
    hands, away = errors(SerialFit(side=1, layer=layer, schedule=QUICK), evidence)
    assert away[-1] < 35
    assert torch.equal(hands[0].betas, hands[1].betas)
    assert hands[0].betas.abs().max() > 0


def test_frames_start_from_the_frame_before(layer, evidence):
    fit = SerialFit(side=1, layer=layer, schedule=Schedule(first=3, steps=0))
    hands = list(fit.frames(evidence))
    assert torch.equal(hands[0].translation, hands[1].translation)
    assert torch.equal(hands[0].hand_pose, hands[1].hand_pose)


def test_the_first_stage_starts_flat_at_the_triangulated_joints(layer, evidence):
    fit = SerialFit(side=1, layer=layer, schedule=Schedule(first=0, steps=0))
    hand = next(fit.frames(evidence))
    assert hand.hand_pose.abs().max() == 0 and hand.betas.abs().max() == 0
    middle = evidence.joints[0][torch.isfinite(evidence.joints[0, :, 0])].mean(dim=0)
    assert torch.allclose(hand.translation[0], middle)


def test_a_start_is_found_with_less_evidence(layer, evidence):
    fit = SerialFit(side=1, layer=layer, schedule=Schedule(first=0, steps=0))
    nan = torch.nan
    no_joints = replace(evidence, joints=torch.full_like(evidence.joints, nan))
    place = next(fit.frames(no_joints)).translation[0]
    assert (place - torch.nanmean(evidence.cloud[0], dim=0)).norm() < 1e-5
    no_cloud = replace(no_joints, cloud=torch.full_like(evidence.cloud, nan))
    place = next(fit.frames(no_cloud)).translation[0]
    truth = torch.as_tensor(exact().joints[0, 1].mean(axis=0), dtype=torch.float32)
    assert (place - truth).norm() < 0.2
    nothing = replace(no_cloud, points=torch.full_like(evidence.points, nan))
    assert torch.isfinite(next(fit.frames(nothing)).translation).all()


def two_frames(places) -> HandEvidence:
    """A view of one hand at a place in each frame, NaN = not seen."""
    points = torch.tensor(places, dtype=torch.float32)[None, :, None, None].repeat(1, 1, 21, 2)
    count = len(places)
    return HandEvidence(
        T_cam_world=torch.eye(4).repeat(1, count, 1, 1), exo=(False,), focal=torch.tensor([100.0]),
        points=points, masks=points.clone(), spacing=torch.ones(1, count),
        cloud=torch.zeros(count, 1, 3), joints=torch.zeros(count, 21, 3),
    )  # fmt: skip


def test_failed_frames_repeat_landmarks_and_masks():
    nan = float('nan')
    hand = two_frames([0.0, 0.1, 0.2, 0.3])
    other = two_frames([1.0, nan, 0.21, 1.0])  # lost in frame 1, on top of the hand in frame 2
    kept = reused_where_failed(hand, other)
    for array in (kept.points, kept.masks):
        assert array[0, :, 0, 0].tolist() == pytest.approx([0.0, 0.0, 0.0, 0.3])
    assert hand.points[0, 1, 0, 0] == pytest.approx(0.1), 'the evidence itself was changed'


def test_a_failed_first_frame_has_nothing_to_repeat():
    nan = float('nan')
    kept = reused_where_failed(two_frames([nan, nan, 0.2]), two_frames([nan, 1.0, 1.0]))
    assert torch.isnan(kept.points[0, :2]).all() and kept.points[0, 2, 0, 0] == pytest.approx(0.2)


def test_sides_are_told_by_place_and_exchanged_in_views_that_face_the_wearer():
    session = exact()
    truth = [hand_evidence(session.evidence.seen_by(VIEWS), side) for side in range(2)]
    assert truth[0].exo == (False, True)
    middle = [hand.points[..., 0].nanmean(dim=2) for hand in truth]
    assert (middle[0][0] < middle[1][0]).all(), 'the left hand is left in the ego view'
    assert (middle[0][1] > middle[1][1]).all(), 'and right in the exo view'
    for given in (truth, truth[::-1]):
        found = handed_by_place(*given)
        for side in range(2):
            for name in ('points', 'masks', 'spacing'):
                array, expected = getattr(found[side], name), getattr(truth[side], name)
                assert torch.equal(array.nan_to_num(), expected.nan_to_num()), (side, name)


def test_a_view_that_saw_one_hand_keeps_its_side():
    nan = float('nan')
    left, right = handed_by_place(two_frames([nan, 0.3]), two_frames([0.1, 0.2]))
    assert torch.isnan(left.points[0, 0]).all()
    assert right.points[0, 0, 0, 0] == pytest.approx(0.1)
    # Two in the wrong order are exchanged.
    assert left.points[0, 1, 0, 0] == pytest.approx(0.2)
    assert right.points[0, 1, 0, 0] == pytest.approx(0.3)
