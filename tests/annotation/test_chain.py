"""Chain: all frames of a hand at once find the truth, evenly, over gaps, and from afar."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.chain import Chain, Smoothness, _solved
from hand_pose_ros.annotation.chain_evidence import chain_evidence
from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.annotation.posing import Poser
from hand_pose_ros.annotation.states import parameters_of, state_of
from hand_pose_ros.hand_model.kinematics import FittingModel
from tests.annotation.sessions import EGO, exact, noisy


@pytest.fixture(scope='module')
def model():
    return FittingModel(hand_model('right').data, surface=96)


def chain_of(model, session, side, evidence=None, rows=None, **settings):
    """A chain and its start, with the true shape."""
    evidence = evidence or session.evidence
    rows = np.flatnonzero(evidence.started[:, side]) if rows is None else rows
    truth = session.truth
    start = state_of(
        model, side, evidence.global_orient[rows, side], evidence.hand_pose[rows, side],
        truth.betas[rows, side], evidence.translation[rows, side],
    )  # fmt: skip
    prepared = chain_evidence(evidence, rows, Poser(model, side, torch.device('cpu')))
    return Chain(evidence=prepared, **settings), start, rows


def errors(model, session, side, state, rows):
    """Mean joint error of each frame, metres."""
    found = hand_model(('left', 'right')[side]).joints(*parameters_of(model, side, state).values())
    return np.linalg.norm(found - session.joints[rows, side], axis=2).mean(axis=1)


@pytest.mark.parametrize('side', (0, 1))
def test_noisy_evidence_of_two_views_gives_a_hand_within_six_millimetres(model, side):
    session = noisy()
    chain, start, rows = chain_of(model, session, side)
    before = errors(model, session, side, start, rows).mean()
    after = errors(model, session, side, chain.fit(start, 12)[0], rows).mean()
    assert before > 0.01 and after < 0.006


def test_frames_together_are_better_than_alone(model):
    session = noisy()
    together, start, rows = chain_of(model, session, 1)
    alone, _, _ = chain_of(model, session, 1, smoothness=Smoothness(gap=0.0))
    apart = errors(model, session, 1, alone.fit(start, 12)[0], rows).mean()
    assert errors(model, session, 1, together.fit(start, 12)[0], rows).mean() < apart


def test_exact_evidence_gives_the_truth(model):
    session = exact()
    claimed = np.where(np.isfinite(session.evidence.sigma), 0.01, np.inf)
    evidence = replace(session.evidence, sigma=claimed)
    chain, start, rows = chain_of(model, session, 1, evidence)
    moved = start.moved(np.tile(np.r_[0.1, -0.1, 0.1, 0.01, 0.0, -0.02, np.zeros(27)][
        : 6 + len(model.degrees) + model.shapes], (len(rows), 1)))  # fmt: skip
    assert errors(model, session, 1, chain.fit(moved, 30)[0], rows).max() < 0.002


def test_a_frame_that_nobody_saw_lies_between_its_neighbours(model):
    session = noisy()
    points = session.evidence.points.copy()
    points[:, 7] = np.nan
    cloud = session.evidence.cloud.copy()
    cloud[7] = np.nan
    evidence = replace(session.evidence, points=points, cloud=cloud)
    chain, start, rows = chain_of(model, session, 1, evidence)
    away = errors(model, session, 1, chain.fit(start, 12)[0], rows)
    assert away[list(rows).index(7)] < 0.008


def test_less_evidence_still_fits(model):
    session = noisy(16, EGO)
    cloudless = replace(session.evidence, cloud=np.full_like(session.evidence.cloud, np.nan))
    for evidence, most in ((session.evidence, 0.010), (cloudless.seen_by(['rgb']), 0.06)):
        chain, start, rows = chain_of(model, session, 1, evidence)
        state, _ = chain.fit(start, 12)
        away = errors(model, session, 1, state, rows)
        assert np.isfinite(away).all() and away.mean() < most


@pytest.mark.parametrize('count', (1, 2, 3))
def test_few_frames_are_fitted_too(model, count):
    session = noisy()
    rows = np.arange(count)
    chain, start, _ = chain_of(model, session, 1, rows=rows)
    assert errors(model, session, 1, chain.fit(start, 12)[0], rows).max() < 0.012


def test_frames_across_a_long_silence_are_not_joined(model):
    session = noisy()
    late = session.evidence.stamps + np.where(np.arange(16) >= 8, 10**9, 0)
    whole, start, _ = chain_of(model, session, 1, replace(session.evidence, stamps=late))
    half, first, _ = chain_of(model, session, 1, rows=np.arange(8))
    fixed = {'iterations': 25}
    assert np.allclose(
        whole.fit(start, **fixed)[0].wrist[:8], half.fit(first, **fixed)[0].wrist, atol=1e-3
    )


def test_fitting_never_makes_the_cost_larger(model):
    session = noisy()
    chain, start, _ = chain_of(model, session, 0)
    costs = [chain._value(start)[1]]
    costs += [chain._value(chain.fit(start, count)[0])[1] for count in (1, 3, 8)]
    assert all(after <= before + 1e-9 for before, after in pairwise(costs))
    assert costs[-1] < 0.5 * costs[0]


@pytest.mark.parametrize('count', (1, 2, 3, 7))
def test_the_banded_system_is_solved_like_the_full_one(count):
    generator = np.random.default_rng(count)
    size = 4
    blocks = generator.normal(size=(count, size, size))
    hessian = blocks @ blocks.transpose(0, 2, 1) + 10 * np.eye(size)
    near, far = generator.normal(size=(2, count, size))
    right = generator.normal(size=(count, size))
    full = np.zeros((count * size, count * size))
    for row in range(count):
        here = slice(row * size, (row + 1) * size)
        full[here, here] = hessian[row]
        for steps, values in ((1, near), (2, far)):
            if row + steps < count:
                there = slice((row + steps) * size, (row + steps + 1) * size)
                full[here, there] = full[there, here] = np.diag(values[row])
    expected = np.linalg.solve(full, right.ravel()).reshape(count, size)
    assert np.allclose(_solved(hessian, near, far, right), expected)
