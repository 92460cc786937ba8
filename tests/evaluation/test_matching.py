"""Truth brought to other stamps."""

import numpy as np
import pytest

from hand_pose_ros.evaluation.matching import JointTrack


def moving(stamps, velocity=1.0):
    return JointTrack.of((int(s), np.full((21, 3), velocity * s * 1e-9)) for s in stamps)


def test_a_moving_hand_is_interpolated():
    track = moving([0, 33_000_000, 66_000_000])
    joints = track.at(np.array([10_000_000, 50_000_000]))
    assert joints[:, 0, 0] == pytest.approx([0.010, 0.050])


def test_an_equal_stamp_takes_the_sample_as_it_is():
    track = moving([0, 33_000_000])
    assert np.array_equal(track.at(np.array([33_000_000]))[0], track.joints[1])


def test_outside_and_across_gaps_is_missing():
    track = moving([0, 33_000_000, 500_000_000])
    joints = track.at(np.array([-1, 200_000_000, 500_000_001]))
    assert np.isnan(joints).all()


def test_samples_may_come_unordered_and_twice():
    ones, twos = np.ones((21, 3)), 2 * np.ones((21, 3))
    track = JointTrack.of([(5, ones), (1, ones), (5, twos)])
    assert list(track.stamps) == [1, 5]
    assert (track.joints[1] == 2).all()


def test_an_absent_hand_stays_absent():
    track = JointTrack.of([(0, np.ones((21, 3))), (10, np.full((21, 3), np.nan))])
    assert np.isnan(track.at(np.array([5]))).all()


def test_an_empty_track_has_nothing():
    assert np.isnan(JointTrack.of([]).at(np.array([1, 2]))).all()
