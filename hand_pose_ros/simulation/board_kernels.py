"""Compiled inner loop of simulated targets: a flat picture seen through a distorting lens."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]


@njit(cache=True, nogil=True)
def draw_board(
    rays: Array,
    slopes: Array,
    pose: Array,
    picture: NDArray[np.float32],
    origin: Array,
    pixels_per_metre: float,
    samples: int,
    value: NDArray[np.float32],
    share: NDArray[np.float32],
    depth: NDArray[np.float32],
) -> None:
    """Average a picture on a plane over every pixel's area.

    Args:
        rays: (H, W, 2) ideal coordinates at z = 1 of the pixels' centres.
        slopes: (H, W, 2, 2) their change by one column and by one row.
        pose: (4, 4) of the plane in the camera; its front is seen where its z points away.
        picture: (h, w) what is on the plane.
        origin: (2,) plane coordinates of the picture's upper left edge, metres.
        pixels_per_metre: of the picture.
        samples: a pixel is sampled at ``samples`` x ``samples`` places.
        value: (H, W), receives the sum of what the pixel sees of the picture, as a mean.
        share: (H, W), receives how much of the pixel the picture covers, 0..1.
        depth: (H, W), receives metres along the optical axis at the centre, 0 = beside it.
    """
    tall, wide = picture.shape
    a, b, n, t = pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3]
    distance = n[0] * t[0] + n[1] * t[1] + n[2] * t[2]
    if distance <= 0:
        return
    for row in range(rays.shape[0]):
        for column in range(rays.shape[1]):
            x, y = rays[row, column, 0], rays[row, column, 1]
            along = n[0] * x + n[1] * y + n[2]
            if not along > 1e-6:  # also leaves NaN out
                continue
            z = distance / along
            px, py, pz = z * x - t[0], z * y - t[1], z - t[2]
            u = (a[0] * px + a[1] * py + a[2] * pz - origin[0]) * pixels_per_metre
            v = (b[0] * px + b[1] * py + b[2] * pz - origin[1]) * pixels_per_metre
            inside = 0 <= u < wide and 0 <= v < tall
            # How far a pixel reaches on the picture decides whether an edge can be in it.
            reach = 2 * z * pixels_per_metre / max(along, 0.1)
            reach *= abs(slopes[row, column, 0, 0]) + abs(slopes[row, column, 1, 1])
            if u < -reach or v < -reach or u > wide + reach or v > tall + reach:
                continue
            total, hits = 0.0, 0
            for i in range(samples):
                dy = (i + 0.5) / samples - 0.5
                for j in range(samples):
                    dx = (j + 0.5) / samples - 0.5
                    sx = x + dx * slopes[row, column, 0, 0] + dy * slopes[row, column, 0, 1]
                    sy = y + dx * slopes[row, column, 1, 0] + dy * slopes[row, column, 1, 1]
                    z_s = distance / (n[0] * sx + n[1] * sy + n[2])
                    qx, qy, qz = z_s * sx - t[0], z_s * sy - t[1], z_s - t[2]
                    s_u = (a[0] * qx + a[1] * qy + a[2] * qz - origin[0]) * pixels_per_metre
                    s_v = (b[0] * qx + b[1] * qy + b[2] * qz - origin[1]) * pixels_per_metre
                    if 0 <= s_u < wide and 0 <= s_v < tall:
                        total += picture[int(s_v), int(s_u)]
                        hits += 1
            if hits:
                value[row, column] = total / hits
                share[row, column] = hits / (samples * samples)
            if inside:
                depth[row, column] = z


def pixel_rays(camera: Any) -> tuple[Array, Array]:
    """Return rays (H, W, 2) and slopes (H, W, 2, 2) of a camera's pixels, lens removed."""
    rows, columns = np.mgrid[-1 : camera.height + 1, -1 : camera.width + 1].astype(np.float64)
    pixels = np.column_stack([columns.ravel(), rows.ravel()])
    ideal = camera.undistort(pixels)
    # Beyond the fold of a lens polynomial there is no ray, and the solver returns some other one.
    ideal[np.abs(camera.distort(ideal) - pixels).max(axis=1) > 0.01] = np.nan
    grid = ideal.reshape(camera.height + 2, camera.width + 2, 2)
    slopes = np.stack(
        [(grid[1:-1, 2:] - grid[1:-1, :-2]) / 2, (grid[2:, 1:-1] - grid[:-2, 1:-1]) / 2], axis=-1
    )
    return np.ascontiguousarray(grid[1:-1, 1:-1]), slopes
