"""Rasterizer: the nearest surface at every pixel, with the lens's distortion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation import kernels

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Fragments:
    """The visible surface within its bounding box.

    Attributes:
        box: where the box lies in the image, as (rows, columns).
        depth: (h, w) metres along the optical axis, 0 where no surface is.
        attributes: (h, w, K) interpolated vertex attributes, 0 where no surface is.
    """

    box: tuple[slice, slice]
    depth: NDArray[np.float32]
    attributes: NDArray[np.float32]

    @property
    def empty(self) -> bool:
        """Whether nothing is visible."""
        return self.depth.size == 0

    def grown(self, margin: int) -> tuple[slice, slice]:
        """Return the box with a margin in pixels, cut at the image's first row and column."""
        rows, columns = self.box
        return (
            slice(max(rows.start - margin, 0), rows.stop + margin),
            slice(max(columns.start - margin, 0), columns.stop + margin),
        )


def rasterize(
    pixels: Array,
    depth: Array,
    faces: NDArray[np.integer],
    attributes: NDArray[np.floating],
    size: tuple[int, int],
) -> Fragments:
    """Find the nearest surface at every pixel centre.

    Triangles seen from behind and triangles with an unusable corner are left out. Inverse depth
    and attributes are linear in the image over one triangle, which is exact for depth without
    distortion; with it, the error is the lens's curvature across one small triangle.

    Args:
        pixels: (N, 2) projected vertices, lens distortion included; NaN = not usable.
        depth: (N,) metres along the optical axis.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        attributes: (N, K) values to interpolate.
        size: (width, height) of the image.
    """
    width, height = size
    buffer = np.zeros((height, width), np.float32)
    image = np.zeros((height, width, attributes.shape[1]), np.float32)
    with np.errstate(divide='ignore'):
        inverse = 1.0 / np.asarray(depth, dtype=np.float64)
    top, bottom, left, right = kernels.fill(
        np.ascontiguousarray(pixels, np.float64), inverse, np.ascontiguousarray(faces, np.int32),
        np.ascontiguousarray(attributes, np.float32), buffer, image,
    )  # fmt: skip
    box = (slice(int(top), int(max(top, bottom))), slice(int(left), int(max(left, right))))
    return Fragments(box=box, depth=buffer[box], attributes=image[box])
