"""Hand surface: measured points of a depth image that lie on a hand whose joints are known."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.skeleton import WRIST

Array = NDArray[np.float64]

# A hand's surface is this near a line from joint to joint, metres; the palm's middle is farther.
SURFACE_REACH = 0.026
_BONES = np.array([
    (0, 1), (1, 2), (2, 3), (3, 4), (0, 5), (5, 6), (6, 7), (7, 8), (0, 9), (9, 10), (10, 11),
    (11, 12), (0, 13), (13, 14), (14, 15), (15, 16), (0, 17), (17, 18), (18, 19), (19, 20),
    (5, 9), (9, 13), (13, 17), (1, 5),
])  # fmt: skip
_KNUCKLES = [5, 9, 13, 17]
_PER_BONE = 6
_MARGIN = 0.03  # metres around the joints that are cut out of the depth image
# Pixels of one image that are looked at, evenly spread: a few times what is kept.
_MOST_PIXELS = 2500


def hand_clouds(view: View, joints: Array, count: int) -> Array:
    """Return points (B, count, 3) on B hands in a depth view, NaN where there are fewer.

    Points beyond the wrist may be the arm's, and those nearer to another hand are its.

    Args:
        view: of the depth camera.
        joints: (B, 21, 3) as far as they are known, metres, frame of the results.
        count: most points of a hand.
    """
    trees = [cKDTree(bone_points(hand)) for hand in joints]
    clouds = np.full((len(joints), count, 3), np.nan)
    for row, hand in enumerate(joints):
        points = points_near(view, hand)
        if not len(points):
            continue
        distances = np.stack([tree.query(points)[0] for tree in trees])
        outward = hand[_KNUCKLES].mean(axis=0) - hand[WRIST]
        on_hand = (distances[row] < SURFACE_REACH) & ((points - hand[WRIST]) @ outward > 0.0)
        clouds[row] = spread_out(points[on_hand & (distances.argmin(axis=0) == row)], count)
    return clouds


def bone_points(joints: Array) -> Array:
    """Return points along the bones and across the palm of joints (21, 3)."""
    shares = (np.arange(_PER_BONE) + 0.5) / _PER_BONE
    start, end = joints[_BONES[:, 0]], joints[_BONES[:, 1]]
    return (start[:, None] + shares[:, None] * (end - start)[:, None]).reshape(-1, 3)


def points_near(view: View, joints: Array) -> Array:
    """Return the measured points (N, 3), frame of the results, in the image box around joints."""
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


def spread_out(points: Array, count: int) -> Array:
    """Return (count, 3) of points (N, 3), evenly spread; NaN where there are fewer."""
    if len(points) > count:
        points = points[np.linspace(0, len(points) - 1, count).astype(int)]
    cloud = np.full((count, 3), np.nan)
    cloud[: len(points)] = points
    return cloud
