"""Arms of batched clips: from where the forearm points and the wrist turns to rotations."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.hand import rotation_matrices

Array = NDArray[np.float64]

# Wrist of a right arm, rad: supination (0 = palm down), flexion, deviation to the thumb side.
TURN_LIMITS = np.array([[-0.5, 3.0], [-1.0, 0.9], [-0.35, 0.5]])


def arm_rotations(forward: Array, turns: Array) -> tuple[Array, Array]:
    """Return rotations of right forearms and hands from the rest axes into the scene.

    A forearm that points forward has the back of its hand up; one that points elsewhere is that
    one, turned there the shortest way.

    Args:
        forward: (T, 3) unit vectors from elbow to wrist, not straight backwards (-x).
        turns: (T, 3) see ``TURN_LIMITS``, rad.

    Returns:
        forearms and hands (T, 3, 3).
    """
    halfway = forward + np.array([1.0, 0.0, 0.0])
    up = np.array([0.0, 0.0, 1.0]) - halfway * (forward[:, 2] / (1 + forward[:, 0]))[:, None]
    forearm = np.stack([-forward, up, np.cross(-forward, up)], axis=2)
    supination, flexion, deviation = turns.T
    zeros = np.zeros_like(supination)
    angles = np.stack([
        np.stack([-supination, zeros, zeros], 1), np.stack([zeros, deviation, zeros], 1),
        np.stack([zeros, zeros, flexion], 1),
    ], 1)  # fmt: skip
    about = rotation_matrices(angles)
    return forearm, forearm @ about[:, 0] @ about[:, 1] @ about[:, 2]


def forearm_directions(palm: Array, elbow: Array) -> Array:
    """Return unit vectors (T, 3) from elbows to palms, bent away from straight backwards."""
    forward = palm - elbow
    forward /= np.linalg.norm(forward, axis=1, keepdims=True) + 1e-9
    forward[:, 0] = np.maximum(forward[:, 0], -0.35)
    return forward / np.linalg.norm(forward, axis=1, keepdims=True)
