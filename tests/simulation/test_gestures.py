"""Gestures stay within the joint limits and look like what they are called."""

import numpy as np
import pytest

from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import joint_limits, load_hand_model
from hand_pose_ros.simulation.gestures import gestures

LIBRARY = gestures()


def joints(name, side='right'):
    model = HandModel(load_hand_model(side))
    zero = np.zeros((1, 3))
    pose = model.pose_from_angles(LIBRARY[name][None])
    return model.joints(zero, pose, np.zeros((1, 10)), zero)[0]


@pytest.mark.parametrize('name', list(LIBRARY))
def test_within_limits(name):
    limits = joint_limits()
    assert (LIBRARY[name] >= limits[..., 0]).all()
    assert (LIBRARY[name] <= limits[..., 1]).all()


def test_pinch_brings_thumb_and_index_together():
    apart = np.linalg.norm(joints('open')[4] - joints('open')[8])
    together = np.linalg.norm(joints('pinch')[4] - joints('pinch')[8])
    assert together < 0.035 < 0.09 < apart


@pytest.mark.parametrize(('name', 'count'), [('fist', 0), ('point', 1), ('two', 2), ('three', 3),
                                             ('four', 4)])  # fmt: skip
def test_counting(name, count):
    hand = joints(name)
    reach = [np.linalg.norm(hand[tip] - hand[0]) for tip in (8, 12, 16, 20)]
    assert sum(r > 0.13 for r in reach) == count
