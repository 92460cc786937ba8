"""Silhouettes: hand masks on a small square grid of the lens-free image plane around each hand."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

GRID = 80  # cells along a side
BACKGROUND, HAND, UNKNOWN = 0, 1, 2
_MARGIN = 0.35  # of the hand's extent, around its landmarks


class Silhouette(NamedTuple):
    """One hand in one image.

    Attributes:
        cells: (GRID, GRID) uint8, rows along y: ``HAND``, ``BACKGROUND``, or ``UNKNOWN`` outside
            of the image and where the other hand is, which may hide this one.
        corner: (2,) middle of the first cell, at z = 1.
        step: size of a cell at z = 1.
    """

    cells: NDArray[np.uint8]
    corner: Array
    step: float


def silhouette(mask: Mask, other: Mask | None, camera: Camera, points: Array) -> Silhouette:
    """Return the silhouette of a mask (H, W) around landmarks (N, 2) at z = 1.

    Args:
        mask: of the hand, in the camera's pixels.
        other: of the other hand.
        camera: with its lens.
        points: what the grid has to hold.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    side = (1.0 + 2.0 * _MARGIN) * float((high - low).max())
    step = side / (GRID - 1)
    corner = (low + high - side) / 2.0
    columns, rows = np.meshgrid(np.arange(GRID), np.arange(GRID))
    plane = corner + step * np.stack([columns, rows], axis=-1).reshape(-1, 2)
    pixels = camera.project(np.column_stack([plane, np.ones(len(plane))]))
    known = np.logical_and.reduce(np.isfinite(pixels), axis=1)
    x, y = np.rint(np.where(known[:, None], pixels, -1.0)).astype(int).T
    height, width = mask.shape
    known &= (x >= 0) & (x < width) & (y >= 0) & (y < height)
    cells = np.full(GRID * GRID, UNKNOWN, np.uint8)
    places = y[known], x[known]
    states = np.where(mask[places], HAND, BACKGROUND)
    if other is not None:
        states[other[places] & (states == BACKGROUND)] = UNKNOWN
    cells[known] = states
    return Silhouette(cells=cells.reshape(GRID, GRID), corner=corner, step=step)


def inside_points(
    cells: NDArray[np.uint8], corner: Array, step: float, most: int
) -> tuple[Array, float]:
    """Return at most ``most`` points (M, 2) at z = 1 on the hand's cells, and their spacing."""
    rows, columns = np.nonzero(cells == HAND)
    places, apart = thinned(np.column_stack([columns, rows]), most)
    return corner + step * places, step * apart


def distances(cells: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return how far each cell is from where the hand may be (GRID, GRID), in cells."""
    beside = (cells == BACKGROUND).astype(np.uint8)
    away = cv2.distanceTransform(beside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    # OpenCV's last bits change from call to call; squares are whole numbers.
    away = np.sqrt(np.rint(away**2))
    return np.maximum(away - 0.5, 0.0).astype(np.float32)


def thinned(places: NDArray[np.int64], most: int) -> tuple[Array, int]:
    """Return at most ``most`` of some cells (M, 2) on a square grid, and that grid's step."""
    step = max(int(np.sqrt(len(places) / most)), 1)
    while True:
        kept = places[(places % step == 0).all(axis=1)]
        if len(kept) <= most:
            return kept.astype(np.float64), step
        step += 1
