"""Finger poses of batched clips: drawn angles within the limits, alone or round a held thing."""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import joint_limits, load_hand_model
from hand_pose_ros.simulation.batch_config import Split
from hand_pose_ros.simulation.gestures import gestures
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

_THUMB = slice(12, 15)
_NOISE = 0.10  # rad, of every joint angle around a gesture
_APART = 0.3  # of what is drawn for training
# First rows of the fingers in MANO's order: index, middle, little, ring.
_INDEX, _MIDDLE, _LITTLE, _RING = 0, 3, 6, 9


@cache
def models() -> dict[Any, HandModel]:
    """Return the shipped hand of both sides, made once."""
    return {side: HandModel(load_hand_model(side)) for side in SIDES}


@cache
def limits() -> Array:
    """Return the joint limits (15, 3, 2) in rad, read once."""
    return joint_limits()


@cache
def shapes() -> dict[str, Array]:
    """Return the gesture library, made once."""
    return gestures()


@cache
def unseen_shapes() -> tuple[Array, ...]:
    """Return finger shapes (15, 3) that only the test split shows."""
    fist, four, pinch = shapes()['fist'], shapes()['open'], shapes()['pinch']
    horns, shaka, okay, claw = fist.copy(), fist.copy(), four.copy(), four.copy()
    for row in (_INDEX, _LITTLE):
        horns[row : row + 3] = four[row : row + 3]
    shaka[_LITTLE : _LITTLE + 3] = four[_LITTLE : _LITTLE + 3]
    shaka[_THUMB] = four[_THUMB]
    okay[_INDEX : _INDEX + 3] = pinch[_INDEX : _INDEX + 3]
    okay[_THUMB] = pinch[_THUMB]
    for row in (_INDEX, _MIDDLE, _RING, _LITTLE):
        claw[row : row + 3, 2] = (-0.1, 1.2, 0.8)
    return horns, shaka, okay, claw


def within(angles: Array) -> Array:
    """Clip angles (..., 15, 3) to the joint limits."""
    return np.clip(angles, limits()[..., 0], limits()[..., 1])


def draw_pose(generator: np.random.Generator, split: Split) -> Array:
    """Draw one hand shape: angles (15, 3) of twist, abduction and flexion within the limits.

    Half are blends of two gestures with noise on every joint, the rest fingers curled at random;
    for training some fingers go each its own way, so that networks know hands, not gestures. The
    test split has gestures that no other has.
    """
    if split == 'test' and generator.random() < 0.35:
        known = unseen_shapes()
        shape = known[generator.integers(len(known))]
        return within(shape + generator.normal(0, _NOISE, (15, 3)) * (0.3, 0.5, 1.0))
    if split == 'train' and generator.random() < _APART:
        return _apart(generator)
    if generator.random() < 0.5:
        library = list(shapes().values())
        first, second = generator.integers(len(library), size=2)
        share = generator.uniform(0, 1) ** 2
        blend = (1 - share) * library[first] + share * library[second]
        return within(blend + generator.normal(0, _NOISE, (15, 3)) * (0.3, 0.5, 1.0))
    return _curled(generator)


def _curled(generator: np.random.Generator) -> Array:
    """Draw fingers that curl each by its own share, its joints about together, within limits."""
    angles = np.zeros((15, 3))
    whole = generator.uniform(0, 1)  # fingers move together, more or less
    fan = generator.uniform(-0.08, 0.22)
    for row, place in ((_INDEX, -1.0), (_MIDDLE, -0.1), (_RING, 0.6), (_LITTLE, 1.2)):
        curl = np.clip(0.6 * whole + 0.4 * generator.uniform(0, 1), 0, 1)
        joints = np.clip(curl + generator.normal(0, 0.14, 3), 0, 1)
        angles[row : row + 3, 2] = _flexion(row, joints)
        angles[row, 1] = fan * place + generator.normal(0, 0.05)
        angles[row, 0] = generator.normal(0, 0.05)
    share = generator.beta(1.6, 1.6, (3, 3))
    low, high = limits()[_THUMB, :, 0], limits()[_THUMB, :, 1]
    angles[_THUMB] = low + share * (high - low)
    angles[13:, :2] = generator.normal(0, 0.03, (2, 2))
    return within(angles)


def _apart(generator: np.random.Generator) -> Array:
    """Draw fingers that curl each on its own, its first joint apart from the others."""
    angles = _curled(generator)
    for row in (_INDEX, _MIDDLE, _RING, _LITTLE):
        first, others = generator.beta(0.6, 0.6, 2)
        joints = others + generator.normal(0, (0.0, 0.08, 0.14))
        joints[0] = first
        angles[row : row + 3, 2] = _flexion(row, np.clip(joints, 0, 1))
    return within(angles)


def _flexion(row: int, share: Array) -> Array:
    """Return a finger's flexion (3,) in rad, from straight (0) to curled (1), joint by joint."""
    low, high = limits()[row : row + 3, 2].T
    return 0.85 * low * (1 - share) + 0.92 * high * share


def hand_joints(angles: Array, betas: Array) -> Array:
    """Return joints (B, 21, 3) of right hands at rest in the model's axes, metres.

    Args:
        angles: (B, 15, 3).
        betas: (10,).
    """
    model = models()['right']
    count = len(angles)
    zeros = np.zeros((count, 3))
    return model.joints(zeros, model.pose_from_angles(angles), np.tile(betas, (count, 1)), zeros)
