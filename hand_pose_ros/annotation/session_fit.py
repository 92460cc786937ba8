"""Session fit: evidence of a session in, labels of both hands out."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.chain import Chain, Smoothness
from hand_pose_ros.annotation.chain_evidence import ChainEvidence, chain_evidence
from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.poses import Poses, carried_over_gaps
from hand_pose_ros.annotation.posing import Poser, checked_device
from hand_pose_ros.annotation.quality import expected_error, row_means, score
from hand_pose_ros.annotation.restarts import restarted
from hand_pose_ros.annotation.reweighting import landmark_factors
from hand_pose_ros.annotation.shape import shared_shape
from hand_pose_ros.annotation.states import parameters_of, state_of, with_shape
from hand_pose_ros.annotation.terms import Terms
from hand_pose_ros.annotation.weights import Weights
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.sessions.labels import FITTED, INTERPOLATED, SessionLabels

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_ITERATIONS = 8
# First with triangulated joints and a far reach of the cloud, which draw a hand home; then with a
# near reach, which only the hand itself is in.
FAR, NEAR = Weights(joint=0.02), Weights(cloud=0.004, cloud_reach=0.010)
SMOOTHNESS = Smoothness(turn=10.0, wrist=1.5, angle=15.0)
# Labels are carried over so long a silence, seconds.
LONGEST_GAP = 0.2
# Quality of a hand that was carried over, as a part of the worse of those around it.
_CARRIED = 0.5
# A hand counts as seen with so many believed landmarks in one view, or so much of its visible
# surface on the cloud.
_LANDMARKS, _BELIEF, _SURFACE = 8, 0.25, 0.6
# A hand that is expected to be farther off than this is no label, metres.
_WORST = 0.03


@dataclass(frozen=True, kw_only=True, eq=False)
class Fitted:
    """One side after the fit.

    Attributes:
        rows: (M,) of the evidence.
        evidence: of those frames, its landmarks weighted as they proved right.
        state: M hands.
        terms: what is left of the evidence.
        seen: (M,) whether the evidence bears the hand.
    """

    rows: Indices
    evidence: ChainEvidence
    state: HandState
    terms: Terms
    seen: NDArray[np.bool_]


@lru_cache(maxsize=1)
def fitting_model() -> FittingModel:
    """Return the hands as they are fitted."""
    return FittingModel(load_hand_model('right'), load_landmark_model().offsets, 128)


@lru_cache
def _poser(side: int, device: str) -> Poser:
    return Poser(fitting_model(), side, checked_device(device))


def session_shape(evidence: Evidence, device: str = 'cpu') -> Array:
    """Return the shape (K,) of the hands, shared by both, from some of a session's frames."""
    sides = [side for side in range(2) if evidence.started[:, side].sum() > 2]
    if not sides:
        return np.zeros(fitting_model().shapes)
    chains = [_chain(evidence, side, device) for side in sides]
    return shared_shape(chains, [_start(evidence, side) for side in sides])


def fit_side(evidence: Evidence, side: int, shape: Array, device: str = 'cpu') -> Fitted:
    """Fit the hand of one side in frames that follow each other, the shape (K,) held."""
    state = with_shape(_start(evidence, side), shape)
    chain = _chain(evidence, side, device)
    state, terms = chain.fit(state, _ITERATIONS)
    state = restarted(chain, state, terms)
    believed = chain.evidence.believed(landmark_factors(chain.terms(state), chain.weights))
    chain = replace(chain, evidence=believed, weights=NEAR)
    state, terms = chain.fit(state, _ITERATIONS)
    seen = (terms.belief > _BELIEF).sum(axis=2).max(axis=0, initial=0) >= _LANDMARKS
    covered = np.isfinite(terms.gaps).sum(axis=1) / np.maximum(terms.facing, 1)
    return Fitted(
        rows=_rows(evidence, side), evidence=chain.evidence, state=state, terms=terms,
        seen=(seen | (covered >= _SURFACE)) & (expected_error(terms) < _WORST),
    )  # fmt: skip


def fit_session(
    evidence: Evidence, shape: Array, frame_id: str, device: str = 'cpu'
) -> SessionLabels:
    """Return the labels of frames that follow each other.

    Hands that their evidence does not bear are absent, but for gaps of at most ``LONGEST_GAP``
    between borne ones, which are carried over and marked as interpolated.

    Args:
        evidence: of the frames.
        shape: (K,) of the hands.
        frame_id: optical frame of the rig's reference camera.
        device: where it is computed, such as ``cpu`` or ``cuda``.

    Raises:
        HandPoseError: if the device cannot be used.
    """
    labels = SessionLabels.empty(evidence.stamps, evidence.numbers, frame_id)
    for name in ('pixels', 'outline', 'surface'):
        labels.residuals[name] = np.full((len(evidence.stamps), 2), np.nan)
    for side in range(2):
        if len(_rows(evidence, side)):
            _write(labels, evidence, side, fit_side(evidence, side, shape, device))
    return _with_gaps_filled(labels)


def _write(labels: SessionLabels, evidence: Evidence, side: int, fitted: Fitted) -> None:
    """Enter the hands that were seen."""
    seen, rows = fitted.seen, fitted.rows[fitted.seen]
    for name, values in parameters_of(fitting_model(), side, fitted.state).items():
        getattr(labels, name)[rows, side] = values[seen]
    labels.joints[rows, side] = fitted.terms.joints[seen]
    labels.origin[rows, side] = FITTED
    for name, values in _residuals(evidence.focal, fitted).items():
        labels.residuals[name][rows, side] = values[seen]
    labels.quality[rows, side] = score(expected_error(fitted.terms))[seen]


def _residuals(focal: Array, fitted: Fitted) -> dict[str, Array]:
    """Return mean distances (M,) from landmarks and masks, in pixels, and the cloud, in metres."""
    terms = fitted.terms
    inverse = fitted.evidence.inverse.cpu().numpy() / NEAR.point
    away = terms.pixels / np.where(inverse > 0, inverse, np.nan)
    pixels = away * focal[:, None, None]
    return {
        'pixels': row_means(pixels.transpose(1, 0, 2)),
        'outline': row_means((terms.outline * focal[:, None]).T),
        'surface': row_means(np.abs(terms.gaps)),
    }


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
    for name in MODEL_PARAMETERS:
        getattr(labels, name)[new] = getattr(filled, name)[new]
    labels.joints[new] = joints[new]
    labels.quality[new] = _CARRIED * _quality_around(labels)[new]
    labels.origin[new] = INTERPOLATED
    return labels


def _quality_around(labels: SessionLabels) -> Array:
    """Return the lower quality (N, 2) of the fitted hands before and after each frame."""
    around = np.zeros_like(labels.quality)
    for side in range(2):
        rows = np.flatnonzero(labels.origin[:, side] == FITTED)
        after = np.searchsorted(rows, np.arange(len(around)))
        if len(rows):
            ends = rows[np.clip([after - 1, after], 0, len(rows) - 1)]
            around[:, side] = labels.quality[ends, side].min(axis=0)
    return around


def _rows(evidence: Evidence, side: int) -> Indices:
    return np.flatnonzero(evidence.started[:, side])


def _chain(evidence: Evidence, side: int, device: str) -> Chain:
    prepared = chain_evidence(evidence, _rows(evidence, side), _poser(side, device))
    return Chain(evidence=prepared, weights=FAR, smoothness=SMOOTHNESS)


def _start(evidence: Evidence, side: int) -> HandState:
    rows = _rows(evidence, side)
    values = [getattr(evidence, name)[rows, side] for name in MODEL_PARAMETERS]
    return state_of(fitting_model(), side, *values)
