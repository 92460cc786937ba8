"""What the four sensor models share: noise tables, shading and blending into the background."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.rasterizer import Fragments

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """The mesh as one camera sees it: what a sensor paints its vertices from.

    Attributes:
        points: (N, 3) vertices in the camera's optical frame, metres.
        normals: (N, 3) unit vertex normals in the camera's optical frame.
        facing: (N,) cosine between normal and direction to the camera, 0 when turned away.
    """

    points: Array
    normals: Array
    facing: Array


class Sensor(Protocol):
    """One sensor model: paints the vertices, then makes an image of the visible fragments."""

    def paint(self, view: View) -> Array:
        """Return the values (N, K) to interpolate over the mesh."""
        ...

    def image(self, fragments: Fragments, stamp: int) -> NDArray[Any]:
        """Return the native image."""
        ...


def stamp_number(stamp: int, salt: int) -> int:
    """Return a well mixed 63-bit number of a stamp: cheap per-image randomness."""
    mixed = (stamp * 0x9E3779B97F4A7C15 + salt * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    mixed ^= mixed >> 29
    mixed = (mixed * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return (mixed ^ (mixed >> 32)) >> 1


class NoiseTable:
    """Normal noise drawn once; every image takes its own window of it."""

    MARGIN = 64

    def __init__(
        self, shape: tuple[int, ...], sigma: float, dtype: type, seed: int
    ) -> None:
        """Draw noise for images of a shape (H, W) or (H, W, C) with a standard deviation."""
        generator = np.random.default_rng([seed, 23])
        larger = (shape[0] + self.MARGIN, shape[1] + self.MARGIN, *shape[2:])
        noise = generator.normal(0, sigma, larger).astype(np.float32)
        if np.issubdtype(dtype, np.integer):
            noise = np.rint(noise)
        self._table = noise.astype(dtype)
        self._shape = shape
        self._seed = seed

    def window(self, stamp: int) -> NDArray[Any]:
        """Return the noise of the image taken at a stamp."""
        number = stamp_number(stamp, self._seed)
        row = number % self.MARGIN
        column = (number // self.MARGIN) % self.MARGIN
        return self._table[row : row + self._shape[0], column : column + self._shape[1]]


def ambient_occlusion(fragments: Fragments, shape: tuple[int, int], radius: int) -> Array:
    """Return per fragment how open it is to the surroundings, 1 = fully, 0 = enclosed.

    Fragments lying deeper than the mean surface around them are in a fold or behind a nearer
    finger (unsharp mask of the depth buffer, Luft et al. 2006).

    Args:
        fragments: the visible surface.
        shape: (H, W) of the image.
        radius: half width of the neighbourhood in pixels.
    """
    if not len(fragments.rows):
        return np.zeros(0, np.float32)
    y0, x0 = max(int(fragments.rows.min()) - radius, 0), max(int(fragments.columns.min()) - radius, 0)
    y1 = min(int(fragments.rows.max()) + radius + 1, shape[0])
    x1 = min(int(fragments.columns.max()) + radius + 1, shape[1])
    rows, columns = fragments.rows - y0, fragments.columns - x0
    depth = np.zeros((y1 - y0, x1 - x0), np.float32)
    covered = np.zeros_like(depth)
    depth[rows, columns] = fragments.depth
    covered[rows, columns] = 1
    size = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(depth, size)[rows, columns] / cv2.blur(covered, size)[rows, columns]
    return 1 - np.clip((fragments.depth - mean - 0.001) / 0.012, 0, 1)


def soften(image: NDArray[Any], fragments: Fragments, sigma: float) -> None:
    """Blur an image in place around the fragments, as a lens blurs the outlines of the hands."""
    if not len(fragments.rows) or sigma <= 0:
        return
    margin = int(np.ceil(3 * sigma)) + 1
    y0 = max(int(fragments.rows.min()) - margin, 0)
    x0 = max(int(fragments.columns.min()) - margin, 0)
    y1, x1 = int(fragments.rows.max()) + margin + 1, int(fragments.columns.max()) + margin + 1
    window = image[y0:y1, x0:x1]
    image[y0:y1, x0:x1] = cv2.GaussianBlur(window, (0, 0), sigma)
