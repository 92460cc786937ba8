"""One-euro filter: still values get still, fast ones are followed, stamps count."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.estimators.one_euro import OneEuro, OneEuroConfig, OneEuroRotation, adaptive_gain

FRAME = 33_333_333
CONFIG = OneEuroConfig(cutoff=1.0, slope=5.0)


def run(values, interval=FRAME, config=CONFIG):
    smooth = OneEuro(config)
    return np.array([smooth(value, index * interval) for index, value in enumerate(values)])


def test_noise_at_rest_is_reduced():
    noise = np.random.default_rng(0).normal(0, 0.002, (300, 3))
    assert run(noise)[60:].std() < 0.45 * noise.std()


def test_fast_motion_is_followed_more_closely_than_by_a_plain_low_pass():
    ramp = np.linspace(0, 2.0, 60)[:, None]
    lag = ramp[-1] - run(ramp)[-1]
    plain = ramp[-1] - run(ramp, config=OneEuroConfig(cutoff=1.0, slope=0.0))[-1]
    assert 0 <= lag[0] < 0.4 * plain[0]


def test_the_first_value_is_taken_as_it_is_and_constants_stay():
    values = np.full((10, 4), 0.7)
    np.testing.assert_allclose(run(values), values)


def test_a_long_pause_counts_more_than_a_short_one():
    smooth, other = OneEuro(CONFIG), OneEuro(CONFIG)
    smooth(np.zeros(1), 0)
    other(np.zeros(1), 0)
    assert smooth(np.ones(1), FRAME)[0] < other(np.ones(1), 10 * FRAME)[0]


@pytest.mark.parametrize('stamp', [0, -FRAME])
def test_a_stamp_that_does_not_advance_changes_nothing(stamp):
    smooth = OneEuro(CONFIG)
    smooth(np.zeros(2), 0)
    np.testing.assert_array_equal(smooth(np.ones(2), stamp), np.zeros(2))
    turning = OneEuroRotation(CONFIG)
    turning(np.eye(3), 0)
    turned = Rotation.from_euler('x', 1.0).as_matrix()
    np.testing.assert_array_equal(turning(turned, stamp), np.eye(3))


def test_rotations_stay_rotations_and_get_there():
    turning = OneEuroRotation(CONFIG)
    goal = Rotation.from_rotvec([0.5, -1.0, 2.0]).as_matrix()
    turning(np.eye(3), 0)
    for index in range(1, 120):
        found = turning(goal, index * FRAME)
        np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)
    np.testing.assert_allclose(found, goal, atol=1e-3)


def test_returned_values_are_not_shared_with_the_filter():
    smooth = OneEuro(CONFIG)
    smooth(np.zeros(2), 0)[:] = 5.0
    np.testing.assert_array_equal(smooth(np.zeros(2), FRAME), np.zeros(2))


def test_gain_grows_with_speed():
    gains = [adaptive_gain(CONFIG, speed, 1 / 30) for speed in (0.0, 0.5, 5.0)]
    assert 0 < gains[0] < gains[1] < gains[2] < 1


def test_what_noise_moves_is_at_rest_and_what_moves_faster_is_followed():
    noise = np.random.default_rng(1).normal(0, 0.001, (300, 3))
    wary = OneEuroConfig(cutoff=1.0, slope=400.0, rest=0.06)
    eager = OneEuroConfig(cutoff=1.0, slope=400.0)
    assert run(noise, config=wary)[60:].std() < 0.5 * run(noise, config=eager)[60:].std()
    ramp = np.linspace(0, 1.0, 60)[:, None]  # half a metre a second
    assert ramp[-1] - run(ramp, config=wary)[-1] < 0.002


def test_components_that_are_trusted_less_are_smoothed_more():
    smooth = OneEuro(CONFIG)
    smooth(np.zeros(2), 0)
    found = smooth(np.ones(2), FRAME, np.array([1.0, 0.3]))
    assert 0 < found[1] < found[0] < 1
