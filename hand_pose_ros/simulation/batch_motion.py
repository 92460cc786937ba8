"""Motion of batched clips: where head and hands of one drawn person go."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.transforms import apply, rigid
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.simulation.batch_arms import TURN_LIMITS
from hand_pose_ros.simulation.batch_paths import wander

Array = NDArray[np.float64]
Generator = np.random.Generator

# Nominal right elbow (m) in the scene, the palm's place it belongs to, and how much of the palm's
# displacement it follows.
_ELBOW = np.array([0.10, -0.30, -0.42])
_NOMINAL = np.array([0.38, -0.12, -0.26])
ELBOW_FOLLOWS = np.array([0.35, 0.45, 0.30])
_MIRROR = np.array([1.0, -1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Anchors:
    """Around where the two palms move.

    Attributes:
        points: (2, 3) metres in the scene, left then right.
        near: whether the hands work together.
        amplitude: metres that palms move by.
    """

    points: Array
    near: bool
    amplitude: float


def head(generator: Generator, times: Array) -> tuple[Array, Array]:
    """Return the head's mean pose (4, 4) and its poses (T, 4, 4) in the scene."""
    # Degrees; pitch lowers the view, so that the cameras look from ahead to nearly straight down.
    roll, pitch = np.deg2rad(np.clip(generator.normal((0, 8), (5, 16)), (-14, -25), (14, 42)))
    mean = rotation_matrices(np.array([0, pitch, 0])) @ rotation_matrices(np.array([roll, 0, 0]))
    turn, move = generator.uniform(0.2, 5.0), generator.uniform(0.001, 0.02)

    def draw() -> Array:
        degrees = np.clip(generator.normal(0, turn, 3), -12, 12)
        return np.concatenate([np.deg2rad(degrees), np.clip(generator.normal(0, move, 3), -1, 1)])

    path = wander(generator, times, draw, (0.35, 1.0))
    poses = np.tile(np.eye(4), (len(times), 1, 1))
    poses[:, :3, :3] = mean @ rotation_matrices(path[:, :3])
    poses[:, :3, 3] = path[:, 3:]
    return rigid(mean, np.zeros(3)), poses


def anchors(generator: Generator, T_scene_view: Array, near: bool) -> Anchors:
    """Draw where the palms are, mostly in view, sometimes beside it.

    Args:
        generator: draws.
        T_scene_view: (4, 4) mean pose of the reference camera.
        near: whether the hands are to work together.
    """
    amplitude = float(np.exp(generator.uniform(np.log(0.012), np.log(0.11))))
    if near:
        places = _together(generator)
    else:
        places = np.array([_alone(generator, side) for side in (-1.0, 1.0)])
    return Anchors(points=apply(T_scene_view, places), near=near, amplitude=amplitude)


def _alone(generator: Generator, side: float) -> Array:
    """Draw a place (3,) in the view of the reference camera for the left (-1) or right hand."""
    distance = np.clip(np.exp(generator.normal(np.log(0.42), 0.28)), 0.22, 0.8)
    right = np.clip(generator.normal(0.25, 0.27), -0.55, 0.9)
    down = np.clip(generator.normal(0.10, 0.24), -0.55, 0.62)
    return distance * np.array([side * right, down, 1.0])


def _together(generator: Generator) -> Array:
    """Draw places (2, 3) beside each other, one before the other, or crossed."""
    distance = np.clip(np.exp(generator.normal(np.log(0.40), 0.22)), 0.26, 0.7)
    middle = distance * np.array([
        np.clip(generator.normal(0, 0.22), -0.6, 0.6),
        np.clip(generator.normal(0.08, 0.22), -0.5, 0.55), 1.0,
    ])  # fmt: skip
    before = generator.choice((-1.0, 1.0))
    apart = (
        (generator.uniform(0.085, 0.16), generator.normal(0, 0.03), generator.normal(0, 0.03)),
        (generator.uniform(-0.03, 0.09), generator.normal(0, 0.04),
         before * generator.uniform(0.05, 0.10)),
        (generator.uniform(-0.17, -0.05), generator.normal(0, 0.04),
         before * generator.uniform(0.06, 0.12)),
    )[generator.choice(3, p=(0.45, 0.38, 0.17))]  # fmt: skip
    return middle + np.array([[-0.5], [0.5]]) * np.array(apart)


def palms(generator: Generator, times: Array, where: Anchors) -> Array:
    """Return the paths of both palms (T, 2, 3) in the scene."""
    own = where.amplitude * (0.25 if where.near else 1.0)
    gap = (0.25, 0.9)

    def around(scale: float) -> Array:
        return np.clip(generator.normal(0, 1, 3), -1.8, 1.8) * scale

    shared = np.zeros((len(times), 3))
    if where.near:
        shared = wander(generator, times, lambda: around(where.amplitude), gap)
    paths = [
        point + shared + wander(child, times, lambda c=child: np.clip(  # type: ignore[misc]
            c.normal(0, 1, 3), -1.8, 1.8) * own, gap)
        for point, child in zip(where.points, generator.spawn(2), strict=True)
    ]  # fmt: skip
    return np.stack(paths, 1)


def elbow_of(generator: Generator, place: Array) -> Array:
    """Draw what is added to the elbow of a right arm whose palm is about ``place`` (3,)."""
    offset = generator.normal(0, (0.09, 0.10, 0.10))
    manner = generator.random()
    if manner < 0.12:  # reaching in from the side, elbow up
        offset += (0.10, -0.14, 0.26)
    elif manner < 0.24:  # hand raised, forearm nearly upright
        offset += (0.20, 0.02, -0.14)
    elif manner < 0.30:  # reaching across
        offset += (0.05, -0.25, 0.05)
    usual = _ELBOW + ELBOW_FOLLOWS * (place - _NOMINAL)
    return usual + offset - place


def turns(generator: Generator, times: Array) -> Array:
    """Return the path (T, 3) of a wrist: supination, flexion, deviation within their limits."""
    manner = generator.random()
    low, high = (-0.3, 1.0) if manner < 0.45 else (0.6, 1.9) if manner < 0.8 else (1.7, 2.9)
    mean = np.array([
        generator.uniform(low, high), np.clip(generator.normal(-0.1, 0.35), -0.8, 0.8),
        np.clip(generator.normal(0.0, 0.16), -0.3, 0.4),
    ])  # fmt: skip
    spread = generator.uniform(0.02, 0.35) * np.array([1.0, 0.7, 0.4])

    def draw() -> Array:
        return np.clip(generator.normal(mean, spread), TURN_LIMITS[:, 0], TURN_LIMITS[:, 1])

    return wander(generator, times, draw, (0.25, 0.9))


def mirrored(points: Array) -> Array:
    """Mirror points (..., 3) of the scene across its middle plane."""
    return points * _MIRROR
