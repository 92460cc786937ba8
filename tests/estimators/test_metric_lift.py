"""Metric lift: the fit leaves wrong expectations for what networks and depth show."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.estimators.fusion_config import FusionConfig
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.estimators.metric_lift import HandEvidence, MetricLift
from hand_pose_ros.estimators.network_hands import NetworkNoise
from hand_pose_ros.estimators.rig_views import modalities_of, views_of
from hand_pose_ros.hand_model.model_files import load_hand_model
from tests.estimators.network_fakes import RIG, TRUTH, FakeRefiner, frame

CLOSE = NetworkNoise(across=0.002, along=0.0035, shape=0.006)
LIFT = MetricLift(
    load_hand_model('right'), load_landmark_model(), modalities_of(RIG), FusionConfig()
)
KNOWN = 100.0 * np.eye(LIFT.model.shapes)


def misjudged(side, bend):
    """A hand whose fingers were expected to be bent by so much more, rad, and the views of it."""
    views = views_of(frame(0))
    seen = replace(FakeRefiner('depth').hand(side, views), noise=CLOSE)
    shape = np.zeros(LIFT.model.shapes)
    true = LIFT.start_at_joints(side, views['depth'], seen, None, shape, KNOWN)
    angles = np.clip(true.angles + bend, LIFT.model.lower, LIFT.model.upper)
    hand = HandEvidence(
        side=side, landmarks={}, expected=replace(true, angles=angles),
        rate=np.zeros(LIFT.freedom), shape_precision=KNOWN, shape_knowledge=KNOWN,
        elapsed=1 / 30, joints=(seen,),
    )  # fmt: skip
    return hand, views


def fitted_error(hand, views):
    fit = LIFT.fit([hand], views, views['depth'])
    return np.linalg.norm(fit.joints[0] - TRUTH[hand.side].joints, axis=1).mean()


@pytest.mark.parametrize('side', (0, 1))
def test_fingers_that_were_expected_in_a_fist_are_found_where_a_sure_network_sees_them(side):
    hand, views = misjudged(side, 1.3)
    expected = LIFT.model.landmarks(hand.expected, np.array([side]))[0]
    assert np.linalg.norm(expected - TRUTH[side].joints, axis=1).mean() > 0.05
    assert fitted_error(hand, views) < 0.005


@pytest.mark.parametrize('side', (0, 1))
def test_a_right_expectation_stays(side):
    assert fitted_error(*misjudged(side, 0.0)) < 0.003
