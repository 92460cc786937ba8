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
    """Draw front-facing triangles into a depth image and an attribute image.

    Args:
        pixels: (N, 2) projected vertices, NaN = unusable.
        inverse: (N,) one over the distance along the optical axis.
        faces: (F, 3) triangles; front faces have negative area in image axes.
        attributes: (N, K) values to interpolate.
        buffer: (H, W) zeros, receives depth.
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
    for row in range(box[0], box[1]):
        for column in range(box[2], box[3]):
            if buffer[row, column] > 0:
                buffer[row, column] = 1 / buffer[row, column]
    return box


@njit(cache=True, nogil=True)
def skin(
    rotations: NDArray[np.float64],
    offsets: NDArray[np.float64],
    rest: NDArray[np.float64],
    joints: NDArray[np.int32],
    weights: NDArray[np.float64],
) -> Any:
    """Skin rest vertices (V, 3) with joint transforms (16, 3, 3) and (16, 3).

    ``joints`` and ``weights`` (V, k) name the joints that move each vertex.
    """
    posed = np.zeros_like(rest)
    for vertex in range(len(rest)):
        x, y, z = rest[vertex]
        for k in range(joints.shape[1]):
            weight = weights[vertex, k]
            if weight == 0:
                continue
            joint = joints[vertex, k]
            for axis in range(3):
                posed[vertex, axis] += weight * (
                    rotations[joint, axis, 0] * x
                    + rotations[joint, axis, 1] * y
                    + rotations[joint, axis, 2] * z
                    + offsets[joint, axis]
                )
    return posed


@njit(cache=True, nogil=True)
def sweep_arm(
    rim: NDArray[np.float64],
    hand: NDArray[np.float64],
    forearm: NDArray[np.float64],
    rings: NDArray[np.float64],
    side: float,
) -> Any:
    """Sweep the outline of a wrist towards the elbow.

    Args:
        rim: (C, 3) the open edge of the posed hand.
        hand, forearm: (3, 3) rotations from rest axes.
        rings: (R, 4) distance from the rim, growth of thickness, of width, and the share of the
            hand's turn about the forearm that is left.
        side: 1 for a right arm, whose fingers point to -x at rest, -1 for a left one.

    Returns:
        (R * C + 1, 3) the rings, then the point that closes the end.
    """
    count = len(rim)
    points = np.empty((len(rings) * count + 1, 3))
    centre = np.zeros(3)
    for vertex in range(count):
        centre += rim[vertex] / count
    axis = forearm[:, 0] * side
    y_rest = forearm[:, 1].copy()
    z_rest = np.cross(axis, y_rest)
    y_hand = hand[:, 1].copy()
    turn = np.arctan2((z_rest * y_hand).sum(), (y_rest * y_hand).sum())
    for ring in range(len(rings)):
        distance, thicker, wider, left = rings[ring]
        y = np.cos(left * turn) * y_rest + np.sin(left * turn) * z_rest
        z = np.cross(axis, y)
        slant = max(1 - distance / 0.03, 0.0)
        for vertex in range(count):
            offset = rim[vertex] - centre
            local_x = (offset * hand[:, 0]).sum() * side
            local_y = (offset * hand[:, 1]).sum()
            local_z = (offset * hand[:, 2]).sum() * side
            points[ring * count + vertex] = (
                centre
                + (distance + slant * local_x) * axis
                + (thicker * local_y) * y
                + (wider * local_z) * z
            )
    points[-1] = centre + (rings[-1, 0] + 0.01) * axis
    return points


@njit(cache=True, nogil=True)
def view(
    vertices: NDArray[np.float64],
    normals: NDArray[np.float64],
    T_cam_rig: NDArray[np.float64],
    intrinsics: NDArray[np.float64],
    distortion: NDArray[np.float64],
    reach: float,
) -> Any:
    """Carry a mesh into a camera and project it.

    Args:
        vertices, normals: (N, 3) in the rig frame.
        T_cam_rig: (4, 4).
        intrinsics: (3, 3).
        distortion: k1, k2, p1, p2, k3, k4, k5, k6 of the rational model.
        reach: greatest distance from the axis at z = 1 that may be projected.

    Returns:
        points and normals (N, 3) in the camera's frame, facing (N,) and pixels (N, 2), NaN where
        a point is too near the camera plane or beyond ``reach``.
    """
    count = len(vertices)
    points, turned = np.empty((count, 3)), np.empty((count, 3))
    facing, pixels = np.empty(count), np.empty((count, 2))
    k1, k2, p1, p2, k3, k4, k5, k6 = distortion
    for vertex in range(count):
        vx, vy, vz = vertices[vertex]
        nx, ny, nz = normals[vertex]
        dot, length = 0.0, 1e-18
        for axis in range(3):
            a, b, c, d = T_cam_rig[axis]
            point = a * vx + b * vy + c * vz + d
            normal = a * nx + b * ny + c * nz
            points[vertex, axis] = point
            turned[vertex, axis] = normal
            dot -= point * normal
            length += point * point
        facing[vertex] = max(dot / np.sqrt(length), 0.0)
        depth = points[vertex, 2]
        pixels[vertex] = np.nan
        if depth > 0.05:
            x, y = points[vertex, 0] / depth, points[vertex, 1] / depth
            square = x * x + y * y
            if square < reach * reach:
                radial = 1 + square * (k1 + square * (k2 + square * k3))
                radial /= 1 + square * (k4 + square * (k5 + square * k6))
                dx = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
                dy = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
                pixels[vertex, 0] = intrinsics[0, 0] * dx + intrinsics[0, 1] * dy + intrinsics[0, 2]
                pixels[vertex, 1] = intrinsics[1, 1] * dy + intrinsics[1, 2]
    return points, turned, facing, pixels


@njit(cache=True, nogil=True)
def vertex_normals(vertices: NDArray[np.float64], faces: NDArray[np.int32]) -> Any:
    """Return unit vertex normals (N, 3): area-weighted means of the faces around."""
    normals = np.zeros_like(vertices)
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        vx, vy, vz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            normals[corner, 0] += x
            normals[corner, 1] += y
            normals[corner, 2] += z
    for vertex in range(len(normals)):
        x, y, z = normals[vertex, 0], normals[vertex, 1], normals[vertex, 2]
        scale = 1 / (np.sqrt(x * x + y * y + z * z) + 1e-12)
        for axis in range(3):
            normals[vertex, axis] *= scale
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
            y, x = row // step, column // step
            if share[y, x] > 0:
                below = (value - mean[y, x] / share[y, x] - 0.001) / reach
                result[row, column] = 1 - min(max(below, 0.0), 1.0)
    return result


@njit(cache=True, nogil=True)
def paint_levels(
    image: NDArray[np.uint8],
    colour: Floats,
    depth: Floats,
    light: Floats,
    lamp: float,
    floor: float,
) -> None:
    """Write grey or colour levels of a lit surface into an image, saturated to 0..255.

    Args:
        image: (H, W, C), receives the levels where ``depth`` is set.
        colour: (H, W, C) levels in full light.
        depth: (H, W) metres, 0 = no surface.
        light: (H, W) openness to the light in 0..1; the most enclosed places keep 45 %.
        lamp: 0 for light from far away, else the strength at 1 m of a lamp beside the camera.
        floor: level of black.
    """
    for row in range(depth.shape[0]):
        for column in range(depth.shape[1]):
            metres = depth[row, column]
            if metres > 0:
                factor = 0.45 + 0.55 * light[row, column]
                if lamp > 0:
                    factor *= lamp / (metres * metres)
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
        settings: noise at 1 m, step of an edge (beyond 0.6 m it grows with the square of
            distance, as the slope of a table does), share of holes, share of mixed pixels, least
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
            if high - low > step * max(1.0, 3.0 * low * low):
                luck = chance[row, column]
                if luck < holes:
                    metres[row, column] = 0.0
                elif luck < holes + mixed:
                    metres[row, column] = low + (luck - holes) / mixed * (high - low)
