"""Gestures: finger angles (twist, abduction, flexion) of natural hand shapes within the limits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.model_files import joint_limits

Array = NDArray[np.float64]

_FINGERS = ('index', 'middle', 'little', 'ring')  # MANO's order; the thumb follows

# Flexion in rad of a finger's three joints.
_STRAIGHT = (0.0, 0.0, 0.0)
_RELAXED = (0.25, 0.35, 0.2)
_BENT = (0.6, 0.8, 0.45)
_CURLED = (1.35, 1.65, 1.0)

# Thumb: (twist, abduction, flexion) of its base, then flexion of the two outer joints.
_THUMB_OPEN = ((0.0, 0.0, -0.15), 0.0, 0.0)
_THUMB_RELAXED = ((0.1, 0.0, 0.15), 0.15, 0.2)
_THUMB_ACROSS = ((0.35, 0.25, 0.55), 0.55, 0.8)
_THUMB_OPPOSED = ((0.45, 0.1, 0.45), 0.3, 0.45)


def _shape(
    *,
    index: tuple[float, float, float],
    middle: tuple[float, float, float],
    ring: tuple[float, float, float],
    little: tuple[float, float, float],
    thumb: tuple[tuple[float, float, float], float, float],
    spread: float = 0.0,
) -> Array:
    """Return angles (15, 3); ``spread`` in rad opens the fan of the fingers."""
    flexion = {'index': index, 'middle': middle, 'ring': ring, 'little': little}
    fan = {'index': -1.0, 'middle': -0.1, 'ring': 0.6, 'little': 1.2}
    angles = np.zeros((15, 3))
    for number, finger in enumerate(_FINGERS):
        angles[3 * number : 3 * number + 3, 2] = flexion[finger]
        angles[3 * number, 1] = spread * fan[finger]
    angles[12] = thumb[0]
    angles[13:, 2] = thumb[1:]
    limits = joint_limits()
    margin = 0.02 * (limits[..., 1] - limits[..., 0])
    return np.clip(angles, limits[..., 0] + margin, limits[..., 1] - margin)


def gestures() -> dict[str, Array]:
    """Return the library: name -> angles (15, 3) in rad, the same numbers for both sides."""
    straight, relaxed, bent, curled = _STRAIGHT, _RELAXED, _BENT, _CURLED
    up: dict[str, Any] = {
        'middle': curled,
        'ring': curled,
        'little': curled,
        'thumb': _THUMB_ACROSS,
    }
    return {
        'open': _shape(index=straight, middle=straight, ring=straight, little=straight,
                       thumb=_THUMB_OPEN, spread=0.12),
        'flat': _shape(index=straight, middle=straight, ring=straight, little=straight,
                       thumb=_THUMB_RELAXED, spread=-0.05),
        'relaxed': _shape(index=relaxed, middle=relaxed, ring=relaxed, little=relaxed,
                          thumb=_THUMB_RELAXED),
        'grasp': _shape(index=bent, middle=bent, ring=bent, little=bent, thumb=_THUMB_OPPOSED),
        'fist': _shape(index=curled, middle=curled, ring=curled, little=curled,
                       thumb=_THUMB_ACROSS),
        'pinch': _shape(index=(0.75, 0.75, 0.35), middle=relaxed, ring=relaxed, little=relaxed,
                        thumb=_THUMB_OPPOSED),
        'tripod': _shape(index=(0.8, 0.75, 0.35), middle=(0.85, 0.8, 0.4), ring=bent,
                         little=bent, thumb=_THUMB_OPPOSED),
        'point': _shape(index=straight, **up),
        'two': _shape(index=straight, **{**up, 'middle': straight}, spread=0.15),
        'three': _shape(index=straight, **{**up, 'middle': straight, 'ring': straight},
                        spread=0.1),
        'four': _shape(index=straight, **{**up, 'middle': straight, 'ring': straight,
                                          'little': straight}, spread=0.1),
    }  # fmt: skip
