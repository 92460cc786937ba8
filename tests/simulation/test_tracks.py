"""Minimum-jerk tracks: smooth, periodic, within their keys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.simulation.tracks import Track


def random_track(seed):
    generator = np.random.default_rng(seed)
    times = np.cumsum(generator.uniform(0.2, 1.0, 6))
    return Track(list(times), list(generator.normal(size=(6, 3))), float(times[-1] + 0.5))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.floats(-100, 100))
def test_periodic_and_within_the_keys(seed, time):
    track = random_track(seed)
    value = track.at(time)
    np.testing.assert_allclose(track.at(time + track.period), value, atol=1e-6)
    assert (value >= track._values.min(0) - 1e-12).all()
    assert (value <= track._values.max(0) + 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31))
def test_second_derivative_is_continuous_at_the_keys(seed):
    track = random_track(seed)
    step = 1e-4
    for time in track._times:
        before, at, after = (track.at(time + k * step) for k in (-1, 0, 1))
        np.testing.assert_allclose((after - before) / (2 * step), 0, atol=1e-2)
        np.testing.assert_allclose((after - 2 * at + before) / step**2, 0, atol=0.6)


def test_passes_through_its_keys():
    track = Track([0.0, 1.0], [np.zeros(2), np.ones(2)], 3.0)
    np.testing.assert_allclose(track.at(0.0), 0)
    np.testing.assert_allclose(track.at(1.0), 1)
    np.testing.assert_allclose(track.at(0.5), 0.5)
    np.testing.assert_allclose(track.at(2.0), 0.5)


def test_keys_must_ascend_within_the_period():
    for times, period in (([0.0, 0.0], 1.0), ([0.5, 0.2], 1.0), ([0.0, 1.5], 1.0)):
        with pytest.raises(ValueError, match='ascending'):
            Track(times, [np.zeros(1), np.ones(1)], period)
