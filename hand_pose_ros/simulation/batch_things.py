"""Things that are not held: clutter on the table, and what stands between a camera and a hand."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.simulation.batch_objects import KINDS
from hand_pose_ros.simulation.batch_plan import Room, Solid

Array = NDArray[np.float64]
Generator = np.random.Generator

# Smallest and largest size (m) of each kind; radius, radius, length of round ones.
_SIZES = {
    'mug': ((0.034, 0.08), (0.044, 0.11)), 'can': ((0.024, 0.09), (0.036, 0.16)),
    'bottle': ((0.028, 0.17), (0.042, 0.28)), 'sphere': ((0.02, 0.02), (0.05, 0.05)),
    'pen': ((0.0035, 0.12), (0.006, 0.16)),
}  # fmt: skip
_BOXES = {
    'box': ((0.05, 0.05, 0.03), (0.25, 0.18, 0.15)),
    'phone': ((0.12, 0.06, 0.007), (0.16, 0.08, 0.01)),
    'book': ((0.15, 0.1, 0.008), (0.28, 0.21, 0.04)),
}  # fmt: skip
_OCCLUDED = 0.12  # share of the clips with something before a hand


def draw_size(generator: Generator, kind: str) -> Array:
    """Draw the size (3,) of a thing."""
    if kind in _BOXES:
        return generator.uniform(*_BOXES[kind])
    radius, length = generator.uniform(*_SIZES[kind])
    return np.array([radius, radius, radius if kind == 'sphere' else length])


def clutter(generator: Generator, room: Room, frames: int) -> list[Solid]:
    """Draw up to five things that stand or lie on the table."""
    solids = []
    count = int(generator.integers(0, 6)) if room.table.any() else 0
    for _ in range(count):
        kind = str(generator.choice(KINDS))
        size = draw_size(generator, kind)
        turn = rotation_matrices(np.array([0, 0, generator.uniform(0, 2 * np.pi)]))
        round_one, lies = kind in _SIZES, kind == 'pen' or generator.random() < 0.15
        height = size[2] if kind == 'sphere' else size[2] / 2
        if round_one and lies and kind != 'sphere':
            turn, height = turn @ rotation_matrices(np.array([np.pi / 2, 0, 0])), size[0]
        spot = generator.uniform((-0.9, -0.7), (0.7, 0.7)) * room.table
        pose = room.T_scene_table @ rigid(turn, np.array([*spot, height]))
        solids.append(Solid(kind=kind, size=size, T_scene_item=np.tile(pose, (frames, 1, 1))))
    return solids


def occluder(generator: Generator, eye: Array, palms: Array, frames: int) -> list[Solid]:
    """Draw, in some clips, one thing between the camera and one of the hands.

    Args:
        generator: draws.
        eye: (3,) place of the camera in the scene.
        palms: (K, 3) places of the hands that are there.
        frames: moments.
    """
    if generator.random() > _OCCLUDED:
        return []
    palm = palms[generator.integers(len(palms))]
    way = palm - eye
    share = generator.uniform(0.5, 0.8)
    kind = str(generator.choice(('mug', 'can', 'bottle', 'box', 'book', 'phone')))
    size = np.minimum(draw_size(generator, kind), 0.25) * min(
        1.0, np.linalg.norm(way) * share / 0.4
    )
    turn = rotation_matrices(generator.normal(0, 0.7, 3))
    aside = generator.normal(0, 0.03, 3)
    pose = rigid(turn, eye + way * share + aside)
    return [Solid(kind=kind, size=size, T_scene_item=np.tile(pose, (frames, 1, 1)))]
