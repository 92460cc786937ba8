"""Conventions of MANO labels: mean pose, the left hand's shape directions, finger tips.

Source: methods specification, section 0.
"""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.sample import HandModelConvention

Array = NDArray[np.float64]


def flat_pose(hand_pose: Array, mean_pose: Array, convention: HandModelConvention) -> Array:
    """Return finger rotations whose zero is the flat hand.

    Args:
        hand_pose: (..., 15, 3) axis-angle as labelled, rad.
        mean_pose: (15, 3) or (..., 15, 3) the model's mean pose (``hands_mean`` of its file).
        convention: of the labels.
    """
    if convention.flat_mean:
        return hand_pose
    # The libraries add axis-angle vectors, which is no composition of rotations.
    return hand_pose + mean_pose


def relaxed_pose(hand_pose: Array, mean_pose: Array) -> Array:
    """Return finger rotations (..., 15, 3) whose zero is the model's mean pose, from flat ones."""
    return hand_pose - mean_pose


def left_shape_directions(shapedirs: Array, convention: HandModelConvention) -> Array:
    """Return the shape directions (V, 3, S) of a left MANO file that its labels are about.

    The distributed file has the sign of x wrong; labels were fitted with or without the fault.
    """
    if not convention.left_shape_fix:
        return shapedirs
    return shapedirs * np.array([-1.0, 1.0, 1.0])[:, None]


def labelled_tips(vertices: Array, convention: HandModelConvention) -> Array:
    """Return the finger tips (2, 5, 3), thumb to little, of meshes (2, V, 3) of (left, right).

    Tips differ by about a mesh edge between conventions, so that joints of two data sets are only
    comparable after taking them from the same vertices.
    """
    return np.stack(
        [mesh[list(tips)] for mesh, tips in zip(vertices, convention.tip_vertices, strict=True)]
    )
