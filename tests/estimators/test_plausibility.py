"""Plausibility: two tracks of one hand; hands that the depth camera sees through or cannot see."""

import numpy as np
import pytest

from hand_pose_ros.estimators.plausibility import covered, crowded_out, doubles, seen_through
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


def test_a_hand_is_seen_through_where_only_things_far_behind_it_are_measured(depth):
    hand = TRUTH[1].joints
    assert not seen_through(hand, depth)
    assert seen_through(hand - np.array([0.0, 0.0, 0.15]), depth)  # in front of where it is


def test_what_hides_a_hand_and_what_was_not_measured_do_not_speak_against_it(depth):
    hand = TRUTH[1].joints
    assert not seen_through(hand + np.array([0.0, 0.0, 0.3]), depth)
    assert not seen_through(hand + np.array([5.0, 0.0, 0.0]), depth)  # outside of the image
    assert not seen_through(hand * [1, 1, -1], depth)  # behind the camera
    nothing = views_of(frame(0, depth=dark('depth')))['depth']
    assert not seen_through(hand - np.array([0.0, 0.0, 0.15]), nothing)


def test_no_camera_sees_a_hand_far_behind_what_is_measured(depth):
    hand = TRUTH[1].joints
    behind = np.array([0.0, 0.0, 0.2])
    assert covered(hand + behind, depth)
    assert not covered(hand, depth)
    assert not covered(hand + behind / 3, depth)  # behind what it holds
    assert not covered(hand - behind, depth)
    assert not covered(hand + behind + np.array([5.0, 0.0, 0.0]), depth)  # outside of the image
    assert not covered((hand + behind) * [1, 1, -1], depth)  # behind the camera
    nothing = views_of(frame(0, depth=dark('depth')))['depth']
    assert not covered(hand + behind, nothing)
