"""Rotations as 6D vectors, matrices and axis-angle vectors: differentiable, any batch shape."""

import torch
from torch import Tensor
from torch.nn import functional

# The 6D vector of no rotation: the first two columns of the identity.
IDENTITY_6D = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

_SMALL = 1e-6


def rotation_from_6d(vectors: Tensor) -> Tensor:
    """Turn 6D vectors (..., 6), two columns after each other, into matrices (..., 3, 3).

    Gram-Schmidt: the result is orthonormal with determinant +1 unless the columns are parallel.
    Source: methods specification, section 2.3.
    """
    first = functional.normalize(vectors[..., :3], dim=-1)
    second = vectors[..., 3:]
    second = second - (first * second).sum(dim=-1, keepdim=True) * first
    second = functional.normalize(second, dim=-1)
    third = torch.linalg.cross(first, second, dim=-1)
    return torch.stack([first, second, third], dim=-1)


def rotation_from_axis_angle(vectors: Tensor) -> Tensor:
    """Turn axis-angle vectors (..., 3) in rad into matrices (..., 3, 3) (Rodrigues)."""
    square = vectors.square().sum(dim=-1)[..., None, None]
    tiny = square < _SMALL**2
    safe = torch.where(tiny, torch.ones_like(square), square)
    angle = safe.sqrt()
    sine = torch.where(tiny, 1 - square / 6, angle.sin() / angle)
    # 2 sin^2(a / 2) instead of 1 - cos(a), which cancels for small angles.
    cosine = torch.where(tiny, 0.5 - square / 24, 2 * (angle / 2).sin().square() / safe)
    cross = cross_matrix(vectors)
    eye = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return eye + sine * cross + cosine * (cross @ cross)


def axis_angle_from_rotation(matrices: Tensor) -> Tensor:
    """Turn rotation matrices (..., 3, 3) into axis-angle vectors (..., 3) of at most pi rad.

    It goes through the quaternion whose largest component is computed first, which stays accurate
    and differentiable up to half a turn; there the axis has either sign.
    """
    m = matrices
    trace = m[..., 0, 0] + m[..., 1, 1] + m[..., 2, 2]
    w = torch.stack([1 + trace, m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0],
                     m[..., 1, 0] - m[..., 0, 1]], dim=-1)  # fmt: skip
    x = torch.stack([w[..., 1], 1 + 2 * m[..., 0, 0] - trace, m[..., 0, 1] + m[..., 1, 0],
                     m[..., 0, 2] + m[..., 2, 0]], dim=-1)  # fmt: skip
    y = torch.stack([w[..., 2], x[..., 2], 1 + 2 * m[..., 1, 1] - trace,
                     m[..., 1, 2] + m[..., 2, 1]], dim=-1)  # fmt: skip
    z = torch.stack([w[..., 3], x[..., 3], y[..., 3], 1 + 2 * m[..., 2, 2] - trace], dim=-1)
    rows = torch.stack([w, x, y, z], dim=-2)  # each is the quaternion times one of its components
    best = torch.diagonal(rows, dim1=-2, dim2=-1).argmax(dim=-1)
    chosen = rows.gather(-2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    quaternion = functional.normalize(chosen, dim=-1)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    vector = quaternion[..., 1:]
    square = vector.square().sum(dim=-1, keepdim=True)
    tiny = square < _SMALL**2
    sine = torch.where(tiny, torch.ones_like(square), square).sqrt()
    angle = 2 * torch.atan2(sine, quaternion[..., :1])
    return vector * torch.where(tiny, torch.full_like(square, 2.0), angle / sine)


def cross_matrix(vectors: Tensor) -> Tensor:
    """Return matrices (..., 3, 3) whose product with p is ``cross(vectors, p)``."""
    x, y, z = vectors.unbind(dim=-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def mirrored_rotations(matrices: Tensor) -> Tensor:
    """Return rotations (..., 3, 3) seen in a mirror across x: a left hand's from a right one's."""
    signs = matrices.new_tensor([[1.0, -1.0, -1.0], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]])
    return matrices * signs
