"""Clouds: points on the surface of a hand from every depth camera that sees it."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hand_pose_ros.annotation.evidence import CLOUD_POINTS
from hand_pose_ros.annotation.masks import Mask
from hand_pose_ros.estimators.hand_surface import (
    bone_points,
    own_points,
    points_near,
    spread_out,
)
from hand_pose_ros.estimators.rig_views import View

Array = NDArray[np.float64]


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
    own = cKDTree(bone_points(joints))
    others = [] if other is None else [cKDTree(bone_points(other))]
    found = []
    for view in views:
        points = own_points(points_near(view, joints), own, others)
        for masked in masks:
            points = points[masked.holds(points)]
        found.append(points)
    points = np.concatenate(found) if found else np.zeros((0, 3))
    return spread_out(points, CLOUD_POINTS).astype(np.float32)
