"""Clouds: points on the surface of a hand from every depth camera that sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hand_pose_ros.annotation.evidence import CLOUD_POINTS
from hand_pose_ros.annotation.masks import Mask
from hand_pose_ros.estimators.rig_views import View

Array = NDArray[np.float64]

# A hand's surface is this near a line from joint to joint, metres; the palm's middle is farther.
_REACH = 0.026
_BONES = np.array([
    (0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (0, 9), (9, 10), (10, 11),
    (11, 12), (0, 13), (13, 14), (14, 15), (15, 16), (0, 17), (17, 18), (18, 19), (19, 20),
    (5, 9), (9, 13), (13, 17), (1, 5),
])  # fmt: skip
_PER_BONE = 6
_MARGIN = 0.03  # metres around the joints that are cut out of the depth image
# Pixels of one image that are looked at, evenly spread: a few times what is kept.
_MOST_PIXELS = 2500


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskedView:
    """Where a hand is in an image.

    Attributes:
        view: of the camera.
        mask: (H, W) bool.
    """

    view: View
    mask: Mask

    def holds(self, points: Array) -> NDArray[np.bool_]:
        """Return which points (N, 3) of the world may be on the hand: all outside the image."""
        pixels = self.view.project(points)
        known = np.logical_and.reduce(np.isfinite(pixels), axis=1)
        columns, rows = np.rint(np.where(known[:, None], pixels, -1.0)).astype(int).T
        height, width = self.mask.shape
        known &= (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        held = np.ones(len(points), bool)
        held[known] = self._grown[rows[known], columns[known]] > 0
        return held

    @property
    def _grown(self) -> NDArray[np.uint8]:
        # A pixel more: calibration and stamps are not exact either.
        kernel = np.ones((3, 3), np.uint8)
        return np.asarray(cv2.dilate(self.mask.astype(np.uint8), kernel), np.uint8)


def hand_cloud(
    views: list[View], joints: Array, other: Array | None, masks: Sequence[MaskedView] = ()
) -> NDArray[np.float32]:
    """Return points (CLOUD_POINTS, 3) on a hand, NaN where there are fewer.

    Args:
        views: depth views of one frame.
        joints: (21, 3) of the hand, as far as it is known, metres, world.
        other: (21, 3) of the other hand, whose points are left out; None without one.
        masks: of the hand; points beside them are left out.
    """
    lines = _lines(joints)
    tree, others = cKDTree(lines), None if other is None else cKDTree(_lines(other))
    found = []
    for view in views:
        points = _points_near(view, joints)
        if not len(points):
            continue
        distance, _ = tree.query(points, distance_upper_bound=_REACH)
        near = np.isfinite(distance)
        if others is not None:
            near &= distance < others.query(points)[0]
        points = points[near]
        for masked in masks:
            points = points[masked.holds(points)]
        found.append(points)
    cloud = np.full((CLOUD_POINTS, 3), np.nan, np.float32)
    points = np.concatenate(found) if found else np.zeros((0, 3))
    if len(points) > CLOUD_POINTS:
        points = points[np.linspace(0, len(points) - 1, CLOUD_POINTS).astype(int)]
    cloud[: len(points)] = points
    return cloud


def _lines(joints: Array) -> Array:
    """Return points along the bones and across the palm."""
    shares = (np.arange(_PER_BONE) + 0.5) / _PER_BONE
    start, end = joints[_BONES[:, 0]], joints[_BONES[:, 1]]
    return (start[:, None] + shares[:, None] * (end - start)[:, None]).reshape(-1, 3)


def _points_near(view: View, joints: Array) -> Array:
    """Return the measured points (N, 3) of the world in the image box around the joints."""
    in_camera = joints @ view.rotation.T + view.translation
    nearest = in_camera[:, 2].min() - 2 * _MARGIN
    farthest = in_camera[:, 2].max() + _MARGIN
    pixels = view.camera.project(in_camera)
    if not np.isfinite(pixels).all() or nearest <= 0:
        return np.zeros((0, 3))
    reach = _MARGIN * view.camera.intrinsics[0, 0] / max(nearest, 0.05)
    height, width = view.stream.image.shape
    x0, y0 = np.maximum(np.floor(pixels.min(axis=0) - reach), 0).astype(int)
    x1, y1 = np.ceil(pixels.max(axis=0) + reach).astype(int) + 1
    window = view.stream.image[y0 : min(y1, height), x0 : min(x1, width)]
    rows, columns = np.nonzero((window > nearest) & (window < farthest))
    if not len(rows):
        return np.zeros((0, 3))
    if len(rows) > _MOST_PIXELS:
        chosen = np.linspace(0, len(rows) - 1, _MOST_PIXELS).astype(int)
        rows, columns = rows[chosen], columns[chosen]
    depth = window[rows, columns].astype(np.float64)
    places = np.column_stack([columns + x0, rows + y0]).astype(np.float64)
    return view.unproject(places, depth)
