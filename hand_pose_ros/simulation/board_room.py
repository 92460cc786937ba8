"""A room of flat walls and a table's edge, for depth cameras that follow their own motion in it."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Planes in the frame of the other body (x forward, y left, z up; it faces the wearer): inward
# normals and distances from its origin, metres.
_NORMALS = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0], [0, 1, 0], [-0.6, 0.64, 0.48]])
_DISTANCES = np.array([0.75, 2.6, 1.1, 1.2, 1.3])
# Balls on the table: centres and radii.
_CENTRES = np.array(
    [[0.55, 0.35, -0.5], [0.8, -0.4, -0.45], [0.2, -0.25, -0.55], [0.75, 0.1, -0.65]]
)
_RADII = np.array([0.16, 0.2, 0.14, 0.12])


def room_depth(rays: Array, T_room_cam: Array) -> NDArray[np.float32]:
    """Return metres along the optical axis (H, W) to the room's surfaces.

    Args:
        rays: (H, W, 2) ideal coordinates at z = 1.
        T_room_cam: (4, 4) of the camera in the room.
    """
    shape = rays.shape[:2]
    directions = np.dstack([rays, np.ones(shape)]).reshape(-1, 3) @ T_room_cam[:3, :3].T
    origin = T_room_cam[:3, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        along = -(_NORMALS @ origin + _DISTANCES) / (directions @ _NORMALS.T)
        along = np.where(along > 0.05, along, np.inf)
        depth = along.min(axis=1)
        square = np.sum(directions**2, axis=1)
        for centre, radius in zip(_CENTRES, _RADII, strict=True):
            towards = directions @ (centre - origin)
            rest = towards**2 - square * (np.sum((centre - origin) ** 2) - radius**2)
            ball = (towards - np.sqrt(rest)) / square
            depth = np.fmin(depth, np.where(ball > 0.05, ball, np.inf))
    return np.asarray(depth.reshape(shape), np.float32)
