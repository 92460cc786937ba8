"""Rigid transforms as 4x4 matrices: ``T_a_b`` maps points of frame b into frame a."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Array = NDArray[np.float64]


def rigid(rotation: Array, translation: Array) -> Array:
    """Build a 4x4 transform from a rotation matrix (3, 3) and a translation (3,) in metres."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = np.ravel(translation)
    return transform


def inverse(transform: Array) -> Array:
    """Invert a rigid transform (4, 4): ``T_b_a`` from ``T_a_b``."""
    rotation = transform[:3, :3].T
    return rigid(rotation, -rotation @ transform[:3, 3])


def apply(transform: Array, points: Array) -> Array:
    """Map points (..., 3) in metres through a rigid transform (4, 4)."""
    return np.asarray(points) @ transform[:3, :3].T + transform[:3, 3]


def from_quaternion(xyzw: Array, translation: Array) -> Array:
    """Build a 4x4 transform from a quaternion (x, y, z, w) and a translation (3,) in metres."""
    return rigid(Rotation.from_quat(xyzw).as_matrix(), translation)


def to_quaternion(transform: Array) -> Array:
    """Return the rotation of a transform (4, 4) as a unit quaternion (x, y, z, w)."""
    return Rotation.from_matrix(transform[:3, :3]).as_quat()


def is_rigid(transform: Array, tolerance: float = 1e-4) -> bool:
    """Say whether a 4x4 matrix is a proper rigid transform (orthonormal, determinant +1)."""
    rotation = transform[:3, :3]
    orthonormal = np.allclose(rotation @ rotation.T, np.eye(3), atol=tolerance)
    bottom = np.allclose(transform[3], (0, 0, 0, 1), atol=tolerance)
    return bool(orthonormal and bottom and np.linalg.det(rotation) > 0)
