"""Options of the landmarks estimator: nested, typed, and typos are named."""

import dataclasses

import pytest

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig, landmarks_config


def test_nothing_given_is_the_default():
    assert landmarks_config(None) == landmarks_config({}) == LandmarksConfig()


def test_nested_options_change_only_what_they_name():
    config = landmarks_config(
        {'tracking': {'prediction': 0}, 'streams': ['rgb'], 'noise': {'depth': 0.01}}
    )
    assert config.tracking.prediction == 0.0 and isinstance(config.tracking.prediction, float)
    assert config.streams == ('rgb',)
    assert config.noise.depth == 0.01
    assert config.tracking.gap == LandmarksConfig().tracking.gap


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        ({'mehs': True}, "'mehs' does not exist: did you mean mesh"),
        ({'tracking': {'predicton': 1}}, r"'tracking.predicton' .* prediction"),
        ({'mesh': 1}, "'mesh' takes true or false, got 1"),
        ({'max_hands': 1.5}, "'max_hands' takes a whole number"),
        ({'max_hands': True}, "'max_hands' takes a whole number"),
        ({'presence': 'high'}, "'presence' takes a number"),
        ({'presence': -0.1}, "'presence' takes a number from 0"),
        ({'presence': float('nan')}, "'presence' takes a number"),
        ({'streams': 'rgb'}, "'streams' takes a list of names"),
        ({'tracking': 3}, "'tracking' takes a mapping"),
    ],
)
def test_wrong_options_are_refused_by_name(options, said):
    with pytest.raises(HandPoseError, match=said):
        landmarks_config(options)


def test_configurations_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError):
        LandmarksConfig().mesh = False
