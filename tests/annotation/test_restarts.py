"""Restarts: hands that a tracker saw turned round are found again where two views see them."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.annotation.session_fit import fit_session, session_shape
from hand_pose_ros.annotation.synthetic import EvidenceNoise, synthetic_session
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.sessions.labels import ABSENT
from tests.annotation.sessions import PERIOD, rig


@pytest.fixture(scope='module')
def session():
    stamps = 2_000_000_000 + PERIOD * np.arange(10)
    return synthetic_session(
        rig(), stamps, seed=5, offsets=load_landmark_model().offsets,
        noise=EvidenceNoise(lost=0.0),
    )  # fmt: skip


def turned(evidence, axis):
    """The right hand of all frames turned by 150 degrees about one of its axes."""
    orient = evidence.global_orient.copy()
    turn = Rotation.from_rotvec(2.6 * np.eye(3)[axis])
    orient[:, 1] = (Rotation.from_rotvec(orient[:, 1]) * turn).as_rotvec()
    return replace(evidence, global_orient=orient)


def errors(session, evidence):
    labels = fit_session(evidence, session_shape(session.evidence), 'f')
    return labels, np.linalg.norm(labels.joints - session.joints, axis=3).mean(axis=2)[:, 1]


@pytest.mark.parametrize('axis', (0, 1))
def test_two_views_find_a_hand_that_was_turned_round(session, axis):
    _, away = errors(session, turned(session.evidence, axis))
    assert away.mean() < 0.005


@pytest.mark.parametrize('axis', (0, 1, 2))
def test_a_hand_that_stays_astray_is_no_label(session, axis):
    """One view without depth cannot say how a hand is turned that begins the wrong way round."""
    blind = np.full_like(session.evidence.cloud, np.nan)
    lonely = replace(session.evidence, cloud=blind).seen_by(['rgb'])
    labels, _ = errors(session, turned(lonely, axis))
    assert (labels.origin[:, 1] == ABSENT).all()
    labels, away = errors(session, lonely)
    assert (labels.origin[:, 1] != ABSENT).all() and away.mean() < 0.03
