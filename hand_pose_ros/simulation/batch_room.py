"""Rooms of batched clips: a drawn table in a drawn room behind the hands."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.simulation.batch_plan import Room

Array = NDArray[np.float64]


def draw_room(generator: np.random.Generator, lowest: float) -> Room:
    """Draw a room.

    Args:
        generator: draws.
        lowest: height (m, scene) that the table top stays below.
    """
    top = min(lowest, -0.18) - generator.exponential(0.10)
    tilt = np.deg2rad(generator.normal(0, (2.5, 2.5)))
    yaw = generator.normal(0, 0.25)
    near = generator.uniform(0.05, 0.40)
    half = np.array([generator.uniform(0.30, 0.60), generator.uniform(0.45, 1.2)])
    turn = rotation_matrices(np.array([0, 0, yaw])) @ rotation_matrices(np.array([*tilt, 0]))
    middle = np.array([near + half[0], generator.normal(0, 0.15), top])
    if generator.random() < 0.08:
        half = np.zeros(2)
    return Room(
        T_scene_table=rigid(turn, middle),
        table=half,
        flats=_flats(generator, half),
        walls=_walls(generator, top),
    )


def _flats(generator: np.random.Generator, half: Array) -> Array:
    """Draw up to three sheets or mats on the table."""
    count = int(generator.integers(0, 4))
    flats = np.zeros((count, 5))
    for flat in flats:
        round_one = generator.random() < 0.3
        size = generator.uniform(0.04, 0.16, 2)
        flat[:2] = generator.uniform(-0.85, 0.6, 2) * half
        flat[2:4] = size[0] if round_one else size
        flat[4] = round_one
    return flats


def _walls(generator: np.random.Generator, top: float) -> Array:
    """Draw six planes: floor, ceiling, and four upright walls around the rig."""
    yaw = generator.uniform(-0.6, 0.6)
    forward = np.array([np.cos(yaw), np.sin(yaw), 0])
    aside = np.array([-np.sin(yaw), np.cos(yaw), 0])
    normals = np.array([[0, 0, 1], [0, 0, -1], -forward, forward, -aside, aside])
    floor = min(top - generator.uniform(0.35, 0.8), -0.9)
    distances = np.array([
        -floor, generator.uniform(0.6, 1.5), generator.uniform(1.2, 4.0),
        generator.uniform(1.0, 3.0), generator.uniform(1.0, 3.5), generator.uniform(1.0, 3.5),
    ])  # fmt: skip
    return np.column_stack([normals, distances])
