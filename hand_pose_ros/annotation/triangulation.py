"""Triangulation: joints in 3D from the views that saw them, with how surely they are known."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.evidence import Evidence

Array = NDArray[np.float64]

LARGEST_SIGMA = 0.03  # metres; views too close together leave the distance open
_REACH = 3.0  # standard deviations, a landmark farther from the rest counts less
_ROUNDS = 8
_NEAREST = 0.02  # metres; a joint is before every camera that saw it


def triangulate(evidence: Evidence, largest_sigma: float = LARGEST_SIGMA) -> tuple[Array, Array]:
    """Return joints (N, 2, 21, 3) in the world and their deviation (N, 2, 21), metres.

    It starts from the linear solution (DLT) and minimises robust reprojection errors on the
    lens-free image plane. Joints fewer than two views saw, behind a camera, or with a deviation
    above ``largest_sigma`` along their worst direction are NaN, with an infinite deviation.
    """
    placed = np.all(np.isfinite(evidence.T_cam_world), axis=(2, 3))
    seen = np.all(np.isfinite(evidence.points), axis=4) & np.isfinite(evidence.sigma)
    seen &= placed[:, :, None, None]
    transforms = np.where(placed[..., None, None], evidence.T_cam_world, np.eye(4))
    enough = seen.sum(axis=0) >= 2
    joints = np.full((*enough.shape, 3), np.nan)
    sigma = np.full(enough.shape, np.inf)
    frames, sides, places = np.nonzero(enough)
    if not len(frames):
        return joints, sigma
    chosen = (slice(None), frames, sides, places)
    found, spread = _intersect(
        transforms[:, frames], evidence.points[chosen], evidence.sigma[chosen], seen[chosen]
    )
    good = spread <= largest_sigma
    joints[frames[good], sides[good], places[good]] = found[good]
    sigma[frames[good], sides[good], places[good]] = spread[good]
    return joints, sigma


def _intersect(
    transforms: Array, points: Array, sigma: Array, seen: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Intersect the rays of M joints: (V, M, 4, 4), (V, M, 2), (V, M), (V, M) -> (M, 3), (M,)."""
    rotation, translation = transforms[..., :3, :3], transforms[..., :3, 3]
    points = np.where(seen[..., None], points, 0.0)
    inverse = np.where(seen, 1.0 / np.where(seen, sigma, 1.0), 0.0)
    # (x r3 - r1) X = t1 - x t3, the depth that scales it left out.
    rows = points[..., None] * rotation[..., 2:, :] - rotation[..., :2, :]
    right = translation[..., :2] - points * translation[..., 2:]
    found = _solve(rows * inverse[..., None, None], right * inverse[..., None])[0]
    information = np.tile(np.eye(3), (len(found), 1, 1))
    weight = np.ones_like(inverse)
    for step in range(_ROUNDS):
        camera = (rotation @ found[..., None])[..., 0] + translation
        depth = np.maximum(camera[..., 2:], _NEAREST)
        plane = camera[..., :2] / depth
        residual = (plane - points) * inverse[..., None]
        # Few views: robust weights only after all of them had their say.
        if step >= 2:
            square = (residual**2).sum(axis=2)
            weight = (_REACH**2 / (_REACH**2 + square)) ** 2
        slope = (rotation[..., :2, :] - plane[..., None] * rotation[..., 2:, :]) / depth[..., None]
        root = np.sqrt(weight)[..., None]
        change, information = _solve(
            slope * (inverse[..., None] * root)[..., None], -residual * root
        )
        found = found + change
    behind = (((rotation @ found[..., None])[..., 2, 0] + translation[..., 2]) < _NEAREST) & seen
    worst = np.linalg.eigvalsh(information)[:, 0]
    spread = 1.0 / np.sqrt(np.maximum(worst, 1e-12))
    return found, np.where(behind.any(axis=0) | ~np.isfinite(found).all(axis=1), np.inf, spread)


def _solve(rows: Array, right: Array) -> tuple[Array, Array]:
    """Least squares over views: rows (V, M, 2, 3), right (V, M, 2) -> (M, 3), (M, 3, 3)."""
    matrix = np.einsum('vmra,vmrb->mab', rows, rows)
    vector = np.einsum('vmra,vmr->ma', rows, right)
    damped = matrix + 1e-9 * np.trace(matrix, axis1=1, axis2=2)[:, None, None] * np.eye(3)
    damped += 1e-12 * np.eye(3)
    return np.linalg.solve(damped, vector[..., None])[..., 0], matrix
