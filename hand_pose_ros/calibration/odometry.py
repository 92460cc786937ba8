"""Odometry of a depth camera: each image is aligned to a key image by point-to-plane ICP.

Source: Chen and Medioni 1992 for the distance to the plane; robust weights leave hands out.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse, rigid

Array = NDArray[np.float64]

NEAREST, FARTHEST = 0.2, 2.0  # metres, range that is used
_STRIDE = 4  # pixels between the points of a cloud
_SMOOTHED = 5  # pixels, before normals are taken
_MOST = 3000  # points of an image that are aligned
_PAIRS = (0.08, 0.04, 0.02, 0.02)  # metres, how far apart partners may be, coarse to fine
_STEPS = 8  # at each of them
_SETTLED = 1e-6
# A new key image is taken when the camera has moved or turned so far from the last.
_KEY_SHIFT, _KEY_TURN = 0.06, np.radians(6.0)
# Directions that the scene does not fix keep the predicted motion.
_PRIOR = 1e-3
_HUBER = 1.5
_FEWEST = 100  # points that can be aligned


@dataclass(frozen=True, kw_only=True, eq=False)
class _Key:
    """A key image: its pose and its surface."""

    T_world_cam: Array
    points: Array
    normals: Array
    tree: cKDTree


class DepthOdometry:
    """Follows a depth camera; the world is the frame of its first image."""

    def __init__(self, camera: Camera) -> None:
        """Prepare for images of a camera."""
        rows, columns = np.mgrid[: camera.height : _STRIDE, : camera.width : _STRIDE]
        pixels = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
        ideal = camera.undistort(pixels)
        self._rays = np.column_stack([ideal, np.ones(len(ideal))]).reshape(*rows.shape, 3)
        self._key: _Key | None = None
        self._last = np.eye(4)
        self._motion = np.eye(4)

    def add(self, depth: NDArray[np.float32]) -> Array:
        """Return ``T_world_cam`` (4, 4) of the next image (H, W), metres, NaN = invalid."""
        points, normals = self._cloud(depth)
        predicted = self._last @ self._motion
        if len(points) < _FEWEST:
            return predicted
        if self._key is None:
            self._take_key(self._last, points, normals)
            return self._last.copy()
        some = points[:: max(1, len(points) // _MOST)]
        T_key_cam = _aligned(self._key, some, inverse(self._key.T_world_cam) @ predicted)
        pose = self._key.T_world_cam @ T_key_cam
        # Rounding would grow from image to image, as inverse() takes rotations for granted.
        pose = rigid(Rotation.from_matrix(pose[:3, :3]).as_matrix(), pose[:3, 3])
        self._motion, self._last = inverse(self._last) @ pose, pose
        turn = Rotation.from_matrix(T_key_cam[:3, :3]).magnitude()
        if np.linalg.norm(T_key_cam[:3, 3]) > _KEY_SHIFT or turn > _KEY_TURN:
            self._take_key(pose, points, normals)
        return pose.copy()

    def _take_key(self, pose: Array, points: Array, normals: Array) -> None:
        self._key = _Key(T_world_cam=pose, points=points, normals=normals, tree=cKDTree(points))

    def _cloud(self, depth: NDArray[np.float32]) -> tuple[Array, Array]:
        """Return points (N, 3) and unit normals (N, 3) of an image in its camera's frame."""
        valid = np.isfinite(depth) & (depth > NEAREST) & (depth < FARTHEST)
        size = (_SMOOTHED, _SMOOTHED)
        total = cv2.blur(np.where(valid, depth, 0).astype(np.float32), size)
        share = cv2.blur(valid.astype(np.float32), size)
        smooth = np.where(share > 0.99, total / np.maximum(share, 1e-6), np.nan)
        grid = self._rays * smooth[::_STRIDE, ::_STRIDE, None]
        across, down = np.full_like(grid, np.nan), np.full_like(grid, np.nan)
        across[:, 1:-1] = grid[:, 2:] - grid[:, :-2]
        down[1:-1] = grid[2:] - grid[:-2]
        normals = np.cross(across, down)
        lengths = np.linalg.norm(normals, axis=-1, keepdims=True)
        # A jump in depth is no surface.
        jump = np.maximum(np.abs(across[..., 2]), np.abs(down[..., 2])) > 0.1 * grid[..., 2]
        with np.errstate(invalid='ignore', divide='ignore'):
            normals = normals / lengths
        good = np.isfinite(grid).all(axis=-1) & np.isfinite(normals).all(axis=-1) & ~jump
        return grid[good], normals[good]


def _aligned(key: _Key, points: Array, start: Array) -> Array:
    """Return the pose (4, 4) that lays points (N, 3) onto the key image's surface."""
    pose = start
    for reach in _PAIRS:
        for _ in range(_STEPS):
            moved = apply(pose, points)
            distance, partner = key.tree.query(moved, distance_upper_bound=reach)
            near = np.isfinite(distance)
            if near.sum() < _FEWEST:
                return start
            moved, partner = moved[near], partner[near]
            normals = key.normals[partner]
            errors = np.einsum('ij,ij->i', normals, moved - key.points[partner])
            spread = 1.4826 * np.median(np.abs(errors)) + 1e-6
            weights = np.minimum(1, _HUBER * spread / np.maximum(np.abs(errors), 1e-12))
            jacobian = np.column_stack([np.cross(moved, normals), normals])
            weighted = jacobian * weights[:, None]
            matrix = weighted.T @ jacobian + _PRIOR * np.eye(6)
            step = -np.linalg.solve(matrix, weighted.T @ errors)
            turn = Rotation.from_rotvec(step[:3]).as_matrix()
            pose = rigid(turn, step[3:]) @ pose
            if np.abs(step).max() < _SETTLED:
                break
    return pose
