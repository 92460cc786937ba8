"""Handedness: a constant lean of the network is measured and taken off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.estimators.handedness import SideBias, without_lean


def sigmoid(value: float) -> float:
    return float(1 / (1 + np.exp(-value)))


@given(st.floats(-2, 2), st.floats(-3, 3))
def test_a_constant_lean_is_removed(lean, truth):
    bias = SideBias(interval=1.0)
    for index in range(5):
        bias.add(sigmoid(truth + lean), sigmoid(-truth + lean), index)
    assert bias.right_probability(sigmoid(truth + lean)) == pytest.approx(sigmoid(truth), abs=1e-6)
    pair = sigmoid(truth + lean), sigmoid(-truth + lean)
    assert without_lean(*pair) == pytest.approx(sigmoid(truth), abs=1e-6)


def test_without_a_measurement_the_output_stays_and_extremes_are_finite():
    bias = SideBias(interval=1.0)
    assert bias.right_probability(0.8) == pytest.approx(0.8)
    assert 0.0 < bias.right_probability(0.0) < 0.01
    assert 0.99 < bias.right_probability(1.0) < 1.0


def test_all_crops_are_wanted_at_first_and_later_one_an_interval():
    bias = SideBias(interval=1.0)
    assert bias.wanted(0, 2) == 2
    for stamp in range(4):
        bias.add(0.5, 0.5, stamp)
    assert bias.wanted(500_000_000, 2) == 0
    assert bias.wanted(1_100_000_000, 2) == 1
