"""Outline terms: nothing at the truth, more beside it, blind to what is hidden or not masked."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation.silhouettes import BACKGROUND, UNKNOWN
from hand_pose_ros.annotation.terms import evaluate
from hand_pose_ros.annotation.weights import Weights
from tests.annotation.sessions import exact
from tests.annotation.test_terms import model, prepared, still

__all__ = ['model']


@pytest.mark.parametrize('side', (0, 1))
def test_outlines_fit_the_truth_and_nothing_else(model, side):
    """E_sil, in pixels of each camera."""
    evidence = replace(exact().evidence, cloud=np.full_like(exact().evidence.cloud, np.nan))
    chain, state = prepared(model, side, evidence=evidence)
    weights = Weights(point=1e3)
    true = evaluate(state, chain, weights, still(model, state))
    focal = evidence.focal[:, None]
    assert np.nanmax(true.outline * focal) < 0.3
    for place, size in ((3, 0.03), (4, 0.03), (2, 0.3)):
        away = np.zeros((len(state.wrist), 6 + len(model.degrees) + model.shapes))
        away[:, place] = size
        moved = evaluate(state.moved(away), chain, weights, still(model, state))
        assert np.nanmin(moved.outline * focal) > 0.5
        assert (moved.normal.cost > true.normal.cost + 5).all()


def test_without_masks_outlines_say_nothing(model):
    evidence = replace(exact().evidence, mask_step=np.full_like(exact().evidence.mask_step, np.nan))
    chain, state = prepared(model, 1, evidence=evidence)
    terms = evaluate(state, chain, Weights(), still(model, state))
    bare = evaluate(state, chain, Weights(outline=np.inf), still(model, state))
    assert np.isnan(terms.outline).all() and np.array_equal(terms.normal.cost, bare.normal.cost)


def test_what_the_other_hand_may_hide_costs_nothing(model):
    """Outside of what is known to be background, a hand may be anywhere."""
    masks = exact().evidence.mask
    evidence = replace(
        exact().evidence, cloud=np.full_like(exact().evidence.cloud, np.nan),
        mask=np.where(masks == BACKGROUND, UNKNOWN, masks).astype(np.uint8),
    )  # fmt: skip
    chain, state = prepared(model, 1, evidence=evidence)
    away = np.zeros((len(state.wrist), 6 + len(model.degrees) + model.shapes))
    away[:, 3] = 0.03
    hidden = evaluate(state.moved(away), chain, Weights(point=1e3), still(model, state))
    chain, _ = prepared(model, 1)
    known = evaluate(state.moved(away), chain, Weights(point=1e3), still(model, state))
    # What is left is the mask that the hand does not cover any more.
    assert (np.nanmax(hidden.outline, axis=0) < np.nanmax(known.outline, axis=0)).all()
    assert np.nanmin(hidden.outline) > 0


def test_a_wrong_mask_costs_no_more_than_its_reach(model):
    """A mask somewhere else altogether pulls on no hand."""
    evidence = exact().evidence
    evidence = replace(
        evidence, cloud=np.full_like(evidence.cloud, np.nan),
        mask_corner=evidence.mask_corner + 100 * evidence.mask_step[..., None],
    )  # fmt: skip
    chain, state = prepared(model, 1, evidence=evidence)
    quiet = Weights(point=1e3)
    terms = evaluate(state, chain, quiet, still(model, state))
    bare = evaluate(state, chain, replace(quiet, outline=np.inf), still(model, state))
    pull = np.linalg.norm((terms.normal.gradient - bare.normal.gradient)[:, 3:6], axis=1)
    near = prepared(model, 1)[0]
    away = np.zeros((len(state.wrist), 6 + len(model.degrees) + model.shapes))
    away[:, 3] = 0.02
    moved = evaluate(state.moved(away), near, replace(quiet, cloud_reach=1e-6), still(model, state))
    useful = np.linalg.norm(moved.normal.gradient[:, 3:6], axis=1)
    assert (pull < 0.05 * useful).all()
