"""Regions: the rotated squares of an image in which one hand is looked at."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Figures of MediaPipe's hand landmark graph.
_PALM_SCALE, _PALM_SHIFT = 2.6, -0.5
_HAND_SCALE, _HAND_SHIFT = 2.0, -0.1
# Wrist, thumb's first two joints and the lower two joints of each finger: they move least.
_STABLE_JOINTS = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """A rotated square.

    Attributes:
        center: (2,) pixels of the image.
        size: side in pixels.
        angle: rad, clockwise in the image; the square's "up" is (sin angle, -cos angle), and a
            hand in it points its fingers up.
    """

    center: Array
    size: float
    angle: float

    @property
    def is_usable(self) -> bool:
        """Whether all numbers are finite and the square is not smaller than a pixel."""
        return bool(np.isfinite([*self.center, self.size, self.angle]).all() and self.size >= 1.0)

    def matrix(self, crop_size: int) -> Array:
        """Return the (2, 3) affine map from pixels of a crop of that size to image pixels."""
        scale = self.size / crop_size
        rotation = scale * _rotation(self.angle)
        offset = self.center - rotation @ np.full(2, crop_size / 2)
        return np.column_stack([rotation, offset])

    def to_image(self, points: Array, crop_size: int) -> Array:
        """Map crop points (N, 2) to image pixels (N, 2)."""
        matrix = self.matrix(crop_size)
        return points @ matrix[:, :2].T + matrix[:, 2]

    def to_crop(self, points: Array, crop_size: int) -> Array:
        """Map image pixels (N, 2) to crop points (N, 2); the inverse of ``to_image``."""
        rotation = _rotation(self.angle)
        return (points - self.center) @ rotation * (crop_size / self.size) + crop_size / 2

    def corners(self) -> Array:
        """Return the (4, 2) corners in image pixels, from the upper left one clockwise."""
        unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        return self.to_image(unit, 1)


def region_from_palm(box: Array, keypoints: Array) -> Region:
    """Return the hand's region for one palm detection.

    Args:
        box: (4,) x0, y0, x1, y1 in pixels.
        keypoints: (7, 2) pixels; 0 is the wrist, 2 the middle knuckle.
    """
    angle = heading(keypoints[2] - keypoints[0])
    width, height = box[2] - box[0], box[3] - box[1]
    middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    center = middle + _rotation(angle) @ np.array([0.0, _PALM_SHIFT * height])
    return Region(center=center, size=float(max(width, height) * _PALM_SCALE), angle=angle)


def region_from_landmarks(points: Array) -> Region:
    """Return the region in which to look for the hand next, from its points (21, 2) in pixels."""
    knuckles = (points[9] + (points[5] + points[13]) / 2) / 2
    angle = heading(knuckles - points[0])
    rotation = _rotation(angle)
    upright = points[list(_STABLE_JOINTS)] @ rotation
    low, high = upright.min(axis=0), upright.max(axis=0)
    extent = high - low
    middle = (low + high) / 2 + np.array([0.0, _HAND_SHIFT * extent[1]])
    return Region(
        center=rotation @ middle, size=float(max(extent.max(), 1.0) * _HAND_SCALE), angle=angle
    )


def iou(first: Region, second: Region) -> float:
    """Return the intersection over union of two regions, in 0..1."""
    reach = (first.size + second.size) / np.sqrt(2.0)
    if np.abs(first.center - second.center).max() >= reach:
        return 0.0
    polygon = first.to_crop(second.corners(), 1)
    for axis in (0, 1):
        polygon = _clipped(polygon, polygon[:, axis])
        polygon = _clipped(polygon, 1.0 - polygon[:, axis])
    x, y = polygon.T
    overlap = first.size**2 * abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    union = first.size**2 + second.size**2 - overlap
    return float(np.clip(overlap / union, 0.0, 1.0)) if union > 0 else 0.0


def distinct(regions: list[Region], limit: float) -> list[Region]:
    """Return the regions in order, without those that overlap an earlier one by IoU > limit."""
    kept: list[Region] = []
    for region in regions:
        if all(iou(region, other) <= limit for other in kept):
            kept.append(region)
    return kept


def heading(direction: Array) -> float:
    """Return the angle of a region whose "up" points along an image direction (2,)."""
    return float(np.arctan2(direction[0], -direction[1]))


def _clipped(polygon: Array, inside: Array) -> Array:
    """Return the part of a convex polygon (N, 2) where a linear function of it is not negative.

    OpenCV's own intersections of polygons err on nearly equal squares, down to an empty one.
    """
    kept = []
    for start, end, a, b in zip(
        polygon, np.roll(polygon, -1, axis=0), inside, np.roll(inside, -1), strict=True
    ):
        if a >= 0:
            kept.append(start)
        if (a >= 0) != (b >= 0):
            kept.append(start + a / (a - b) * (end - start))
    return np.array(kept).reshape(-1, 2)


def _rotation(angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine], [sine, cosine]])
