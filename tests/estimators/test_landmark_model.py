"""Landmark model: the shipped one is sane, broken ones are refused."""

import json

import numpy as np
import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.resources import asset


def test_the_shipped_model_is_sane():
    model = load_landmark_model()
    assert np.linalg.norm(model.offsets, axis=1).max() < 0.03
    assert model.sigma.min() > 0.001
    assert model.sigma.max() < 0.2
    assert model.depth_sigma['rgb'] < model.depth_sigma['thermal']


def test_the_shipped_model_says_where_it_comes_from():
    values = json.loads(asset('landmark_model.json').read_text())
    assert 'scripts/calibrate_landmarks.py' in values['provenance']['made_by']
    assert values['provenance']['seeds']


@pytest.mark.parametrize(
    'change',
    [
        {'sigma': [0.01] * 20},
        {'sigma': [-0.01] * 21},
        {'offsets': [[0.0, 0.0, float('nan')]] * 21},
        {'offsets': 'none'},
        {'depth_sigma': {'rgb': 0.1}},
    ],
)
def test_a_broken_model_is_refused_with_its_path(tmp_path, change):
    values = json.loads(asset('landmark_model.json').read_text()) | change
    path = tmp_path / 'broken.json'
    path.write_text(json.dumps(values))
    with pytest.raises(ModelError, match=r'broken.json.*calibrate_landmarks'):
        load_landmark_model(path)


def test_a_missing_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match='cannot be read'):
        load_landmark_model(tmp_path / 'none.json')
