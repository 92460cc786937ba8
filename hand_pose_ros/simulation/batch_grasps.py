"""Grasps of batched clips: finger poses round a held thing, and where the thing is in the hand.

All in the axes of the right model hand at rest: fingers to -x, back of the hand +y, thumb +z.
The classes are those of the methods specification, section 2.3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.simulation.batch_poses import hand_joints, shapes, within

Array = NDArray[np.float64]
Generator = np.random.Generator

_FINGER = 0.0085  # metres, half the thickness of a finger
_ROWS = (12, 0, 3, 9, 6)  # first row of the angles of thumb, index, middle, ring, little
_STEPS = np.linspace(0, 1, 13)
_TIPS = (4, 8, 12)  # thumb, index, middle


@dataclass(frozen=True, kw_only=True, eq=False)
class Grasp:
    """A hand that holds something.

    Attributes:
        label: the class, 0-7.
        kind: what is held.
        size: (3,) metres along its axes (radius, radius, length of a round thing).
        T_hand_item: (4, 4) where it is.
        closed, open: (15, 3) finger angles while holding it and before, rad.
    """

    label: int
    kind: str
    size: Array
    T_hand_item: Array
    closed: Array
    open: Array


def draw_grasp(generator: Generator, betas: Array) -> Grasp:
    """Draw a way to hold something with a hand of a shape (10,)."""
    makers, shares = zip(*_MAKERS, strict=True)
    return makers[generator.choice(len(makers), p=shares)](generator, betas)


def _power(generator: Generator, betas: Array) -> Grasp:
    """The whole hand round something long (2, power prismatic)."""
    kind = str(generator.choice(('can', 'bottle', 'mug', 'box')))
    radius, length = {
        'can': (generator.uniform(0.022, 0.034), generator.uniform(0.09, 0.17)),
        'bottle': (generator.uniform(0.026, 0.035), generator.uniform(0.16, 0.24)),
        'mug': (generator.uniform(0.034, 0.042), generator.uniform(0.08, 0.11)),
        'box': (generator.uniform(0.016, 0.027), generator.uniform(0.08, 0.20)),
    }[kind]
    size = np.array([radius, radius, length])
    if kind == 'box':
        size[:2] = 2 * radius, 2 * radius * generator.uniform(0.7, 1.2)
    turn = rotation_matrices(np.array([0, generator.uniform(-0.4, 0.25), 0]))
    if generator.random() < 0.5:  # upside down
        turn = turn @ np.diag([1.0, -1.0, -1.0])
    spin = generator.uniform(2.2, 4.0) if kind == 'mug' else generator.uniform(-0.3, 0.3)
    turn = turn @ rotation_matrices(np.array([0, 0, spin]))
    place = np.array([
        generator.uniform(-0.005, 0.015), -(0.013 + size[1] / (2 if kind == 'box' else 1)),
        generator.uniform(-0.2, 0.2) * length,
    ])  # fmt: skip
    return _wrapped(2, kind, size, rigid(turn, place), betas)


def _ball(generator: Generator, betas: Array) -> Grasp:
    """The whole hand round a ball (4, power circular)."""
    radius = generator.uniform(0.028, 0.042)
    place = np.array([generator.uniform(-0.015, 0.005), -(0.014 + radius), 0.008])
    return _wrapped(4, 'sphere', np.full(3, radius), rigid(np.eye(3), place), betas)


def _plate(generator: Generator, betas: Array) -> Grasp:
    """Finger tips against the thumb over something flat or boxy (3, precision prismatic)."""
    angles = shapes()['grasp'].copy()
    bend = generator.uniform((0.45, 0.25, 0.1), (0.95, 0.7, 0.4))
    for row in _ROWS[1:]:
        angles[row : row + 3, 2] = bend + generator.normal(0, 0.05, 3)
    angles = within(angles)
    joints = hand_joints(angles[None], betas)[0]
    thumb, fingers = joints[4], (joints[8] + joints[12]) / 2
    gap = max(float(np.linalg.norm(fingers - thumb)) - 2 * _FINGER, 0.004)
    along = fingers - (joints[6] + joints[10]) / 2
    kind = 'box' if gap > 0.03 else str(generator.choice(('phone', 'book', 'box')))
    wide, tall = {
        'phone': (generator.uniform(0.06, 0.08), generator.uniform(0.12, 0.16)),
        'book': (generator.uniform(0.09, 0.14), generator.uniform(0.13, 0.2)),
        'box': (generator.uniform(0.03, 0.08), generator.uniform(0.03, 0.10)),
    }[kind]
    turn = _frame(fingers - thumb, along)  # z across the gap, x along the fingers
    place = (thumb + fingers) / 2 + turn[:, 0] * (tall / 2 - generator.uniform(0.015, 0.03))
    place += turn[:, 1] * generator.uniform(-0.2, 0.2) * wide
    size = np.array([tall, wide, gap])
    return _given(3, kind, size, rigid(turn, place), angles)


def _bead(generator: Generator, betas: Array) -> Grasp:
    """Something small and round between thumb and index finger (5, precision circular)."""
    angles = shapes()['pinch'].copy()
    angles[:3, 2] += generator.uniform(-0.3, 0.0, 3)
    angles = within(angles)
    joints = hand_joints(angles[None], betas)[0]
    radius = float(np.linalg.norm(joints[8] - joints[4])) / 2 - 0.7 * _FINGER
    radius = float(np.clip(radius, 0.006, 0.03))
    place = rigid(np.eye(3), (joints[4] + joints[8]) / 2)
    return _given(5, 'sphere', np.full(3, radius), place, angles)


def _write(generator: Generator, betas: Array) -> Grasp:
    """A pen held with three fingers (3, precision prismatic)."""
    angles = within(shapes()['tripod'] + generator.normal(0, 0.05, (15, 3)) * (0.3, 0.5, 1))
    joints = hand_joints(angles[None], betas)[0]
    tips = joints[list(_TIPS)].mean(0)
    web = 0.65 * joints[5] + 0.35 * joints[2] + np.array([0, 0.012, 0.004])
    axis = (web - tips) / np.linalg.norm(web - tips)
    length = generator.uniform(0.125, 0.165)
    place = tips + axis * (length / 2 - generator.uniform(0.02, 0.04))
    thin = generator.uniform(0.0035, 0.006)
    turn = _frame(axis, np.array([0, 1.0, 0]))
    return _given(3, 'pen', np.array([thin, thin, length]), rigid(turn, place), angles)


def _key(generator: Generator, betas: Array) -> Grasp:
    """A flat thing between the thumb and the side of the index finger (6, lateral)."""
    angles = within(0.75 * shapes()['fist'] + 0.25 * shapes()['relaxed'])
    angles[12:] = within(angles)[12:] * (1, 1, 0.6)
    joints = hand_joints(angles[None], betas)[0]
    thumb, index = joints[4], joints[6] + np.array([0, 0, 0.004])
    gap = float(np.clip(np.linalg.norm(thumb - index) - 2 * _FINGER, 0.002, 0.02))
    turn = _frame(thumb - index, joints[6] - joints[5])
    tall, wide = generator.uniform(0.07, 0.16), generator.uniform(0.05, 0.08)
    place = (thumb + index) / 2 + turn[:, 0] * (tall / 2 - 0.02)
    size = np.array([tall, wide, gap])
    return _given(6, 'phone', size, rigid(turn, place), angles)


def _press(generator: Generator, betas: Array) -> Grasp:
    """The flat palm on something (0, non-prehensile palm)."""
    angles = within(shapes()['flat'] + generator.normal(0, 0.05, (15, 3)) * (0.3, 0.5, 1))
    kind = str(generator.choice(('box', 'book')))
    size = generator.uniform((0.1, 0.03, 0.1), (0.2, 0.12 if kind == 'box' else 0.04, 0.22))
    place = np.array([generator.uniform(-0.03, 0.03), -(0.016 + size[1] / 2), 0.0])
    spin = rotation_matrices(np.array([0, generator.uniform(-0.6, 0.6), 0]))
    return _given(0, kind, size, rigid(spin, place), angles)


def _touch(generator: Generator, betas: Array) -> Grasp:
    """A finger tip on something flat (1, non-prehensile fingers only)."""
    angles = shapes()['point'].copy()
    angles[:3, 2] += generator.uniform((0.2, 0.1, 0.05), (0.6, 0.4, 0.2))
    angles = within(angles)
    tip = hand_joints(angles[None], betas)[0][8]
    kind = str(generator.choice(('phone', 'book', 'box')))
    size = np.array([generator.uniform(0.1, 0.18), 0.009, generator.uniform(0.06, 0.12)])
    # The thing leans as the finger does, so that it stays clear of the curled ones.
    lean = rotation_matrices(np.array([0, 0, -generator.uniform(0.2, 0.5)]))
    touched = np.array([generator.uniform(0.0, 0.3) * size[0], size[1] / 2 + 0.004, 0])
    place = tip - lean @ touched
    return _given(1, kind, size, rigid(lean, place), angles)


_Maker = Callable[[Generator, Array], Grasp]
_MAKERS: tuple[tuple[_Maker, float], ...] = (
    (_power, 0.36), (_ball, 0.11), (_plate, 0.19), (_bead, 0.09), (_write, 0.10), (_key, 0.05),
    (_press, 0.05), (_touch, 0.05),
)  # fmt: skip


def _given(label: int, kind: str, size: Array, T_hand_item: Array, closed: Array) -> Grasp:
    """Make a grasp from a pose that the thing was made for; it opens a little before."""
    before = within(0.45 * closed + 0.55 * shapes()['open'])
    return Grasp(label=label, kind=kind, size=size, T_hand_item=T_hand_item, closed=closed,
                 open=before)  # fmt: skip


def _wrapped(label: int, kind: str, size: Array, T_hand_item: Array, betas: Array) -> Grasp:
    """Close all fingers until they touch the thing, joint by joint from the palm outwards."""
    before = shapes()['open'].copy()
    before[12] = (0.35, 0.0, 0.1)
    curled = shapes()['fist'].copy()
    curled[12:] = shapes()['grasp'][12:]
    curled[13:, 2] += 0.5
    before, curled = within(before), within(curled)
    angles = before.copy()
    for first in range(3):
        # All joints from this one on turn together; those nearer to the palm have found hold.
        rows = np.array([row + joint for row in _ROWS for joint in range(first, 3)])
        tried = np.tile(angles, (len(_STEPS), 1, 1))
        tried[:, rows] += _STEPS[:, None, None] * (curled - angles)[rows]
        free = _distances(hand_joints(tried, betas), kind, size, T_hand_item) > 0  # (S, 5)
        for finger, row in enumerate(_ROWS):
            reached = int(np.argmin(free[:, finger])) if not free[:, finger].all() else len(free)
            own = slice(row + first, row + 3)
            angles[own] = tried[max(reached - 1, 0), own]
    return Grasp(label=label, kind=kind, size=size, T_hand_item=T_hand_item, closed=angles,
                 open=within(0.3 * angles + 0.7 * before))  # fmt: skip


def _distances(joints: Array, kind: str, size: Array, T_hand_item: Array) -> Array:
    """Return how far the skin of each finger (S, 5) is from the thing; negative = inside."""
    chains = joints[:, 1:].reshape(-1, 5, 4, 3)
    share = np.linspace(0, 1, 4)[:-1, None, None]
    between = [chains[:, :, k, None] * (1 - s) + chains[:, :, k + 1, None] * s
               for k in range(3) for s in share]  # fmt: skip
    points = np.concatenate([*between, chains[:, :, 3:]], 2)[:, :, 1:]
    local = (points - T_hand_item[:3, 3]) @ T_hand_item[:3, :3]
    if kind == 'sphere':
        distance = np.linalg.norm(local, axis=-1) - size[0]
    elif kind in ('box', 'phone', 'book'):
        distance = (np.abs(local) - size / 2).max(-1)
    else:
        across = np.hypot(local[..., 0], local[..., 1]) - size[0]
        distance = np.maximum(across, np.abs(local[..., 2]) - size[2] / 2)
    return distance.min(-1) - _FINGER


def _frame(z: Array, x: Array) -> Array:
    """Return axes (3, 3) with z along one vector and x as near to another as can be."""
    z = z / np.linalg.norm(z)
    y = np.cross(z, x)
    y /= np.linalg.norm(y)
    return np.column_stack([np.cross(y, z), y, z])
