"""Tracking: motion, sides, shapes and identities of tracks."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.estimators.landmarks_config import LandmarksConfig, landmarks_config
from hand_pose_ros.estimators.tracking import Track, Tracker
from hand_pose_ros.hand_model.fitting import Fit
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.hand_model.model_files import load_hand_model

MODEL = FittingModel(load_hand_model('right'), surface=10)
FREEDOM = 6 + len(MODEL.degrees)
FRAME = 33_333_333


def state(x: float = 0.0, turn: float = 0.0) -> HandState:
    relaxed = MODEL.state(1)
    return HandState(
        rotation=Rotation.from_euler('z', turn).as_matrix()[None],
        wrist=np.array([[x, 0.0, 0.5]]),
        angles=relaxed.angles,
        shape=relaxed.shape,
    )


def fit_of(found: HandState, information: float = 100.0) -> Fit:
    size = FREEDOM + MODEL.shapes
    return Fit(
        state=found, joints=np.zeros((1, 21, 3)),
        cost=np.zeros(1), information=np.eye(size)[None] * information,
        covariance=np.eye(size)[None], joint_covariance=np.tile(np.eye(3), (1, 21, 1, 1)),
        point_weights=np.ones((1, 1, 21)), joint_weights=np.zeros((0, 1, 21)),
            depth_points=np.zeros(1), depth_share=np.zeros(1),
    )  # fmt: skip


def tracker(**options) -> Tracker:
    config = landmarks_config({'tracking': options}) if options else LandmarksConfig()
    return Tracker(config, MODEL.shapes, FREEDOM)


def begun(of: Tracker, side: int, votes: float, stamp: int = 0) -> Track:
    return of.begin(side, votes, state(), stamp)


def test_a_moving_hand_is_expected_farther_on():
    track = begun(tracker(), 1, 1.0)
    for number in range(10):
        track.update(fit_of(state(x=0.01 * number, turn=0.05 * number)), 0, number * FRAME)
    expected = track.predict(10 * FRAME)
    assert expected.wrist[0, 0] == pytest.approx(0.10, abs=0.003)
    turned = Rotation.from_matrix(expected.rotation[0]).as_euler('zyx')[0]
    assert turned == pytest.approx(0.5, abs=0.02)


def test_predictions_slow_down_and_stay_finite():
    track = begun(tracker(), 1, 1.0)
    for number in range(10):
        track.update(fit_of(state(x=0.03 * number)), 0, number * FRAME)
    places = [track.predict(9 * FRAME + int(s * 1e9)).wrist[0, 0] for s in (0, 0.1, 0.2, 10.0)]
    steps = np.diff(places)
    assert steps[0] > steps[1] > 0
    assert places[-1] < 0.27 + 0.9 * 0.12 + 1e-6


def test_speeds_no_human_reaches_are_not_believed():
    track = begun(tracker(), 1, 1.0)
    track.update(fit_of(state()), 0, 0)
    track.update(fit_of(state(x=5.0)), 0, FRAME)
    assert abs(track.rate[3]) <= 3.0


def test_one_left_and_one_right_at_most():
    two = tracker()
    assert two.free_side(2.0) == 1
    begun(two, 1, 2.0)
    assert two.free_side(2.0) == 0
    begun(two, 0, -2.0)
    assert two.free_side(2.0) is None
    many = tracker(one_per_side=False)
    begun(many, 1, 2.0)
    assert many.free_side(2.0) == 1


def test_a_few_wrong_votes_do_not_change_sides_but_many_do():
    one = tracker()
    track = begun(one, 1, 2.0)
    for _ in range(2):
        track.vote(0.1, 1.0)
    assert one.wrong_sides() == []
    for _ in range(20):
        track.vote(0.05, 1.0)
    assert one.wrong_sides() == [track]


def test_sides_of_two_hands_change_together():
    two = tracker()
    first, second = begun(two, 1, 0.5), begun(two, 0, 0.4)
    for _ in range(10):
        first.vote(0.2, 1.0)
        second.vote(0.9, 1.0)
    assert {track.number for track in two.wrong_sides()} == {first.number, second.number}
    # Both look right, one more so: the assignment is relative.
    both = tracker()
    left, right = begun(both, 0, 3.0), begun(both, 1, 6.0)
    assert both.wrong_sides() == []
    left.votes, right.votes = 20.0, 5.0
    assert len(both.wrong_sides()) == 2


def test_presence_follows_what_is_seen_smoothly():
    track = begun(tracker(), 1, 1.0)
    for _ in range(2):
        track.look(1.0)
    assert track.presence == pytest.approx(1.0 - 0.5 * 0.6**2)
    track.look(0.0)
    assert track.presence == pytest.approx(0.6 * (1.0 - 0.5 * 0.6**2))


def test_votes_without_presence_do_not_count():
    track = begun(tracker(), 1, 0.0)
    track.vote(0.0, 0.0)
    assert track.votes == 0.0


def test_the_shape_is_learned_then_frozen_and_kept_for_the_next_hand():
    one = tracker(shape_time=0.2)
    track = begun(one, 1, 2.0)
    before = track.prior_precision().copy()
    for number in range(8):
        track.update(fit_of(state(), 1e4), 0, number * FRAME)
    assert track.shape_frozen
    assert np.all(np.diag(track.shape_precision) > np.diag(np.eye(MODEL.shapes)))
    assert np.all(np.diag(track.prior_precision()) > np.diag(before))
    shaped = HandState(
        rotation=track.state.rotation, wrist=track.state.wrist, angles=track.state.angles,
        shape=np.full((1, MODEL.shapes), 0.7),
    )  # fmt: skip
    track.state = shaped
    one.end(track)
    assert one.tracks == []
    for side in (1, 0):  # the other hand of the same person has the same shape
        np.testing.assert_array_equal(one.shape(side)[0], np.full(MODEL.shapes, 0.7))
    apart = tracker(shared_shape=False)
    apart.end(begun(apart, 1, 1.0))
    np.testing.assert_array_equal(apart.shape(0)[0], np.zeros(MODEL.shapes))


def test_reset_forgets_hands_but_not_their_numbers():
    one = tracker()
    number = begun(one, 1, 1.0).number
    one.reset()
    assert one.tracks == []
    assert begun(one, 1, 1.0).number > number


def test_filtered_states_are_smoother_and_lag_little():
    track = begun(tracker(), 1, 1.0)
    generator = np.random.default_rng(0)
    raw, smooth = [], []
    for number in range(60):
        noisy = state(x=float(generator.normal(0, 0.001)))
        track.update(fit_of(noisy), 0, number * FRAME)
        raw.append(noisy.wrist[0, 0])
        smooth.append(track.filtered(number * FRAME).wrist[0, 0])
    assert np.std(smooth[20:]) < 0.7 * np.std(raw[20:])
