"""Shape: the one hand shape of a session, from some of its frames and both hands."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.chain import Chain
from hand_pose_ros.annotation.states import with_shape
from hand_pose_ros.hand_model.kinematics import HandState

Array = NDArray[np.float64]

_ROUNDS = 5
_ENOUGH = 1e-2  # a shape that changes by less is settled
# Errors of neighbouring frames are alike: this many of them count as one.
_ALIKE = 10.0


def shared_shape(chains: list[Chain], starts: list[HandState], iterations: int = 4) -> Array:
    """Return the shape coefficients (K,) that fit all frames of some chains best.

    Poses and shape are improved in turn. In each round the step of the shape takes into account
    how the poses would follow it (Schur complement), so that a few rounds suffice.

    Args:
        chains: hands of one person, of either side; the shape is that of the right hand.
        starts: a state for each.
        iterations: steps of the poses in each round.
    """
    states = list(starts)
    shape = np.median(np.concatenate([state.shape for state in states]), axis=0)
    for _ in range(_ROUNDS):
        count = len(shape)
        hessian, gradient = np.eye(count), shape.copy()
        for place, chain in enumerate(chains):
            states[place], _ = chain.fit(with_shape(states[place], shape), iterations)
            own_hessian, own_gradient = _reduced(chain, states[place])
            hessian += own_hessian / _ALIKE
            gradient += own_gradient / _ALIKE
        step = -np.linalg.solve(hessian, gradient)
        shape = np.clip(shape + np.clip(step, -1.0, 1.0), -3.0, 3.0)
        if np.abs(step).max() < _ENOUGH:
            break
    return shape


def _reduced(chain: Chain, state: HandState) -> tuple[Array, Array]:
    """Return the normal equations of the shape alone, the poses eliminated."""
    normal = chain.terms(state, shape=True).normal
    split = 6 + len(chain.model.degrees)
    pose = normal.hessian[:, :split, :split] + 1e-3 * np.eye(split)
    cross = normal.hessian[:, :split, split:]
    solved = np.linalg.solve(pose, cross)  # (M, P, K)
    hessian = normal.hessian[:, split:, split:] - cross.transpose(0, 2, 1) @ solved
    along = np.einsum('mpk,mp->mk', solved, normal.gradient[:, :split])
    gradient = normal.gradient[:, split:] - along
    return hessian.sum(axis=0), gradient.sum(axis=0)
