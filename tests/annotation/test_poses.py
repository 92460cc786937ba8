"""Poses: gaps are bridged evenly, long ones and ends are not."""

import numpy as np
import pytest

from hand_pose_ros.annotation.poses import Poses, carried_over_gaps
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose

PERIOD = 33_333_333


def hand(turn, place):
    return HandPose(
        side='right', track_id=1, state='tracked', score=1.0, joints=None,
        parameters=HandModelParameters(
            global_orient=np.array([0.0, 0.0, turn]), hand_pose=np.full((15, 3), turn / 10),
            betas=np.full(10, 0.5), translation=np.array([place, 0.0, 0.4]),
        ),
    )  # fmt: skip


def poses(*hands):
    stamps = PERIOD * np.arange(len(hands), dtype=np.int64)
    return Poses.of(stamps, [{} if entry is None else {1: entry} for entry in hands])


def test_a_gap_is_crossed_evenly():
    bridged = carried_over_gaps(poses(hand(0.0, 0.0), None, None, hand(0.9, 0.3)), 0.2)
    np.testing.assert_allclose(bridged.global_orient[:, 1, 2], [0, 0.3, 0.6, 0.9])
    np.testing.assert_allclose(bridged.translation[:, 1, 0], [0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(bridged.hand_pose[2, 1, 7], np.full(3, 0.06))
    assert bridged.tracked[:, 1].tolist() == [True, False, False, True]
    assert not bridged.present[:, 0].any()


def test_rotations_take_the_short_way():
    bridged = carried_over_gaps(poses(hand(3.0, 0.0), None, hand(-3.0, 0.0)), 0.2)
    assert np.linalg.norm(bridged.global_orient[1, 1]) == pytest.approx(np.pi, abs=1e-6)


def test_long_gaps_and_ends_stay_empty():
    gappy = poses(None, hand(0.0, 0.0), *[None] * 8, hand(0.1, 0.1), None)
    bridged = carried_over_gaps(gappy, 0.2)
    np.testing.assert_array_equal(bridged.present, gappy.present)


def test_joints_are_those_of_the_model_and_absent_hands_are_nan():
    joints = poses(hand(0.0, 0.1), None).joints()
    assert np.isfinite(joints[0, 1]).all()
    assert np.isnan(joints[1]).all() and np.isnan(joints[0, 0]).all()


def test_a_hand_is_taken_over():
    target, source = poses(None, None), poses(hand(0.2, 0.1))
    target.enter(1, source, 0, 1)
    assert target.present.tolist() == [[False, False], [False, True]]
    assert target.tracked[1, 1] and target.global_orient[1, 1, 2] == 0.2
