"""Compiled inner loops of the renderer: they run without the GIL, so cameras render in parallel."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@njit(cache=True, nogil=True)
def fill(
    pixels: NDArray[np.float64],
    inverse: NDArray[np.float64],
    faces: NDArray[np.int32],
    attributes: Floats,
    buffer: Floats,
    image: Floats,
) -> Any:
    """Draw front-facing triangles into a z-buffer of inverse depth and an attribute image.

    Args:
        pixels: (N, 2) projected vertices, NaN = unusable.
        inverse: (N,) one over the distance along the optical axis.
        faces: (F, 3) triangles; front faces have negative area in image axes.
        attributes: (N, K) values to interpolate.
        buffer: (H, W) zeros, receives inverse depth.
        image: (H, W, K), receives the attributes where ``buffer`` was written.

    Returns:
        (4,) first row, row after the last, first column, column after the last that was drawn.
    """
    height, width = buffer.shape
    count = attributes.shape[1]
    box = np.array([height, 0, width, 0])
    slope_x = np.empty(count)
    slope_y = np.empty(count)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay = pixels[a, 0], pixels[a, 1]
        bx, by = pixels[b, 0], pixels[b, 1]
        cx, cy = pixels[c, 0], pixels[c, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if not area < 0:  # also leaves NaN out
            continue
        top = max(int(np.ceil(min(ay, by, cy))), 0)
        bottom = min(int(np.floor(max(ay, by, cy))), height - 1)
        if top > bottom or max(ax, bx, cx) < 0 or min(ax, bx, cx) > width - 1:
            continue
        scale = 1 / area
        ux, uy, vx, vy = bx - ax, by - ay, cx - ax, cy - ay
        di, dj = inverse[b] - inverse[a], inverse[c] - inverse[a]
        inverse_x = (di * vy - dj * uy) * scale
        inverse_y = (dj * ux - di * vx) * scale
        for k in range(count):
            dk, dl = attributes[b, k] - attributes[a, k], attributes[c, k] - attributes[a, k]
            slope_x[k] = (dk * vy - dl * uy) * scale
            slope_y[k] = (dl * ux - dk * vx) * scale
        for row in range(top, bottom + 1):
            left, right = 0.0, width - 1.0
            for edge in range(3):
                if edge == 0:
                    sx, sy, ex, ey = ax, ay, bx, by
                elif edge == 1:
                    sx, sy, ex, ey = bx, by, cx, cy
                else:
                    sx, sy, ex, ey = cx, cy, ax, ay
                # Front faces run down their left edges and up their right ones.
                if ey > sy:
                    left = max(left, sx + (ex - sx) * (row - sy) / (ey - sy))
                elif ey < sy:
                    right = min(right, sx + (ex - sx) * (row - sy) / (ey - sy))
            first, last = int(np.ceil(left - 1e-9)), int(np.floor(right + 1e-9))
            if first > last:
                continue
            box[0], box[1] = min(box[0], row), max(box[1], row + 1)
            box[2], box[3] = min(box[2], first), max(box[3], last + 1)
            along = inverse[a] + inverse_y * (row - ay)
            for column in range(first, last + 1):
                value = along + inverse_x * (column - ax)
                if value > buffer[row, column]:
                    buffer[row, column] = value
                    for k in range(count):
                        image[row, column, k] = (
                            attributes[a, k] + slope_x[k] * (column - ax) + slope_y[k] * (row - ay)
                        )
    return box


@njit(cache=True, nogil=True)
def vertex_normals(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Any:
    """Return unit vertex normals (N, 3): area-weighted means of the faces around."""
    normals = np.zeros_like(vertices)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, uz = vertices[b] - vertices[a]
        vx, vy, vz = vertices[c] - vertices[a]
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += x
            normals[corner, 1] += y
            normals[corner, 2] += z
    for vertex in range(len(normals)):
        x, y, z = normals[vertex]
        length = np.sqrt(x * x + y * y + z * z) + 1e-12
        normals[vertex] /= length
    return normals


@njit(cache=True, nogil=True)
def openness(depth: Floats, mean: Floats, share: Floats, step: int, reach: float) -> Any:
    """Return how open every covered pixel lies, 1 = fully, 0 = enclosed by nearer surface.

    Args:
        depth: (H, W) metres, 0 = not covered.
        mean: (h, w) mean of the depth around, uncovered counting 0, on every ``step``-th pixel.
        share: (h, w) covered share of the same neighbourhood.
        step: pixels between the samples of ``mean``.
        reach: metres below the mean surface at which a point counts as enclosed.
    """
    result = np.ones_like(depth)
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            value = depth[row, column]
            if value == 0:
                continue
            y, x = min(row // step, mean.shape[0] - 1), min(column // step, mean.shape[1] - 1)
            if share[y, x] > 0:
                below = (value - mean[y, x] / share[y, x] - 0.001) / reach
                result[row, column] = 1 - min(max(below, 0.0), 1.0)
    return result


@njit(cache=True, nogil=True)
def paint_levels(
    image: NDArray[np.uint8], colour: Floats, light: Floats, depth: Floats, floor: float
) -> None:
    """Write ``colour * light + floor``, saturated to 0..255, into an image where depth is set."""
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            if depth[row, column] > 0:
                factor = light[row, column]
                for k in range(colour.shape[2]):
                    level = colour[row, column, k] * factor + floor
                    image[row, column, k] = np.uint8(min(max(level, 0.0), 255.0))


@njit(cache=True, nogil=True)
def spoil_depth(
    metres: Floats,
    depth: Floats,
    facing: Floats,
    near: Floats,
    far: Floats,
    noise: Floats,
    chance: Floats,
    settings: NDArray[np.float64],
) -> None:
    """Write measured depth over the scene: noise, holes at edges, mixed pixels, grazing losses.

    Args:
        metres: (H, W) measured scene, receives the result.
        depth: (H, W) true depth of the hands, 0 = none.
        facing: (H, W) cosine between the surface's normal and the ray.
        near, far: (H, W) least and greatest true depth around each pixel.
        noise: (H, W) standard normal noise.
        chance: (H, W) uniform noise in 0..1.
        settings: noise at 1 m, step of an edge, share of holes, share of mixed pixels, least
            cosine.
    """
    sigma, step, holes, mixed, grazing = settings
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            value = depth[row, column]
            if value > 0:
                seen = value * (1 + sigma * value * noise[row, column])
                metres[row, column] = seen if facing[row, column] > grazing else 0.0
            low, high = near[row, column], far[row, column]
            if high - low > step:
                luck = chance[row, column]
                if luck < holes:
                    metres[row, column] = 0.0
                elif luck < holes + mixed:
                    metres[row, column] = low + (luck - holes) / mixed * (high - low)
