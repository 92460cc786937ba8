"""Terms: slopes of all costs against finite differences, and costs that vanish at the truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from hand_pose_ros.annotation.chain_evidence import chain_evidence
from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.annotation.posing import Poser
from hand_pose_ros.annotation.states import state_of
from hand_pose_ros.annotation.terms import compute, evaluate
from hand_pose_ros.annotation.weights import Weights
from hand_pose_ros.hand_model.kinematics import FittingModel
from tests.annotation.sessions import exact

STEP = 1e-6


@pytest.fixture(scope='module')
def model():
    return FittingModel(hand_model('right').data, surface=96)


def prepared(model, side, weights=None, evidence=None):
    """The evidence of one side and its true state."""
    session = exact()
    weights = weights or Weights()
    rows = np.arange(len(session.evidence.stamps))
    truth = session.truth
    state = state_of(
        model, side, truth.global_orient[:, side], truth.hand_pose[:, side],
        truth.betas[:, side], truth.translation[:, side],
    )  # fmt: skip
    poser = Poser(model, side, torch.device('cpu'))
    return chain_evidence(evidence or session.evidence, rows, poser), state


def still(model, state):
    return np.zeros((len(state.wrist), 6 + len(model.degrees)))


@pytest.mark.parametrize('side', (0, 1))
def test_landmarks_and_cloud_fit_the_truth(model, side):
    chain, state = prepared(model, side)
    terms = evaluate(state, chain, Weights(), still(model, state))
    # Held twists and shapes that move no joint: fractions of a millimetre, told in deviations of
    # 1e-3 of the hand's extent.
    focal = exact().evidence.focal
    sigma = 1.0 / np.where(chain.inverse > 0, chain.inverse, np.nan)
    pixels = terms.pixels * sigma * focal[:, None, None]
    assert np.nanmean(pixels) < 0.3
    # Hidden points that face a camera find another surface; the rest lies on its own.
    assert np.nanmedian(np.abs(terms.gaps)) < 0.001
    assert terms.facing.min() > 20


def shifted(model, state, seed=0):
    generator = np.random.default_rng(seed)
    scale = np.r_[np.full(3, 0.05), np.full(3, 0.004), np.full(len(model.degrees), 0.15)]
    count = len(state.wrist)
    step = np.concatenate(
        [generator.normal(0, scale, (count, len(scale))), np.zeros((count, model.shapes))], axis=1
    )
    return state.moved(step)


# Robust weights are held in the normal equations; a far reach makes them constant.
STEADY = {'point_reach': 1e4, 'outline_reach': 1e4}
PARTS = {
    'points': Weights(**STEADY, outline=np.inf),
    'joints': Weights(**STEADY, outline=np.inf, point=1e3, joint=0.01),
    'outlines': Weights(**STEADY, point=1e3, outline=2.0),
    'limits': Weights(**STEADY, outline=np.inf, point=1e3),
}


@pytest.mark.parametrize('side', (0, 1))
@pytest.mark.parametrize('part', PARTS)
def test_slopes_are_those_of_finite_differences(model, side, part):
    evidence = exact().evidence
    coarse = np.where(np.isfinite(evidence.sigma), 0.02, np.inf)
    evidence = replace(evidence, cloud=np.full_like(evidence.cloud, np.nan), sigma=coarse)
    chain, state = prepared(model, side, evidence=evidence)
    weights, state = PARTS[part], shifted(model, state)
    rates = still(model, state)
    terms = evaluate(state, chain, weights, rates, shape=True)
    size = terms.normal.gradient.shape[1]
    scale = np.abs(terms.normal.gradient).max()
    for place in range(size):
        step = np.zeros((len(rates), size))
        step[:, place] = STEP
        ahead = evaluate(state.moved(step), chain, weights, rates).normal.cost
        behind = evaluate(state.moved(-step), chain, weights, rates).normal.cost
        slope = (ahead - behind) / (2 * STEP)
        assert np.abs(slope - terms.normal.gradient[:, place]).max() < 1e-3 * scale + 1e-4


def test_triangulated_joints_draw_a_hand_home(model):
    evidence = exact().evidence
    blank = replace(evidence, cloud=np.full_like(evidence.cloud, np.nan))
    chain, state = prepared(model, 1, evidence=blank)
    weights = Weights(point=1e3, outline=np.inf, joint=0.01)
    away = np.zeros((len(state.wrist), 6 + len(model.degrees) + model.shapes))
    away[:, 5] = 0.02
    true = evaluate(state, chain, weights, still(model, state))
    moved = evaluate(state.moved(away), chain, weights, still(model, state))
    assert (moved.normal.gradient[:, 5] > 0).all()
    assert (moved.normal.cost > true.normal.cost + 10).all()


def test_the_cloud_pulls_a_hand_back_along_its_view(model):
    session = exact()
    evidence = replace(session.evidence, points=np.full_like(session.evidence.points, np.nan))
    chain, state = prepared(model, 1, evidence=evidence)
    away = np.zeros((len(state.wrist), 6 + len(model.degrees) + model.shapes))
    away[:, 5] = 0.006
    terms = evaluate(state.moved(away), chain, Weights(), still(model, state))
    assert (terms.normal.gradient[:, 5] > 0).all()
    true = evaluate(state, chain, Weights(), still(model, state))
    assert (terms.normal.cost > true.normal.cost).all()


def test_hidden_surfaces_have_no_counterpart(model):
    session = exact()
    eyes = session.evidence.depth_eyes.copy()
    eyes[1:] = np.nan
    chain, state = prepared(model, 1, evidence=replace(session.evidence, depth_eyes=eyes))
    one = evaluate(state, chain, Weights(), still(model, state))
    chain, _ = prepared(model, 1)
    both = evaluate(state, chain, Weights(), still(model, state))
    assert (one.facing < both.facing).all()
    blind = replace(session.evidence, depth_eyes=np.full_like(eyes, np.nan))
    chain, _ = prepared(model, 1, evidence=blind)
    none = evaluate(state, chain, Weights(), still(model, state))
    assert (none.facing == 0).all() and np.isnan(none.gaps).all()


def test_lags_are_bridged_by_the_motion(model):
    session = exact()
    lag = 0.02
    chain, state = prepared(model, 1, evidence=replace(
        session.evidence, lag=np.full_like(session.evidence.lag, lag)))  # fmt: skip
    rates = still(model, state)
    rates[:, 3] = 0.5  # metres per second to the right
    back = np.zeros((len(rates), 6 + len(model.degrees) + model.shapes))
    back[:, 3] = -0.5 * lag  # where it was when the frame's stamp was
    terms = evaluate(state.moved(back), chain, Weights(), rates)
    still_there = evaluate(state.moved(back), chain, Weights(), still(model, state))
    assert np.nanmean(terms.pixels) < 0.2 * np.nanmean(still_there.pixels)


def test_what_is_missing_says_nothing(model):
    session = exact()
    nothing = replace(
        session.evidence, points=np.full_like(session.evidence.points, np.nan),
        cloud=np.full_like(session.evidence.cloud, np.nan),
        mask_step=np.full_like(session.evidence.mask_step, np.nan),
    )  # fmt: skip
    chain, state = prepared(model, 0, evidence=nothing)
    terms = evaluate(state, chain, Weights(), still(model, state))
    assert np.abs(terms.normal.gradient[:, :6]).max() == 0
    assert (chain.inverse == 0).all() and np.isnan(terms.pixels).all()


def test_bent_back_fingers_cost(model):
    chain, state = prepared(model, 1)
    bent = state.angles.copy()
    flexion = model.degrees[:, 1] == 2
    bent[:, flexion] = model.lower[flexion] - 0.5
    worse = replace(state, angles=bent)
    blank = replace(
        exact().evidence, points=np.full_like(exact().evidence.points, np.nan),
        cloud=np.full_like(exact().evidence.cloud, np.nan),
    )  # fmt: skip
    chain, _ = prepared(model, 1, evidence=blank)
    cost = [evaluate(one, chain, Weights(), still(model, state)).normal for one in (state, worse)]
    assert (cost[1].cost > cost[0].cost + 100).all()
    place = 6 + np.flatnonzero(flexion)
    assert (cost[1].gradient[:, place] < 0).all()


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of several devices, as those of a GPU do."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        """Run an operation."""
        tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in tensors if x.ndim}
        assert len(devices) < 2, f'{function} of tensors on {devices}'
        return function(*args, **(kwargs or {}))


def test_everything_is_computed_on_the_device_of_the_evidence(model):
    """Without a GPU: tensors that have a device, shape and no numbers stand for those of one."""
    evidence = exact().evidence
    _, state = prepared(model, 1)
    with OneDevice():
        poser = Poser(model, 1, torch.device('meta'))
        chain = chain_evidence(evidence, np.arange(len(evidence.stamps)), poser)
        for part in (chain, chain.take(np.array([1])), chain.believed(np.ones((4, 21)))):
            hands = state.take(slice(0, len(part.stamps)))
            weights = Weights(joint=0.01)
            equations, rest = compute(hands, part, weights, still(model, hands), shape=True)
            for values in (vars(equations), vars(part), rest):
                for name, value in values.items():
                    if isinstance(value, torch.Tensor):
                        assert value.device.type == 'meta', name
