"""Rigid transforms as plain floats: a translation and a unit quaternion (x, y, z, w)."""

import math
from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


class RigidTransform(NamedTuple):
    """Maps a point p to ``rotation * p + translation``."""

    translation: Vector = (0.0, 0.0, 0.0)
    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)


IDENTITY = RigidTransform()


def rotate(q: Quaternion, v: Vector) -> Vector:
    """Rotate a vector by a unit quaternion."""
    x, y, z, w = q
    # v + 2 w (u x v) + 2 u x (u x v), u being the vector part
    cx, cy, cz = y * v[2] - z * v[1], z * v[0] - x * v[2], x * v[1] - y * v[0]
    return (
        v[0] + 2 * (w * cx + y * cz - z * cy),
        v[1] + 2 * (w * cy + z * cx - x * cz),
        v[2] + 2 * (w * cz + x * cy - y * cx),
    )


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Return the rotation that does ``b`` first and then ``a``."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def compose(a: RigidTransform, b: RigidTransform) -> RigidTransform:
    """Return the transform that applies ``b`` first and then ``a``."""
    x, y, z = rotate(a.rotation, b.translation)
    translation = (x + a.translation[0], y + a.translation[1], z + a.translation[2])
    return RigidTransform(translation, multiply(a.rotation, b.rotation))


def inverse(a: RigidTransform) -> RigidTransform:
    """Return the transform that undoes ``a``."""
    x, y, z, w = a.rotation
    rotation = (-x, -y, -z, w)
    tx, ty, tz = rotate(rotation, a.translation)
    return RigidTransform((-tx, -ty, -tz), rotation)


def interpolate(a: RigidTransform, b: RigidTransform, ratio: float) -> RigidTransform:
    """Return the transform at ``ratio`` (0..1) of the way: linear, slerp the shorter way round."""
    ax, ay, az = a.translation
    bx, by, bz = b.translation
    translation = (ax + ratio * (bx - ax), ay + ratio * (by - ay), az + ratio * (bz - az))
    return RigidTransform(translation, _slerp(a.rotation, b.rotation, ratio))


def _slerp(a: Quaternion, b: Quaternion, ratio: float) -> Quaternion:
    cosine = sum(p * q for p, q in zip(a, b, strict=True))
    sign = -1.0 if cosine < 0 else 1.0
    angle = math.acos(min(1.0, abs(cosine)))
    if angle < 1e-6:  # sin(angle) would cancel: the chord is the arc
        weight_a, weight_b = 1.0 - ratio, ratio
    else:
        weight_a = math.sin((1.0 - ratio) * angle) / math.sin(angle)
        weight_b = math.sin(ratio * angle) / math.sin(angle)
    x, y, z, w = (weight_a * p + sign * weight_b * q for p, q in zip(a, b, strict=True))
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    return (x / norm, y / norm, z / norm, w / norm)
