"""Palm search: the windows of an image in which the palm detector looks for hands."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.regions import Region

_TILE_FRACTION = 0.5
_TURNS = (np.pi / 2, -np.pi / 2, np.pi)


def whole_image(image: NDArray[Any]) -> Region:
    """Return the upright square that holds the whole image, centred (the letterbox)."""
    height, width = image.shape[:2]
    return Region(center=np.array([width, height]) / 2, size=float(max(width, height)), angle=0.0)


def tiles(image: NDArray[Any]) -> list[Region]:
    """Return half-size windows that overlap by half and cover the image, for small hands."""
    height, width = image.shape[:2]
    size = max(width, height) * _TILE_FRACTION
    return [
        Region(center=np.array([x, y]), size=size, angle=0.0)
        for y in _tile_centers(height, size)
        for x in _tile_centers(width, size)
    ]


def turned(image: NDArray[Any]) -> list[Region]:
    """Return the whole image turned by quarters, for hands the detector rarely saw so."""
    whole = whole_image(image)
    return [Region(center=whole.center, size=whole.size, angle=angle) for angle in _TURNS]


def _tile_centers(length: int, size: float) -> list[float]:
    if length <= size:
        return [length / 2]
    count = int(np.ceil((length - size) / (size / 2))) + 1
    return [float(value) for value in np.linspace(size / 2, length - size / 2, count)]
