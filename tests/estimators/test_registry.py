"""Registry of estimators and the options of the default one."""

import pytest

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators import registry
from hand_pose_ros.estimators.landmarks import LandmarkEstimator
from hand_pose_ros.rig.description import find_rig


def test_unknown_name_lists_those_that_exist():
    with pytest.raises(HandPoseError, match="'lanmarks' does not exist: use one of landmarks"):
        registry.create('lanmarks')


def test_landmarks_is_made_for_a_rig_with_options(networks):
    estimator = registry.create('landmarks', {'mesh': False}, find_rig('simulated_head_rig'))
    assert isinstance(estimator, LandmarkEstimator)
    assert estimator.name == 'landmarks'
    assert not estimator.config.mesh
    int(estimator.model_hash, 16)


def test_a_wrong_option_is_named():
    with pytest.raises(HandPoseError, match='mehs'):
        registry.create('landmarks', {'mehs': True})
