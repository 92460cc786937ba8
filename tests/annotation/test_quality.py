"""Quality: worse evidence never scores higher."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.chain import Chain
from hand_pose_ros.annotation.chain_evidence import chain_evidence
from hand_pose_ros.annotation.posing import Poser
from hand_pose_ros.annotation.quality import HALF, LARGEST, expected_error, row_means, score, signs
from hand_pose_ros.annotation.session_fit import fitting_model
from hand_pose_ros.annotation.states import state_of
from tests.annotation.sessions import noisy


@pytest.fixture(scope='module')
def terms():
    session = noisy()
    evidence, model = session.evidence, fitting_model()
    rows = np.flatnonzero(evidence.started[:, 1])
    state = state_of(
        model, 1, evidence.global_orient[rows, 1], evidence.hand_pose[rows, 1],
        session.truth.betas[rows, 1], evidence.translation[rows, 1],
    )  # fmt: skip
    chain = Chain(evidence=chain_evidence(evidence, rows, Poser(model, 1, torch.device('cpu'))))
    return chain.fit(state, 6)[1]


def test_scores_fall_from_one_through_a_half():
    errors = np.array([0.0, 0.002, HALF, 0.02, LARGEST])
    values = score(errors)
    assert values[0] == 1.0 and values[2] == pytest.approx(0.5)
    assert (np.diff(values) < 0).all() and values[-1] < 0.01


def test_expected_errors_are_millimetres(terms):
    errors = expected_error(terms)
    assert errors.shape == (len(terms.facing),)
    # Landmarks that lie in the joints strain a fit that expects them beside these.
    assert ((errors > 1e-3) & (errors < 0.06)).all()


@pytest.mark.parametrize('worse', ('farther', 'fewer', 'uncovered', 'gaps'))
def test_worse_evidence_is_expected_to_be_farther_off(terms, worse):
    changed = {
        'farther': {'pixels': 2 * terms.pixels},
        'fewer': {'settled': 0.3 * terms.settled},
        'uncovered': {'gaps': np.where(np.arange(terms.gaps.shape[1]) % 2, terms.gaps, np.nan)},
        'gaps': {'gaps': 3 * terms.gaps},
    }[worse]
    after = expected_error(replace(terms, **changed))
    assert np.median(after / expected_error(terms)) > 1.02


def test_without_any_evidence_the_error_is_large(terms):
    nothing = replace(
        terms, settled=np.zeros_like(terms.settled), pixels=np.full_like(terms.pixels, np.nan),
        belief=np.zeros_like(terms.belief),
        gaps=np.full_like(terms.gaps, np.nan), facing=np.zeros_like(terms.facing),
    )  # fmt: skip
    assert (expected_error(nothing) > 0.03).all()
    assert (expected_error(nothing) <= LARGEST).all()
    assert np.isfinite(signs(nothing)).all()


def test_means_of_rows_leave_out_what_is_missing():
    values = np.array([[[1.0, np.nan], [3.0, np.nan]], [[np.nan, np.nan], [np.nan, np.nan]]])
    means = row_means(values)
    assert means[0] == 2.0 and np.isnan(means[1])
