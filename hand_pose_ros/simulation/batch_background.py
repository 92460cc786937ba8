"""Background of a batch: table and room as planes, prepared for casting rays onto them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.batch_plan import Room

Array = NDArray[np.float64]

PLANES = 7  # table, floor, ceiling and four walls
VALUES = 16
# What the columns of a plane mean, for a ray (x, y, 1) of the camera:
INVERSE = slice(0, 3)  # one over the depth at which the ray meets it
NORMAL = slice(3, 6)  # unit normal towards the camera, camera frame
U_AXIS, U_START = slice(6, 9), 9  # u = axis . ray * depth + start
V_AXIS, V_START = slice(10, 13), 13
HALF_U, HALF_V = 14, 15  # it ends where |u|, |v| are larger


def plane_tables(
    rooms: Sequence[Room], clips: NDArray[np.int64], T_scene_cam: Array
) -> NDArray[np.float32]:
    """Describe the planes as the cameras see them.

    Args:
        rooms: of the clips.
        clips: (N,) which room each image shows.
        T_scene_cam: (N, 4, 4).

    Returns:
        (N, 7, 16) float32, columns as named above. u and v of the table are 0 in its middle.
    """
    scene = np.stack([_planes(room) for room in rooms])[clips]  # (N, 7, 4, 4): n|d, u|, v|, half
    rotation, origin = T_scene_cam[:, :3, :3], T_scene_cam[:, :3, 3]
    axes = scene[:, :, :3, :3] @ rotation[:, None]
    starts = (scene[:, :, :3, :3] @ origin[:, None, :, None])[..., 0] + scene[:, :, :3, 3]
    table = np.zeros((len(clips), PLANES, VALUES), np.float32)
    above = starts[..., 0]
    table[..., NORMAL] = axes[:, :, 0]
    with np.errstate(divide='ignore', invalid='ignore'):
        inverse = -axes[:, :, 0] / above[..., None]
    # A plane seen from behind or from within has no depth anywhere.
    table[..., INVERSE] = np.where(above[..., None] > 1e-3, inverse, 0.0)
    table[..., U_AXIS], table[..., U_START] = axes[:, :, 1], starts[..., 1]
    table[..., V_AXIS], table[..., V_START] = axes[:, :, 2], starts[..., 2]
    table[..., HALF_U], table[..., HALF_V] = scene[:, :, 3, 0], scene[:, :, 3, 1]
    return table


def _planes(room: Room) -> Array:
    """Return (7, 4, 4): rows normal, u axis and v axis with their offsets, then half sizes."""
    result = np.zeros((PLANES, 4, 4))
    T = room.T_scene_table
    for row, axis in enumerate((2, 0, 1)):
        result[0, row, :3] = T[:3, axis]
        result[0, row, 3] = -T[:3, axis] @ T[:3, 3]
    result[0, 3, :2] = room.table
    result[1:, 0] = room.walls
    result[1:, 3, :2] = 1e9
    level = np.abs(room.walls[:, 2]) > 0.5
    for plane, flat, wall in zip(result[1:], level, room.walls, strict=True):
        plane[1, :3] = (1, 0, 0) if flat else (-wall[1], wall[0], 0)
        plane[2, :3] = (0, 1, 0) if flat else (0, 0, 1)
    return result
