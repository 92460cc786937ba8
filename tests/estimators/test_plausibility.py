"""Plausibility: two tracks of one hand; hands that the depth image speaks against."""

import numpy as np
import pytest

from hand_pose_ros.estimators.plausibility import (
    agreement,
    contradicted,
    crowded_out,
    doubles,
    in_place,
    measured_share,
)
from hand_pose_ros.estimators.rig_views import views_of
from hand_pose_ros.hand_model.fitting import Fit
from hand_pose_ros.hand_model.kinematics import HandState
from tests.estimators.network_fakes import TRUTH, dark, frame


def fitted(apart, shown):
    """Hands in a row, so far apart, of which the depth image shows these shares."""
    count = len(shown)
    joints = np.zeros((count, 21, 3))
    joints[..., 0] = apart * np.arange(count)[:, None]
    nothing = np.zeros(count)
    state = HandState(
        rotation=np.tile(np.eye(3), (count, 1, 1)), wrist=np.zeros((count, 3)),
        angles=np.zeros((count, 20)), shape=np.zeros((count, 1)),
    )  # fmt: skip
    return Fit(
        state=state, joints=joints, cost=nothing, information=np.zeros((count, 1, 1)),
        covariance=np.zeros((count, 1, 1)), joint_covariance=np.zeros((count, 21, 3, 3)),
        point_weights=np.zeros((1, count, 21)), joint_weights=np.zeros((1, count, 21)),
        depth_points=nothing, depth_share=np.array(shown),
    )  # fmt: skip


@pytest.fixture
def depth():
    return views_of(frame(0))['depth']


def test_of_two_tracks_that_agree_the_younger_one_ends():
    assert doubles(fitted(0.02, (0.9, 0.9)), {8: 0, 3: 1}, duplicate=0.025) == {8}
    assert doubles(fitted(0.03, (0.9, 0.9)), {8: 0, 3: 1}, duplicate=0.025) == set()
    # One that ended ends no other.
    assert doubles(fitted(0.02, (0.9, 0.9, 0.9)), {1: 0, 2: 1, 3: 2}, duplicate=0.025) == {2}
    assert doubles(fitted(0.02, (0.9,)), {1: 0}, duplicate=0.025) == set()


@pytest.mark.parametrize(
    ('apart', 'shown', 'out'),
    [
        (0.06, (0.9, 0.4), {8}),
        (0.06, (0.4, 0.9), {3}),
        (0.06, (0.9, 0.8), set()),  # both are shown: folded hands
        (0.06, (0.0, 0.0), set()),  # without a depth image nobody knows
        (0.09, (0.9, 0.0), set()),
    ],
)
def test_of_two_hands_in_one_place_the_one_with_less_surface_is_not_there(apart, shown, out):
    assert crowded_out(fitted(apart, shown), {3: 0, 8: 1}) == out
    assert crowded_out(fitted(apart, shown[::-1]), {8: 0, 3: 1}) == out


BEFORE, BEHIND = np.array([0.0, 0.0, -0.15]), np.array([0.0, 0.0, 0.2])


@pytest.mark.parametrize('side', (0, 1))
def test_depth_contradicts_hands_far_before_and_far_behind_what_it_measures(depth, side):
    hand = TRUTH[side].joints
    assert not contradicted(hand, depth)
    assert contradicted(hand + BEFORE, depth)
    assert contradicted(hand + BEHIND, depth)
    assert not contradicted(hand + BEHIND / 3, depth)  # behind what it holds
    # Half of it before the table, half of it behind the hand that is there.
    half = np.arange(21)[:, None] % 2
    assert contradicted(hand + half * BEFORE + (1 - half) * BEHIND, depth)
    assert not contradicted(hand + half * BEHIND, depth)


@pytest.mark.parametrize('away', (BEFORE, BEHIND))
def test_depth_that_was_not_measured_contradicts_nothing(depth, away):
    hand = TRUTH[1].joints + away
    assert not contradicted(hand + np.array([5.0, 0.0, 0.0]), depth)  # outside of the image
    assert not contradicted(hand * [1, 1, -1], depth)  # behind the camera
    nothing = views_of(frame(0, depth=dark('depth')))['depth']
    assert not contradicted(hand, nothing)


def test_a_depth_image_that_shows_little_of_a_hand_lets_one_believe_less_in_it(depth):
    hand = TRUTH[1].joints
    measured = measured_share(hand, depth)
    believed = [agreement(share, measured) for share in (0.0, 0.1, 0.3, 0.5, 1.0)]
    assert believed[0] < believed[1] < believed[2] < believed[3] == believed[4] == 1.0
    assert believed[0] < 0.25  # nothing was measured at a few of its joints


def test_a_depth_image_says_nothing_of_what_it_did_not_measure(depth):
    hand = TRUTH[1].joints
    nothing = views_of(frame(0, depth=dark('depth')))['depth']
    assert measured_share(hand, nothing) == 0.0
    assert measured_share(hand + np.array([5.0, 0.0, 0.0]), depth) == 0.0  # outside of the image
    assert measured_share(hand * [1, 1, -1], depth) == 0.0  # behind the camera
    assert agreement(0.0, 0.0) == 1.0
    half = hand + np.array([5.0, 0.0, 0.0]) * (np.arange(21)[:, None] < 10)
    assert measured_share(hand, depth) > measured_share(half, depth) > 0.0
    assert agreement(0.0, 0.9) < agreement(0.0, 0.5) < 1.0


@pytest.mark.parametrize(('unseen', 'scale'), [(0.0, 1.0), (1.0, 0.025 / 0.12)])
def test_a_hand_is_the_less_in_place_the_less_sure_its_joints_are(unseen, scale):
    certain, unsure, lost = (
        in_place(np.tile(np.diag([1.0, 1.0, 98.0]) * 1e-2 * sigma**2, (21, 1, 1)), unseen)
        for sigma in (0.05 * scale, 0.12 * scale, 0.24 * scale)
    )
    assert certain > 0.9 and unsure == pytest.approx(0.5) and 0.0 < lost < 0.1
    assert in_place(np.zeros((21, 3, 3)), unseen) == 1.0
    # One joint of many that is unsure takes little away.
    one = np.zeros((21, 3, 3))
    one[8] = np.eye(3) * (0.1 * scale) ** 2
    assert in_place(one, unseen) > 0.97


def test_doubt_counts_the_more_the_more_of_a_hand_should_have_been_seen():
    doubtful = np.tile(np.eye(3) * 0.04**2 / 3, (21, 1, 1))
    believed = [in_place(doubtful, unseen) for unseen in (0.0, 0.3, 0.7, 1.0)]
    assert believed == sorted(believed, reverse=True)
    assert believed[0] > 0.95 and believed[-1] < 0.3
