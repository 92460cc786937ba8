"""Chain: one Levenberg-Marquardt fit over all frames of a hand at once, joined by smoothness."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solveh_banded

from hand_pose_ros.annotation.chain_evidence import ChainEvidence
from hand_pose_ros.annotation.terms import Terms, evaluate
from hand_pose_ros.annotation.weights import Weights
from hand_pose_ros.hand_model.fitting import rotation_vectors
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_LONGEST_STEP = 0.4  # rad or decimetres


@dataclass(frozen=True, kw_only=True)
class Smoothness:
    """Standard deviations of how a hand's motion changes; frames apart by more are not joined.

    Attributes:
        turn: angular acceleration of the hand, rad/s^2.
        wrist: acceleration of the wrist, m/s^2.
        angle: angular acceleration of the fingers, rad/s^2.
        gap: longest time between two joined frames, seconds.
    """

    turn: float = 30.0
    wrist: float = 4.0
    angle: float = 40.0
    gap: float = 0.15


@dataclass(kw_only=True, eq=False)
class Chain:
    """A hand of one side in M frames, to be fitted together with a shape held.

    Attributes:
        evidence: of the M frames.
        weights: of the terms.
        smoothness: between the frames.
    """

    evidence: ChainEvidence
    weights: Weights = field(default_factory=Weights)
    smoothness: Smoothness = field(default_factory=Smoothness)

    def __post_init__(self) -> None:
        """Find the triples of frames that are joined."""
        times = (self.evidence.stamps - self.evidence.stamps[:1]) * 1e-9
        steps = np.diff(times)
        joined = (steps[:-1] <= self.smoothness.gap) & (steps[1:] <= self.smoothness.gap)
        self._middles: Indices = np.flatnonzero(joined) + 1
        self._before = steps[self._middles - 1] if len(steps) else np.zeros(0)
        self._after = steps[self._middles] if len(steps) else np.zeros(0)
        freedom = 6 + len(self.model.degrees)
        smooth = self.smoothness
        sigma = np.array([smooth.turn] * 3 + [smooth.wrist] * 3 + [smooth.angle] * (freedom - 6))
        # The second derivative is (v1 - v0) / ((before + after) / 2).
        self._scale = 2.0 / (self._before + self._after)[:, None] / sigma

    @property
    def model(self) -> FittingModel:
        """The hands."""
        return self.evidence.poser.model

    def fit(self, start: HandState, iterations: int = 8) -> tuple[HandState, Terms]:
        """Return the most likely motion near a start, and what is left of the evidence.

        Args:
            start: state of the M frames.
            iterations: steps to try at most; it ends earlier when nothing improves any more.
        """
        state = start
        terms, cost = self._value(state)
        damping = 1e-3
        for _ in range(iterations):
            trial = self._stepped(state, terms, damping)
            trial_terms, trial_cost = self._value(trial)
            if trial_cost < cost:
                gain = (cost - trial_cost) / max(cost, 1e-12)
                state, terms, cost = trial, trial_terms, trial_cost
                damping = max(damping * 0.2, 1e-7)
                if gain < 1e-4:
                    break
            else:
                damping *= 10.0
                if damping > 1e4:
                    break
        return state, terms

    def terms(self, state: HandState, *, shape: bool = False) -> Terms:
        """Return the evidence's terms at a state, without the smoothness."""
        rates = self._rates(state)
        return evaluate(state, self.evidence, self.weights, rates, shape=shape)

    def _value(self, state: HandState) -> tuple[Terms, float]:
        terms = self.terms(state)
        residual = self._bends(state) * self._scale
        return terms, float(terms.normal.cost.sum() + 0.5 * (residual**2).sum())

    def _rates(self, state: HandState) -> Array:
        """Return each frame's rate of change (M, P) per second, from its neighbours."""
        count = len(state.wrist)
        rates = np.zeros((count, self._scale.shape[1]))
        if len(self._middles):
            step = self._difference(state, self._middles - 1, self._middles + 1)
            rates[self._middles] = step / (self._before + self._after)[:, None]
        return rates

    def _difference(self, state: HandState, first: Indices, second: Indices) -> Array:
        turn = state.rotation[second] @ state.rotation[first].transpose(0, 2, 1)
        return np.concatenate(
            [rotation_vectors(turn), state.wrist[second] - state.wrist[first],
             state.angles[second] - state.angles[first]], axis=1,
        )  # fmt: skip

    def _bends(self, state: HandState) -> Array:
        """Return the change of velocity (T, P) at each joined middle frame."""
        if not len(self._middles):
            return np.zeros((0, self._scale.shape[1]))
        ahead = self._difference(state, self._middles, self._middles + 1)
        behind = self._difference(state, self._middles - 1, self._middles)
        return ahead / self._after[:, None] - behind / self._before[:, None]

    def _stepped(self, state: HandState, terms: Terms, damping: float) -> HandState:
        """Solve the banded normal equations and take the step."""
        hessian, gradient = terms.normal.hessian.copy(), terms.normal.gradient.copy()
        count, size = gradient.shape
        diagonal = np.arange(size)
        hessian[:, diagonal, diagonal] *= 1.0 + damping
        hessian[:, diagonal, diagonal] += 1e-3
        near, far = np.zeros((count, size)), np.zeros((count, size))
        if len(self._middles):
            parts = (
                1.0 / self._before[:, None],
                -1.0 / self._before[:, None] - 1.0 / self._after[:, None],
                1.0 / self._after[:, None],
            )
            slopes = [part * self._scale for part in parts]
            residual = self._bends(state) * self._scale
            for offset, slope in zip((-1, 0, 1), slopes, strict=True):
                rows = self._middles + offset
                np.add.at(gradient, rows, slope * residual)
                for place in diagonal:
                    np.add.at(hessian[:, place, place], rows, slope[:, place] ** 2)
            np.add.at(near, self._middles - 1, slopes[0] * slopes[1])
            np.add.at(near, self._middles, slopes[1] * slopes[2])
            np.add.at(far, self._middles - 1, slopes[0] * slopes[2])
        step = _solved(hessian, near, far, -gradient)
        length = np.abs(step)
        length[:, 3:6] *= 10.0
        step *= np.minimum(1.0, _LONGEST_STEP / np.maximum(length.max(axis=1), 1e-12))[:, None]
        step = np.concatenate([step, np.zeros((count, state.shape.shape[1]))], axis=1)
        return state.moved(step)


def _solved(hessian: Array, near: Array, far: Array, right: Array) -> Array:
    """Solve the block system whose blocks one and two off the diagonal are diagonal.

    Args:
        hessian: (M, P, P) blocks on the diagonal.
        near: (M, P) diagonals of the blocks between frame i and i + 1.
        far: (M, P) the same between i and i + 2.
        right: (M, P).
    """
    count, size = right.shape
    band = np.zeros((min(2, count - 1) * size + size, count * size))
    for column in range(size):
        for row in range(column, size):
            band[row - column, column::size] = hessian[:, row, column]
    for steps, values in ((1, near), (2, far)):
        if count > steps:
            flat = values[:-steps].reshape(-1)
            band[steps * size, : len(flat)] = flat
    try:
        return solveh_banded(band, right.ravel(), lower=True, check_finite=False).reshape(
            count, size
        )
    except LinAlgError:
        return np.zeros_like(right)
