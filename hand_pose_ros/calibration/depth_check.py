"""Whether a depth camera measures the target where it is: scale and bias of its distances."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]

WARNING = 0.01  # deviation of the scale from 1 that is worth a warning
_EDGE = 3  # pixels that are left out along the target's border
_FEWEST = 30  # pixels of a view
# Scale and bias are told apart only by views at clearly different distances.
_SPAN = 0.2  # metres
_OUTLIER = 3.0


@dataclass(frozen=True, kw_only=True)
class DepthScale:
    """Depth against the target: measured = scale x true + bias.

    Attributes:
        views: images compared.
        scale: factor; with ``bias`` None the mean ratio.
        bias: metres, or None where the distances are too much alike to tell it from the scale.
        rms: metres, of the views' mean depth about that line.
        near, far: metres, distances of the target.
    """

    views: int
    scale: float
    bias: float | None
    rms: float
    near: float
    far: float


def plane_depths(
    depth: NDArray[np.float32], camera: Camera, T_cam_board: Array, target: Target
) -> tuple[float, float] | None:
    """Return the mean true and measured depth (m) over the target in one image (H, W), metres.

    None where too little of the target has depth.
    """
    flat = target.points[:, :2].astype(np.float32)
    outline = target.points[cv2.convexHull(flat, returnPoints=False).ravel()]
    pixels = camera.project(apply(T_cam_board, outline))
    if not np.isfinite(pixels).all():
        return None
    mask = np.zeros(depth.shape, np.uint8)
    cv2.fillConvexPoly(mask, np.rint(pixels).astype(np.int32), 1)
    mask = cv2.erode(mask, np.ones((2 * _EDGE + 1, 2 * _EDGE + 1)))
    row, column = np.nonzero((mask > 0) & np.isfinite(depth))
    if len(row) < _FEWEST:
        return None
    rays = np.column_stack([camera.undistort(np.column_stack([column, row])), np.ones(len(row))])
    normal = T_cam_board[:3, 2]
    true = (normal @ T_cam_board[:3, 3]) / (rays @ normal)
    measured = depth[row, column].astype(np.float64)
    ratio = measured / true
    near = np.abs(ratio - np.median(ratio)) < 0.1
    return float(true[near].mean()), float(measured[near].mean())


def depth_scale(pairs: Sequence[tuple[float, float]]) -> DepthScale | None:
    """Fit scale and bias to mean true and measured depths (m) of views; None with fewer than 3."""
    if len(pairs) < 3:
        return None
    true, measured = np.array(pairs).T
    with_bias = bool(true.max() - true.min() > _SPAN)
    use = np.ones(len(true), bool)
    scale, bias = 1.0, 0.0
    for _ in range(3):
        columns = [true[use], np.ones(int(use.sum()))][: 1 + with_bias]
        fit = np.linalg.lstsq(np.column_stack(columns), measured[use], rcond=None)[0]
        scale, bias = float(fit[0]), float(fit[1]) if with_bias else 0.0
        away = measured - scale * true - bias
        spread = 1.4826 * float(np.median(np.abs(away[use]))) + 1e-5
        use = np.abs(away) < _OUTLIER * spread + 1e-4
    return DepthScale(
        views=int(use.sum()), scale=scale, bias=bias if with_bias else None,
        rms=float(np.sqrt(np.mean(away[use] ** 2))), near=float(true.min()), far=float(true.max()),
    )  # fmt: skip
