"""Coordinate frames of the wrist and of the joints, from joint positions alone.

The wrist frame of either hand: origin in the wrist, x towards the middle knuckle, z out of the back
of the hand, y = z cross x (towards the thumb on a right hand, away from it on a left hand).
A joint's frame has its x axis along the bone that starts in it (tips: that ends in it), its y axis
as close as possible to the wrist's y, which is about the axis fingers bend around.
"""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.skeleton import JOINT_COUNT, PARENTS, TIPS, WRIST, Side

Array = NDArray[np.float64]

_INDEX_KNUCKLE, _MIDDLE_KNUCKLE, _LITTLE_KNUCKLE = 5, 9, 17
_BONE_STARTS = np.array([PARENTS[j] if j in TIPS else j for j in range(JOINT_COUNT)])
_BONE_ENDS = np.array([j if j in TIPS else j + 1 for j in range(JOINT_COUNT)])
_BONE_ENDS[WRIST] = _MIDDLE_KNUCKLE
# Shorter than this no direction can be made of a vector, in metres.
_SHORTEST = 1e-6


def wrist_rotation(joints: Array, side: Side) -> Array | None:
    """Return the wrist's axes as the columns of a rotation matrix (3, 3).

    Args:
        joints: (21, 3) metres.
        side: the physical hand.

    Returns:
        Maps vectors of the wrist frame into the frame of the joints; None when the knuckles and
        the wrist lie on one line or are not finite.
    """
    forward = joints[_MIDDLE_KNUCKLE] - joints[WRIST]
    across = joints[_INDEX_KNUCKLE] - joints[_LITTLE_KNUCKLE]
    if side == 'left':
        across = -across
    up = np.cross(forward, across)
    lengths = np.linalg.norm(forward), np.linalg.norm(up)
    if not min(lengths) > _SHORTEST**2 or not lengths[0] > _SHORTEST:
        return None
    x, z = forward / lengths[0], up / lengths[1]
    return np.column_stack([x, np.cross(z, x), z])


def joint_rotations(joints: Array, side: Side) -> Array | None:
    """Return the axes of all joints as rotation matrices (21, 3, 3); None without a wrist frame."""
    wrist = wrist_rotation(joints, side)
    if wrist is None:
        return None
    x = joints[_BONE_ENDS] - joints[_BONE_STARTS]
    z = np.cross(x, wrist[:, 1])
    x_length = np.linalg.norm(x, axis=1, keepdims=True)
    z_length = np.linalg.norm(z, axis=1, keepdims=True)
    usable = (x_length > _SHORTEST) & (z_length > 1e-3 * x_length)
    x = x / np.where(usable, x_length, 1)
    z = z / np.where(usable, z_length, 1)
    axes = np.stack([x, np.cross(z, x), z], axis=2)
    axes = np.where(usable[:, :, None], axes, wrist)
    axes[WRIST] = wrist
    return axes


def quaternions(rotations: Array) -> Array:
    """Return rotation matrices (N, 3, 3) as unit quaternions (N, 4), x y z w, with w >= 0."""
    m = rotations
    trace = np.trace(m, axis1=1, axis2=2)
    # Four times the squares of w, x, y, z; the largest is safe to divide by.
    squares = np.stack(
        [
            1 + trace,
            1 + 2 * m[:, 0, 0] - trace,
            1 + 2 * m[:, 1, 1] - trace,
            1 + 2 * m[:, 2, 2] - trace,
        ],
        axis=1,
    )
    xy, xz, yz = m[:, 1, 0] + m[:, 0, 1], m[:, 0, 2] + m[:, 2, 0], m[:, 2, 1] + m[:, 1, 2]
    wx, wy, wz = m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]
    products = np.stack(
        [
            np.stack([squares[:, 0], wx, wy, wz], axis=1),
            np.stack([wx, squares[:, 1], xy, xz], axis=1),
            np.stack([wy, xy, squares[:, 2], yz], axis=1),
            np.stack([wz, xz, yz, squares[:, 3]], axis=1),
        ],
        axis=1,
    )
    wxyz = products[np.arange(len(m)), np.argmax(squares, axis=1)]
    wxyz = wxyz / np.linalg.norm(wxyz, axis=1, keepdims=True)
    wxyz = np.where(wxyz[:, :1] < 0, -wxyz, wxyz)
    return wxyz[:, [1, 2, 3, 0]]
