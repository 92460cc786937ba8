"""Cloud: what depth cameras measured around the labelled hands, to hold the labels against."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.label_masks import ImagePlace
from hand_pose_ros.geometry.transforms import apply, inverse

Array = NDArray[np.float64]

# Points are shown within this of a joint, metres.
_REACH = 0.06
_MOST = 4000  # points of one image


def measured_points(depth: NDArray[np.float32], place: ImagePlace, joints: Array) -> Array:
    """Return what a depth image (H, W), in metres, holds near joints (J, 3): (N, 3).

    Joints and points are in the labels' frame, metres.
    """
    seen = apply(place.T_cam_world, joints)
    pixels = place.intrinsics.project(seen)
    known = np.isfinite(pixels).all(axis=1)
    if not known.any():
        return np.zeros((0, 3))
    margin = place.intrinsics.intrinsics[0, 0] * _REACH / max(float(seen[known, 2].min()), 0.1)
    low = np.maximum(np.floor(pixels[known].min(axis=0) - margin), 0).astype(int)
    high = np.ceil(pixels[known].max(axis=0) + margin).astype(int) + 1
    box = depth[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]
    step = max(1, int(np.sqrt(box.size / _MOST)))
    rows, columns = np.nonzero(np.isfinite(box[::step, ::step]))
    measured = box[::step, ::step][rows, columns].astype(np.float64)
    at = np.column_stack([columns, rows]) * step + low
    points = place.intrinsics.unproject(at, measured)
    away = np.linalg.norm(points[:, None] - seen[None, known], axis=2).min(axis=1)
    return apply(inverse(place.T_cam_world), points[away < _REACH])
