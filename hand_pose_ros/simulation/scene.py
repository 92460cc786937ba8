"""Scene: what a camera of the rig sees behind the hands, a table in a room, fixed to the rig."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera

Array = NDArray[np.float64]

# Planes in the rig frame (x forward, y left, z up), metres.
TABLE_HEIGHT = -0.52
TABLE_END = 1.15
FLOOR_HEIGHT = -1.15
WALL_DISTANCE = 2.6


@dataclass(frozen=True, kw_only=True, eq=False)
class Background:
    """The empty scene at every pixel of one camera.

    Attributes:
        depth: (H, W) metres along the optical axis.
        points: (H, W, 3) metres in the rig frame.
        table: (H, W) bool, on the table.
        texture: (H, W) smooth noise of unit variance fixed to the surfaces.
        grain: (H, W) 0..1 wood grain along the table, 0.5 elsewhere.
        objects: (H, W) int, 0 = none, 1.. = flat things on the table.
    """

    depth: Array
    points: Array
    table: NDArray[np.bool_]
    texture: Array
    grain: Array
    objects: NDArray[np.uint8]


# Flat things on the table: centre x, y and half sizes (m).
_OBJECTS = ((0.72, 0.30, 0.11, 0.15), (0.85, -0.28, 0.05, 0.05), (0.55, -0.02, 0.10, 0.14))


def background(camera: Camera, T_rig_cam: Array, seed: int) -> Background:
    """Cast every pixel's ray, lens distortion removed, onto table, floor and wall."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    pixels = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
    ideal = camera.undistort(pixels)
    directions = np.column_stack([ideal, np.ones(len(ideal))]) @ T_rig_cam[:3, :3].T
    origin = T_rig_cam[:3, 3]
    with np.errstate(divide='ignore', invalid='ignore'):
        to_table = (TABLE_HEIGHT - origin[2]) / directions[:, 2]
        to_floor = (FLOOR_HEIGHT - origin[2]) / directions[:, 2]
        to_wall = (WALL_DISTANCE - origin[0]) / directions[:, 0]
    to_table, to_floor, to_wall = (
        np.where((t > 0) & np.isfinite(t), t, np.inf) for t in (to_table, to_floor, to_wall)
    )
    end = origin[0] + to_table * directions[:, 0]
    on_table = np.isfinite(to_table) & (end < TABLE_END)
    depth = np.where(on_table, to_table, np.minimum(to_floor, to_wall))
    depth = np.minimum(depth, 8.0)
    points = origin + directions * depth[:, None]
    shape = (camera.height, camera.width)
    generator = np.random.default_rng([seed, 17])
    objects = np.zeros(len(points), np.uint8)
    for number, (x, y, half_x, half_y) in enumerate(_OBJECTS, start=1):
        inside = (np.abs(points[:, 0] - x) < half_x) & (np.abs(points[:, 1] - y) < half_y)
        objects[inside & on_table] = number
    lines = points[:, 1] * 55 + 3 * np.sin(points[:, 0] * 5) + np.sin(points[:, 0] * 17)
    grain = np.where(on_table, 0.5 + 0.5 * np.sin(lines), 0.5)
    return Background(
        depth=depth.reshape(shape),
        points=points.reshape(*shape, 3),
        table=on_table.reshape(shape),
        texture=smooth_noise(shape, generator),
        grain=grain.reshape(shape),
        objects=objects.reshape(shape),
    )


def smooth_noise(shape: tuple[int, int], generator: np.random.Generator) -> Array:
    """Return noise (H, W) of unit variance with detail at several scales."""
    total = np.zeros(shape)
    for cells, weight in ((6, 1.0), (14, 0.7), (40, 0.4), (110, 0.25)):
        coarse = generator.normal(size=(cells, cells)).astype(np.float32)
        total += weight * cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (total - total.mean()) / total.std()
