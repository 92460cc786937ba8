"""Restarts: hands whose fit went astray begin again at their triangulated joints."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.chain import Chain, Smoothness
from hand_pose_ros.annotation.quality import expected_error
from hand_pose_ros.annotation.states import with_shape
from hand_pose_ros.annotation.terms import Terms
from hand_pose_ros.estimators.initial_pose import states_at_joints
from hand_pose_ros.hand_model.kinematics import HandState, stack_states

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

ASTRAY = 0.012  # metres of expected error from which a hand is tried again
_PALM = [0, 1, 5, 9, 13, 17]
_ITERATIONS = 8


def restarted(chain: Chain, state: HandState, terms: Terms) -> HandState:
    """Return the state with better fits of the frames that went astray.

    Each is fitted alone from the rotation of its triangulated palm, with fingers more and less
    bent; the better one replaces the fit where it costs less.

    Args:
        chain: what was fitted.
        state: M hands.
        terms: at that state.
    """
    known = (chain.evidence.joint_inverse[:, _PALM] > 0).all(dim=1).cpu().numpy()
    astray = np.flatnonzero((expected_error(terms) > ASTRAY) & known)
    if not len(astray):
        return state
    side, joints = chain.evidence.poser.side, chain.evidence.joints.cpu().numpy()[astray]
    shape = state.shape[0]
    pairs = [states_at_joints(chain.model, side, points, shape) for points in joints]
    best, least = state, terms.normal.cost.copy()
    alone = replace(chain, evidence=chain.evidence.take(astray), smoothness=Smoothness(gap=0.0))
    for place in range(len(pairs[0].wrist)):
        start = with_shape(stack_states([pair.take([place]) for pair in pairs]), shape)
        found, left = alone.fit(start, _ITERATIONS)
        better = left.normal.cost < least[astray]
        least[astray[better]] = left.normal.cost[better]
        best = _replaced(best, astray[better], found.take(np.flatnonzero(better)))
    return best


def _replaced(state: HandState, rows: Indices, other: HandState) -> HandState:
    """Return a state with other hands in some rows."""
    arrays = {
        name: getattr(state, name).copy() for name in ('rotation', 'wrist', 'angles', 'shape')
    }
    for name, values in arrays.items():
        values[rows] = getattr(other, name)
    return HandState(**arrays)
