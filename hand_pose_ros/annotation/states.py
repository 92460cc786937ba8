"""States: hand-model parameters as the fit moves them, and back."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState

Array = NDArray[np.float64]

SHAPES = 10


def state_of(
    model: FittingModel, side: int, global_orient: Array, hand_pose: Array, betas: Array,
    translation: Array,
) -> HandState:  # fmt: skip
    """Return M hands of one side from MANO's parameters.

    Args:
        model: the hands; angles and shapes it holds at rest are left out.
        side: 0 left, 1 right.
        global_orient: (M, 3) axis-angle, rad.
        hand_pose: (M, 15, 3) axis-angle, rad.
        betas: (M, 10).
        translation: (M, 3) metres.
    """
    sides = np.full(len(global_orient), side)
    state = HandState(
        rotation=rotation_matrices(global_orient), wrist=np.zeros_like(translation),
        angles=model.angles(hand_pose, sides), shape=betas[:, : model.shapes],
    )  # fmt: skip
    wrist = translation - model.translation(state, sides)
    return HandState(rotation=state.rotation, wrist=wrist, angles=state.angles, shape=state.shape)


def parameters_of(model: FittingModel, side: int, state: HandState) -> dict[str, Array]:
    """Return MANO's parameters by name, ``global_orient`` to ``translation``, of M hands."""
    sides = np.full(len(state.wrist), side)
    betas = np.zeros((len(sides), SHAPES))
    betas[:, : model.shapes] = state.shape
    return {
        'global_orient': Rotation.from_matrix(state.rotation).as_rotvec(),
        'hand_pose': model.hand_pose(state.angles, sides),
        'betas': betas,
        'translation': model.translation(state, sides),
    }


def with_shape(state: HandState, shape: Array) -> HandState:
    """Return M hands with another shape (K,); their wrists stay where they are."""
    return HandState(
        rotation=state.rotation, wrist=state.wrist, angles=state.angles,
        shape=np.tile(shape, (len(state.wrist), 1)),
    )  # fmt: skip
