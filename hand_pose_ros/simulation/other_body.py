"""OtherBody: an exo camera's tripod, which the simulated head moves against."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.transforms import inverse, rigid

Array = NDArray[np.float64]

# Where the tripod stands before the wearer and where it looks, rig frame (x forward, y left,
# z up) of a head at rest, metres: it faces the wearer 0.7 m from the hands.
_PLACE = np.array([0.98, 0.20, -0.02])
_TARGET = np.array([0.38, 0.0, -0.26])
# Sway of a head at rest: three incommensurable sines an axis.
_FREQUENCIES = np.array([0.13, 0.31, 0.74])  # Hz
_TURN = np.array([0.05, 0.02, 0.006])  # rad
_SHIFT = np.array([0.02, 0.008, 0.002])  # metres


class OtherBody:
    """A tripod that faces the wearer; its pose is a pure function of time after construction."""

    def __init__(self, seed: int) -> None:
        """Draw the phases of the head's sway."""
        generator = np.random.default_rng([seed, 11])
        self._phases = generator.uniform(0, 2 * np.pi, (2, 3, 3))
        forward = (_TARGET - _PLACE) / np.linalg.norm(_TARGET - _PLACE)
        left = np.cross([0.0, 0.0, 1.0], forward)
        left /= np.linalg.norm(left)
        axes = np.column_stack([forward, left, np.cross(forward, left)])
        self._T_world_body = rigid(axes, _PLACE)

    def at(self, time: float) -> Array:
        """Return ``T_rig_body`` (4, 4) at a time in seconds."""
        waves = np.sin(2 * np.pi * _FREQUENCIES * time + self._phases)  # (turn or shift, axis, 3)
        T_world_rig = rigid(Rotation.from_rotvec(waves[0] @ _TURN).as_matrix(), waves[1] @ _SHIFT)
        return inverse(T_world_rig) @ self._T_world_body
