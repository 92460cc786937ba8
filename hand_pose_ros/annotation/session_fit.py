"""Session fit: evidence of a session in, labels of both hands out."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.chain import Chain, Smoothness
from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.shape import shared_shape
from hand_pose_ros.annotation.states import parameters_of, state_of, with_shape
from hand_pose_ros.annotation.terms import Weights, chain_evidence
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.hand_model.residuals import JOINTS
from hand_pose_ros.sessions.labels import FITTED, INTERPOLATED, SessionLabels

Array = NDArray[np.float64]

_ITERATIONS = 8


def session_shape(evidence: Evidence) -> Array:
    """Return the shape (K,) of the hands, shared by both, from some of a session's frames."""
    sides = [side for side in range(2) if evidence.started[:, side].sum() > 2]
    if not sides:
        return np.zeros(_model().shapes)
    chains = [_chain(evidence, side) for side in sides]
    return shared_shape(chains, [_start(evidence, side) for side in sides])


def fit_session(evidence: Evidence, shape: Array, frame_id: str) -> SessionLabels:
    """Return the labels of frames that follow each other.

    Args:
        evidence: of the frames.
        shape: (K,) of the hands.
        frame_id: optical frame of the rig's reference camera.
    """
    labels = SessionLabels.empty(evidence.stamps, evidence.numbers, frame_id)
    for side in range(2):
        rows = np.flatnonzero(evidence.started[:, side])
        if not len(rows):
            continue
        start = with_shape(_start(evidence, side), shape)
        state, terms = _chain(evidence, side).fit(start, _ITERATIONS)
        for name, values in parameters_of(_model(), side, state).items():
            getattr(labels, name)[rows, side] = values
        labels.joints[rows, side] = terms.posed.points[..., JOINTS].transpose(0, 2, 1)
        seen = (terms.belief > 0.1).any(axis=2).any(axis=0) | (terms.facing > 20)
        labels.origin[rows, side] = np.where(seen, FITTED, INTERPOLATED)
        labels.quality[rows, side] = np.where(seen, 0.5, 0.1)
    return labels


@lru_cache(maxsize=1)
def _model() -> FittingModel:
    return FittingModel(load_hand_model('right'), load_landmark_model().offsets, 128)


def _chain(evidence: Evidence, side: int) -> Chain:
    rows = np.flatnonzero(evidence.started[:, side])
    weights = Weights()
    prepared = chain_evidence(evidence, side, rows, weights)
    return Chain(model=_model(), evidence=prepared, weights=weights, smoothness=Smoothness())


def _start(evidence: Evidence, side: int) -> HandState:
    rows = np.flatnonzero(evidence.started[:, side])
    values = [
        getattr(evidence, name)[rows, side]
        for name in ('global_orient', 'hand_pose', 'betas', 'translation')
    ]
    return state_of(_model(), side, *values)
