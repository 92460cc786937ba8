"""Network tracking: identity, states, smoothing and honest predictions by side."""

import numpy as np
import pytest

from hand_pose_ros.estimators.network_config import SideTrackingConfig
from hand_pose_ros.estimators.network_tracking import SideTracker, Sighting
from hand_pose_ros.hand_model.hand_pose import HandModelParameters

FRAME = 33_333_333
SHAPE = np.random.default_rng(0).normal(0, 0.04, (21, 3))


def sighting(place=(0.0, 0.0, 0.4), confidence=0.9, **changes) -> Sighting:
    return Sighting(
        joints=SHAPE + place, covariance=np.tile(np.eye(3) * 1e-4, (21, 1, 1)),
        confidence=np.full(21, confidence), joints_2d={'thermal': np.zeros((21, 2))},
        sources=('thermal',), **changes,
    )  # fmt: skip


@pytest.fixture
def tracker() -> SideTracker:
    return SideTracker(SideTrackingConfig())


def test_each_side_keeps_its_identity(tracker):
    seen = {0: sighting((-0.1, 0, 0.4)), 1: sighting((0.1, 0, 0.4))}
    first = {pose.side: pose.track_id for pose in tracker.update(0, seen)}
    assert first.keys() == {'left', 'right'} and len(set(first.values())) == 2
    for number in range(1, 5):
        assert {p.side: p.track_id for p in tracker.update(number * FRAME, seen)} == first


def test_a_hand_that_goes_is_predicted_then_lost_once(tracker):
    tracker.update(0, {1: sighting()})
    states, sigmas = [], []
    for number in range(1, 9):
        poses = tracker.update(number * FRAME, {})
        states += [pose.state for pose in poses]
        sigmas += [pose.sigma.mean() for pose in poses if pose.state == 'predicted']
        assert all(
            pose.joints is None and pose.score == 0 for pose in poses if pose.state == 'lost'
        )
    assert states == ['predicted'] * 4 + ['lost']
    assert sigmas == sorted(sigmas) and sigmas[-1] > sigmas[0]


def test_an_identity_is_never_given_twice(tracker):
    [before] = tracker.update(0, {1: sighting()})
    tracker.reset()
    [after] = tracker.update(FRAME, {1: sighting()})
    assert after.track_id > before.track_id


def test_a_moving_hand_is_expected_farther_on(tracker):
    for number in range(8):
        tracker.update(number * FRAME, {1: sighting((0.3 * number / 30, 0, 0.4))})
    last = 0.3 * 7 / 30
    ahead = tracker.expected(9 * FRAME)[1].mean(axis=0)[0] - SHAPE.mean(axis=0)[0]
    assert last < ahead < last + 0.04
    [pose] = tracker.update(9 * FRAME, {})
    np.testing.assert_allclose(pose.joints, tracker.expected(9 * FRAME)[1])


def test_jitter_is_smoothed_and_the_raw_joints_are_kept(tracker):
    generator = np.random.default_rng(1)
    raw, smooth = [], []
    for number in range(40):
        noise = generator.normal(0, 0.003, (21, 3)) + generator.normal(0, 0.003, 3)
        seen = sighting(noise.mean(axis=0) + np.array([0, 0, 0.4]))
        [pose] = tracker.update(number * FRAME, {0: seen})
        raw.append(pose.joints_raw)
        smooth.append(pose.joints)
        np.testing.assert_array_equal(pose.joints_raw, seen.joints)
    assert np.std(smooth[10:], axis=0).mean() < 0.8 * np.std(raw[10:], axis=0).mean()


def test_joints_parameters_and_mesh_stay_one_hand(tracker):
    values = HandModelParameters(
        global_orient=np.zeros(3), hand_pose=np.zeros((15, 3)), betas=np.zeros(10),
        translation=np.array([0.0, 0, 0.4]),
    )  # fmt: skip
    for number in range(6):
        place = np.array([0.05 * (number % 2), 0, 0.4])
        seen = sighting(place, parameters=values, vertices=SHAPE + place + 0.01)
        [pose] = tracker.update(number * FRAME, {1: seen})
        np.testing.assert_allclose(pose.vertices - pose.joints, 0.01, atol=1e-12)
        step = pose.joints - pose.joints_raw
        np.testing.assert_allclose(pose.parameters.translation - values.translation, step[0])
    assert np.abs(step).max() > 1e-3


def test_an_image_taken_later_is_brought_to_the_stamp_of_the_frame(tracker):
    for number in range(12):
        tracker.update(number * FRAME, {1: sighting((number / 30, 0, 0.4))})
    lag = 0.02
    [pose] = tracker.update(12 * FRAME, {1: sighting((12 / 30 + lag, 0, 0.4), lag=lag)})
    place = pose.joints_raw.mean(axis=0)[0] - SHAPE.mean(axis=0)[0]
    assert place == pytest.approx(12 / 30, abs=0.006)


def test_a_stamp_that_does_not_advance_breaks_nothing(tracker):
    for _ in range(3):
        [pose] = tracker.update(5, {1: sighting()})
        assert np.isfinite(pose.joints).all()
