"""Hand surface: measured points of a depth image that lie on a hand whose joints are known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.skeleton import BONES, WRIST

Array = NDArray[np.float64]

# A hand's surface is this near a line from joint to joint, metres; the palm's middle is farther.
_REACH = 0.026
# Lines from joint to joint: the bones, and across the palm.
_LINES = np.array([*BONES, (5, 9), (9, 13), (13, 17), (1, 5)])
_KNUCKLES = [5, 9, 13, 17]
_PER_LINE = 6
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
        points = own_points(points_near(view, hand), trees[row], trees[:row] + trees[row + 1 :])
        outward = hand[_KNUCKLES].mean(axis=0) - hand[WRIST]
        clouds[row] = spread_out(points[(points - hand[WRIST]) @ outward > 0.0], count)
    return clouds


def own_points(points: Array, own: cKDTree, others: Sequence[cKDTree]) -> Array:
    """Return those of points (N, 3) that lie on a hand, and nearer to it than to other hands.

    Args:
        points: measured, metres.
        own: the hand's ``bone_points``.
        others: those of other hands.
    """
    distance = own.query(points, distance_upper_bound=_REACH)[0]
    points, distance = points[np.isfinite(distance)], distance[np.isfinite(distance)]
    for other in others:
        nearer = distance < other.query(points)[0]
        points, distance = points[nearer], distance[nearer]
    return points


def bone_points(joints: Array) -> Array:
    """Return points along the bones and across the palm of joints (21, 3)."""
    shares = (np.arange(_PER_LINE) + 0.5) / _PER_LINE
    start, end = joints[_LINES[:, 0]], joints[_LINES[:, 1]]
    return (start[:, None] + shares[:, None] * (end - start)[:, None]).reshape(-1, 3)


def points_near(view: View, joints: Array, most: int | None = _MOST_PIXELS) -> Array:
    """Return the measured points (N, 3), frame of the results, in the image box around joints.

    At most so many pixels are looked at, evenly spread; all where it is None.
    """
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
    rows, columns = _thinned(rows, most), _thinned(columns, most)
    depth = window[rows, columns].astype(np.float64)
    places = np.column_stack([columns + x0, rows + y0]).astype(np.float64)
    return view.unproject(places, depth)


def spread_out(points: Array, count: int) -> Array:
    """Return (count, 3) of points (N, 3), evenly spread; NaN where there are fewer."""
    points = _thinned(points, count)
    cloud = np.full((count, 3), np.nan)
    cloud[: len(points)] = points
    return cloud


def _thinned(values: NDArray[Any], most: int | None) -> NDArray[Any]:
    """Return at most so many of values (N, ...), evenly spread."""
    if most is None or len(values) <= most:
        return values
    return values[np.linspace(0, len(values) - 1, most).astype(int)]
