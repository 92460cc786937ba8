"""Finding a calibration target in one image, warm or cold, to a fraction of a pixel."""

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hand_pose_ros.rig.target import Target
from hand_pose_ros.rig.thermal import agc

Array = NDArray[np.float64]

# Detectors work on images about this wide: smaller squares are missed, larger images take long.
_SMALLEST, _LARGEST = 480, 1100
_SUBPIXEL = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-4)
_FEWEST = 8  # points of a partly seen ChArUco board
# A target that looks the same upside down is taken as upright when its rows are this level.
_MOST_ROLL = np.cos(np.radians(60))


@dataclass(frozen=True, kw_only=True, eq=False)
class Detection:
    """A target found in one image.

    Attributes:
        camera: whose image.
        stamp: of the image as recorded, nanoseconds.
        ids: (n,) numbers of the target's points.
        pixels: (n, 2) where they are.
    """

    camera: str
    stamp: int
    ids: NDArray[np.int64]
    pixels: Array

    def turned(self, target: Target) -> 'Detection':
        """Return the detection of a chessboard whose dark and bright squares are exchanged."""
        return replace(self, ids=len(target.points) - 1 - self.ids)


def grey_image(image: NDArray[Any]) -> NDArray[Any]:
    """Return one channel (H, W) of a grey, thermal or colour image."""
    return np.ascontiguousarray(image[..., 1]) if image.ndim == 3 else image


def detect(
    image: NDArray[Any], target: Target, camera: str = '', stamp: int = 0
) -> Detection | None:
    """Find a target in an image (H, W) of uint8 or uint16, whichever way its contrast goes.

    Chessboards with one odd and one even side are numbered so that the square between the first
    corners is dark; where warm and bright exchange, ``Detection.turned`` is the right one.

    Returns:
        The detection, or None if the target is not (wholly, but for ChArUco) in the image.
    """
    stretched = agc(image)
    scale = _scale(image.shape[1])
    for contrast in (stretched, _equalised(stretched)):
        found = _search(_resized(contrast, scale), target)
        if found is None:
            continue
        ids, pixels = found
        pixels = (pixels + 0.5) / scale - 0.5
        if target.kind in ('chessboard', 'charuco'):
            pixels = _refined(image, pixels)
        return _checked(
            image, Detection(camera=camera, stamp=stamp, ids=ids, pixels=pixels), target
        )
    return None


def _scale(width: int) -> float:
    if width < _SMALLEST:
        return float(-(-_SMALLEST // width))
    return 0.5 if width > _LARGEST else 1.0


def _resized(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1:
        return image
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=method)


def _equalised(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(image)


def _search(grey: NDArray[np.uint8], target: Target) -> tuple[NDArray[np.int64], Array] | None:
    """Return ids (n,) and pixels (n, 2) in an 8-bit image."""
    size = (target.columns, target.rows)
    numbers = np.arange(len(target.points))
    if target.kind == 'chessboard':
        # This detector does not mind which squares are dark.
        found, corners = cv2.findChessboardCornersSB(grey, size, flags=0)
        if not found:
            return None
        grid = corners.reshape(target.rows, target.columns, 2).astype(np.float64)
        return numbers, _right_handed(grid).reshape(-1, 2)
    for picture in (grey, cv2.bitwise_not(grey)):
        if target.kind == 'charuco':
            detector = cv2.aruco.CharucoDetector(target.charuco)
            corners, ids, _, _ = detector.detectBoard(picture)
            if ids is not None and len(ids) >= _FEWEST:
                return ids.ravel().astype(np.int64), corners.reshape(-1, 2).astype(np.float64)
            continue
        kind = cv2.CALIB_CB_SYMMETRIC_GRID
        if target.kind == 'asymmetric_circles':
            kind = cv2.CALIB_CB_ASYMMETRIC_GRID
        found, centres = cv2.findCirclesGrid(picture, size, flags=kind | cv2.CALIB_CB_CLUSTERING)
        if found:
            return numbers, centres.reshape(-1, 2).astype(np.float64)
    return None


def _right_handed(grid: Array) -> Array:
    """Return a grid of corners (rows, columns, 2) that is not mirrored."""
    right, down = grid[0, -1] - grid[0, 0], grid[-1, 0] - grid[0, 0]
    mirrored = right[0] * down[1] - right[1] * down[0] < 0
    return grid[:, ::-1] if mirrored else grid


def _refined(image: NDArray[Any], pixels: Array) -> Array:
    """Return corners at the saddle points of the full image."""
    nearest = cKDTree(pixels).query(pixels, k=2)[0][:, 1]
    half = int(np.clip(0.4 * np.percentile(nearest, 10), 2, 7))
    corners = pixels.astype(np.float32).reshape(-1, 1, 2)
    fine = cv2.cornerSubPix(image.astype(np.float32), corners, (half, half), (-1, -1), _SUBPIXEL)
    return fine.reshape(-1, 2).astype(np.float64)


def _checked(image: NDArray[Any], found: Detection, target: Target) -> Detection | None:
    """Return the detection numbered from the right end; None for one that reaches the border."""
    size = np.array(image.shape[1::-1])
    if not np.all((found.pixels >= 1) & (found.pixels <= size - 2)):
        return None
    if target.symmetric:
        row = found.pixels[target.columns - 1] - found.pixels[0]
        level = row[0] / np.linalg.norm(row)
        if abs(level) < _MOST_ROLL:
            return None
        return found if level > 0 else replace(found, pixels=found.pixels[::-1])
    if target.kind == 'chessboard' and _first_is_bright(image, found.pixels, target):
        return replace(found, pixels=found.pixels[::-1])
    return found


def _first_is_bright(image: NDArray[Any], pixels: Array, target: Target) -> bool:
    """Whether the square between the first corners belongs to the bright ones."""
    grid = pixels.reshape(target.rows, target.columns, 2)
    middles = (grid[:-1, :-1] + grid[1:, 1:] + grid[:-1, 1:] + grid[1:, :-1]) / 4
    column, row = np.rint(middles).astype(int).reshape(-1, 2).T
    values = image[row, column].astype(np.float64)
    first = np.add.outer(np.arange(target.rows - 1), np.arange(target.columns - 1)).ravel() % 2 == 0
    return bool(values[first].mean() > values[~first].mean())
