"""Session fit: evidence of a session in, labels of both hands out."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.chain import Chain, Smoothness
from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.poses import Poses, carried_over_gaps
from hand_pose_ros.annotation.shape import shared_shape
from hand_pose_ros.annotation.states import parameters_of, state_of, with_shape
from hand_pose_ros.annotation.terms import Terms, Weights, chain_evidence
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.hand_model.residuals import JOINTS
from hand_pose_ros.sessions.labels import FITTED, INTERPOLATED, SessionLabels

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_ITERATIONS = 8
# First with a far reach of the cloud, then with a near one, which only the hand itself is in.
ROUNDS = (Weights(), Weights(cloud=0.004, cloud_reach=0.010))
SMOOTHNESS = Smoothness(turn=10.0, wrist=1.5, angle=15.0)
# Labels are carried over so long a silence, seconds.
LONGEST_GAP = 0.2
# A hand counts as seen with so many believed landmarks in one view, or so much of its visible
# surface on the cloud.
_LANDMARKS, _BELIEF, _SURFACE = 8, 0.25, 0.6


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """One side after the fit.

    Attributes:
        rows: (M,) of the evidence.
        state: M hands.
        terms: what is left of the evidence.
        seen: (M,) whether the evidence bears the hand.
    """

    rows: Indices
    state: HandState
    terms: Terms
    seen: NDArray[np.bool_]


@lru_cache(maxsize=1)
def fitting_model() -> FittingModel:
    """Return the hands as they are fitted."""
    return FittingModel(load_hand_model('right'), load_landmark_model().offsets, 128)


def session_shape(evidence: Evidence) -> Array:
    """Return the shape (K,) of the hands, shared by both, from some of a session's frames."""
    sides = [side for side in range(2) if evidence.started[:, side].sum() > 2]
    if not sides:
        return np.zeros(fitting_model().shapes)
    chains = [_chain(evidence, side, ROUNDS[0]) for side in sides]
    return shared_shape(chains, [_start(evidence, side) for side in sides])


def fit_side(evidence: Evidence, side: int, shape: Array) -> Fitted:
    """Fit the hand of one side in frames that follow each other, the shape (K,) held."""
    state = with_shape(_start(evidence, side), shape)
    for weights in ROUNDS:
        state, terms = _chain(evidence, side, weights).fit(state, _ITERATIONS)
    believed = (terms.belief > _BELIEF).sum(axis=2).max(axis=0, initial=0)
    covered = np.isfinite(terms.gaps).sum(axis=1) / np.maximum(terms.facing, 1)
    return Fitted(
        rows=_rows(evidence, side), state=state, terms=terms,
        seen=(believed >= _LANDMARKS) | (covered >= _SURFACE),
    )  # fmt: skip


def fit_session(evidence: Evidence, shape: Array, frame_id: str) -> SessionLabels:
    """Return the labels of frames that follow each other.

    Hands that their evidence does not bear are absent, but for gaps of at most ``LONGEST_GAP``
    between borne ones, which are carried over and marked as interpolated.

    Args:
        evidence: of the frames.
        shape: (K,) of the hands.
        frame_id: optical frame of the rig's reference camera.
    """
    labels = SessionLabels.empty(evidence.stamps, evidence.numbers, frame_id)
    for name in ('pixels', 'surface'):
        labels.residuals[name] = np.full((len(evidence.stamps), 2), np.nan)
    for side in range(2):
        if len(_rows(evidence, side)):
            _write(labels, evidence, side, fit_side(evidence, side, shape))
    return _with_gaps_filled(labels)


def _write(labels: SessionLabels, evidence: Evidence, side: int, fitted: Fitted) -> None:
    """Enter the hands that were seen."""
    seen, rows = fitted.seen, fitted.rows[fitted.seen]
    for name, values in parameters_of(fitting_model(), side, fitted.state).items():
        getattr(labels, name)[rows, side] = values[seen]
    joints = fitted.terms.posed.points[..., JOINTS].transpose(0, 2, 1)
    labels.joints[rows, side] = joints[seen]
    labels.origin[rows, side] = FITTED
    pixels, surface = _residuals(evidence, side, fitted)
    labels.residuals['pixels'][rows, side] = pixels[seen]
    labels.residuals['surface'][rows, side] = surface[seen]
    labels.quality[rows, side] = quality(pixels, surface)[seen]


def _residuals(evidence: Evidence, side: int, fitted: Fitted) -> tuple[Array, Array]:
    """Return the mean landmark error (M,) in pixels and that of the surface (M,) in metres."""
    part = evidence.take(fitted.rows)
    sigma = ROUNDS[-1].point * part.sigma[:, :, side]
    away = fitted.terms.pixels * np.where(np.isfinite(sigma), sigma, 0.0)
    pixels = away * part.focal[:, None, None]
    return _mean(pixels.transpose(1, 0, 2)), _mean(np.abs(fitted.terms.gaps))


def _mean(values: Array) -> Array:
    """Return the mean of what is there in each row; NaN where nothing is."""
    flat = values.reshape(len(values), -1)
    count = np.isfinite(flat).sum(axis=1)
    return np.where(count > 0, np.nansum(flat, axis=1) / np.maximum(count, 1), np.nan)


def quality(pixels: Array, surface: Array) -> Array:
    """Return a score in 0..1 of residuals: 1 for none, a half at 8 pixels or 8 mm."""
    worst = np.fmax(pixels / 8.0, surface / 0.008)
    return 1.0 / (1.0 + np.nan_to_num(worst, nan=10.0))


def _with_gaps_filled(labels: SessionLabels) -> SessionLabels:
    poses = Poses(
        stamps=labels.stamps, global_orient=labels.global_orient, hand_pose=labels.hand_pose,
        betas=labels.betas, translation=labels.translation, tracked=labels.origin == FITTED,
    )  # fmt: skip
    filled = carried_over_gaps(poses, LONGEST_GAP)
    new = filled.present & (labels.origin != FITTED)
    if not new.any():
        return labels
    joints = filled.joints()
    for name in ('global_orient', 'hand_pose', 'betas', 'translation'):
        getattr(labels, name)[new] = getattr(filled, name)[new]
    labels.joints[new] = joints[new]
    labels.origin[new] = INTERPOLATED
    return labels


def _rows(evidence: Evidence, side: int) -> Indices:
    return np.flatnonzero(evidence.started[:, side])


def _chain(evidence: Evidence, side: int, weights: Weights) -> Chain:
    prepared = chain_evidence(evidence, side, _rows(evidence, side), weights)
    return Chain(model=fitting_model(), evidence=prepared, weights=weights, smoothness=SMOOTHNESS)


def _start(evidence: Evidence, side: int) -> HandState:
    rows = _rows(evidence, side)
    values = [
        getattr(evidence, name)[rows, side]
        for name in ('global_orient', 'hand_pose', 'betas', 'translation')
    ]
    return state_of(fitting_model(), side, *values)
