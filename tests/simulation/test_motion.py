"""Scenarios: limits, speeds, staying in and leaving the view, repeatability."""

import numpy as np
import pytest

from hand_pose_ros.errors import CameraError
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import joint_limits, load_hand_model
from hand_pose_ros.simulation.motion import Motion
from hand_pose_ros.simulation.scenarios import SCENARIOS, in_view
from hand_pose_ros.skeleton import SIDES

MODELS = {side: HandModel(load_hand_model(side)) for side in SIDES}


def palms(motion, times):
    """Middle knuckles (T, 2, 3) in the rig frame."""
    result = []
    for time in times:
        state = motion.at(time)
        result.append([
            MODELS[side].joints(state.global_orient[k : k + 1], state.hand_pose[k : k + 1],
                                state.betas[k : k + 1], state.translation[k : k + 1])[0, 9]
            for k, side in enumerate(SIDES)
        ])  # fmt: skip
    return np.array(result)


@pytest.mark.parametrize('scenario', SCENARIOS)
@pytest.mark.parametrize('seed', [0, 7])
def test_joint_angles_stay_within_their_limits(scenario, seed):
    motion = Motion(scenario, seed, MODELS)
    limits = joint_limits()
    for time in np.arange(0, motion.period, 0.37):
        state = motion.at(time)
        for k, side in enumerate(SIDES):
            angles = MODELS[side].angles(state.hand_pose[k : k + 1])[0]
            assert (angles >= limits[..., 0] - 1e-6).all()
            assert (angles <= limits[..., 1] + 1e-6).all()


@pytest.mark.parametrize(('scenario', 'top'), [('normal', 1.3), ('demo', 1.6)])
def test_speeds_are_human_and_motion_is_smooth(scenario, top):
    motion = Motion(scenario, 3, MODELS)
    step = 0.01
    times = np.arange(0, motion.period, step)
    places = np.array([motion.at(time).translation for time in times])
    speed = np.linalg.norm(np.diff(places, axis=0), axis=2) / step
    assert speed.max() < top
    assert speed.max() > 0.4
    acceleration = np.linalg.norm(np.diff(places, 2, axis=0), axis=2) / step**2
    assert acceleration.max() < 20


def test_repeats_for_ever_and_depends_on_the_seed_only():
    one, same, other = (Motion('normal', seed, MODELS) for seed in (5, 5, 6))
    for time in (0.0, 12.3):
        a, b, c = one.at(time), same.at(time + one.period * 1000), other.at(time)
        np.testing.assert_allclose(a.translation, b.translation, atol=1e-6)
        np.testing.assert_array_equal(a.betas, same.at(time).betas)
        assert np.abs(a.translation - c.translation).max() > 1e-3


def test_static_hands_are_still_and_the_same_distance_off():
    motion = Motion('static', 0, MODELS)
    first, later = motion.at(0.0), motion.at(1234.567)
    np.testing.assert_array_equal(first.translation, later.translation)
    np.testing.assert_array_equal(first.hand_pose, later.hand_pose)


def test_left_and_right_mirror_each_other_when_static():
    places = palms(Motion('static', 0, MODELS), [0.0])[0]
    np.testing.assert_allclose(places[0], places[1] * [1, -1, 1], atol=1e-9)
    assert places[0, 1] > 0, 'the left hand is on the left'


@pytest.mark.parametrize('seed', range(4))
def test_normal_hands_keep_apart_and_before_the_rig(seed):
    motion = Motion('normal', seed, MODELS)
    places = palms(motion, np.arange(0, motion.period, 0.1))
    assert (np.linalg.norm(places[:, 0] - places[:, 1], axis=1) > 0.09).all()
    distance = np.linalg.norm(places, axis=2)
    assert distance.min() > 0.25
    assert distance.max() < 0.75


def test_demo_hands_cross_and_leave():
    motion = Motion('demo', 0, MODELS)
    at_crossing = palms(motion, [10.2])[0]
    assert at_crossing[0, 1] < at_crossing[1, 1], 'left and right have changed sides'
    assert np.linalg.norm(at_crossing[0] - at_crossing[1]) > 0.1
    gone = palms(motion, [14.5])[0]
    assert gone[0, 1] > 0.5
    assert abs(gone[1, 1]) < 0.3


def test_the_view_axes_look_thirty_degrees_down():
    ahead = in_view(0, 0, 1)
    np.testing.assert_allclose(ahead, [np.cos(np.pi / 6), 0, -0.5], atol=1e-12)
    np.testing.assert_allclose(in_view(1, 0, 0), [0, -1, 0], atol=1e-12)
    assert in_view(0, 1, 0)[2] < 0


def test_unknown_scenarios_are_named_with_those_that_exist():
    with pytest.raises(CameraError, match="'dance'.*static, normal, demo"):
        Motion('dance', 0, MODELS)
