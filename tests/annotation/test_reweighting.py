"""Reweighting: a view whose landmarks stray is believed less, and the others as before."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.chain import Chain
from hand_pose_ros.annotation.chain_evidence import chain_evidence
from hand_pose_ros.annotation.posing import Poser
from hand_pose_ros.annotation.reweighting import landmark_factors
from hand_pose_ros.annotation.session_fit import fitting_model
from hand_pose_ros.annotation.states import state_of
from hand_pose_ros.annotation.weights import Weights
from hand_pose_ros.hand_model.kinematics import FittingModel
from tests.annotation.sessions import noisy


@pytest.fixture(scope='module')
def session():
    return noisy(40)


def true_terms(session, evidence):
    """What is left of the evidence at the true right hand, whose landmarks are its joints."""
    rows = np.flatnonzero(evidence.started[:, 1])
    truth, model = session.truth, plain_model()
    state = state_of(
        model, 1, truth.global_orient[rows, 1], truth.hand_pose[rows, 1], truth.betas[rows, 1],
        truth.translation[rows, 1],
    )  # fmt: skip
    chain = Chain(evidence=chain_evidence(evidence, rows, Poser(model, 1, torch.device('cpu'))))
    return chain.terms(state)


def plain_model():
    return FittingModel(fitting_model().data)


def test_honest_landmarks_keep_their_weight(session):
    factors = landmark_factors(true_terms(session, session.evidence), Weights())
    assert factors.shape == (4, 21)
    ego = ~session.evidence.exo
    assert 0.7 < np.median(factors[ego]) < 1.5
    # From the front, landmarks stray twice as far as they claim.
    assert np.median(factors[~ego]) > 1.3 * np.median(factors[ego])


def test_a_view_that_strays_thrice_as_far_weighs_less(session):
    claimed = session.evidence.sigma.copy()
    claimed[2] /= 3.0
    before = landmark_factors(true_terms(session, session.evidence), Weights())
    after = landmark_factors(
        true_terms(session, replace(session.evidence, sigma=claimed)), Weights()
    )
    assert np.median(after[2] / before[2]) > 1.5
    others = [0, 1, 3]
    assert np.array_equal(after[others], before[others])


def test_landmarks_nobody_saw_keep_a_factor_of_one(session):
    points = session.evidence.points.copy()
    points[1, :, :, 5] = np.nan
    factors = landmark_factors(
        true_terms(session, replace(session.evidence, points=points)), Weights()
    )
    assert factors[1, 5] == 1.0 and np.isfinite(factors).all()
