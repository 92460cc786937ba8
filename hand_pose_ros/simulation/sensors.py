"""What the four sensor models share: noise tables, shading and blending into the background."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation import kernels
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

    def __init__(self, shape: tuple[int, ...], sigma: float, dtype: Any, seed: int) -> None:
        """Draw noise for images of a shape (H, W) or (H, W, C) with a standard deviation."""
        generator = np.random.default_rng([seed, 23])
        larger = (shape[0] + self.MARGIN, shape[1] + self.MARGIN, *shape[2:])
        noise = generator.normal(0, sigma, larger).astype(np.float32)
        if np.issubdtype(dtype, np.integer):
            noise = np.rint(noise)
        self._table: NDArray[Any] = noise.astype(dtype)
        self._shape = shape
        self._seed = seed

    def window(self, stamp: int) -> NDArray[Any]:
        """Return the noise of the image taken at a stamp."""
        number = stamp_number(stamp, self._seed)
        row = number % self.MARGIN
        column = (number // self.MARGIN) % self.MARGIN
        return self._table[row : row + self._shape[0], column : column + self._shape[1]]


def ambient_occlusion(fragments: Fragments, radius: int, step: int = 2) -> NDArray[np.float32]:
    """Return per pixel of the box how open it is to the surroundings, 1 = fully, 0 = enclosed.

    What lies deeper than the mean surface around it is in a fold or behind a nearer finger
    (unsharp mask of the depth buffer, Luft et al. 2006).

    Args:
        fragments: the visible surface.
        radius: half width of the neighbourhood in pixels.
        step: pixels between the samples of the mean.
    """
    coarse = np.ascontiguousarray(fragments.depth[::step, ::step])
    size = (2 * (radius // step) + 1,) * 2
    mean = cv2.blur(coarse, size, borderType=cv2.BORDER_CONSTANT)
    share = cv2.blur((coarse > 0).astype(np.float32), size, borderType=cv2.BORDER_CONSTANT)
    return kernels.openness(fragments.depth, mean, share, step, 0.012)


def soften(image: NDArray[Any], fragments: Fragments, sigma: float) -> None:
    """Blur an image in place around the fragments, as a lens blurs the outlines of the hands."""
    box = fragments.grown(int(np.ceil(3 * sigma)) + 1)
    image[box] = cv2.GaussianBlur(image[box], (0, 0), sigma)
