"""The 21 hand joints: names, bones, and conversions between the orders in use."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal['left', 'right']
SIDES: tuple[Side, Side] = ('left', 'right')

FINGERS = ('thumb', 'index', 'middle', 'ring', 'little')

# The internal order (OpenPose / MediaPipe): wrist, then each finger from its base to its tip.
JOINT_NAMES: tuple[str, ...] = (
    'wrist',
    'thumb_cmc', 'thumb_mcp', 'thumb_ip', 'thumb_tip',
    'index_mcp', 'index_pip', 'index_dip', 'index_tip',
    'middle_mcp', 'middle_pip', 'middle_dip', 'middle_tip',
    'ring_mcp', 'ring_pip', 'ring_dip', 'ring_tip',
    'little_mcp', 'little_pip', 'little_dip', 'little_tip',
)  # fmt: skip
JOINT_COUNT = len(JOINT_NAMES)
WRIST = 0
TIPS: tuple[int, ...] = (4, 8, 12, 16, 20)
KNUCKLES: tuple[int, ...] = (5, 9, 13, 17)

# Parent of each joint; the wrist is the root.
PARENTS: tuple[int, ...] = (
    -1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19,
)  # fmt: skip
BONES: tuple[tuple[int, int], ...] = tuple(
    (parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0
)

# Gather permutations: new[i] = old[order[i]].
OPENPOSE_TO_MANO: tuple[int, ...] = (
    0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3, 4, 8, 12, 16, 20,
)  # fmt: skip
MANO_TO_OPENPOSE: tuple[int, ...] = (
    0, 13, 14, 15, 16, 1, 2, 3, 17, 4, 5, 6, 18, 10, 11, 12, 19, 7, 8, 9, 20,
)  # fmt: skip
ASSEMBLY_TO_MANO: tuple[int, ...] = (
    20, 7, 6, 5, 11, 10, 9, 19, 18, 17, 15, 14, 13, 3, 2, 1, 0, 4, 8, 12, 16,
)  # fmt: skip


def reorder(joints: NDArray[np.floating], order: tuple[int, ...]) -> NDArray[np.floating]:
    """Gather joints (..., 21, D) into another order: ``new[i] = old[order[i]]``.

    Source: methods specification, section 0.
    """
    if joints.shape[-2] != JOINT_COUNT:
        raise ValueError(f'expected {JOINT_COUNT} joints on axis -2, got shape {joints.shape}')
    return joints[..., list(order), :]
