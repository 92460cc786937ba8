"""Compiled loops of the batched renderer on CPUs: nearest triangles, then what they look like."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

ZERO, ONE, TINY = np.float32(0), np.float32(1), np.float32(1e-12)


@njit(cache=True, nogil=True)
def nearest(
    pixels: Floats,
    inverse: Floats,
    faces: NDArray[np.int64],
    first: int,
    last: int,
    buffer: Floats,
    winner: NDArray[np.int32],
) -> None:
    """Enter front-facing triangles into a buffer of the nearest surface.

    Args:
        pixels: (V, 2) projected vertices, NaN = unusable.
        inverse: (V,) one over depth.
        faces: (F, 3) triangles, of which ``first`` up to before ``last`` are drawn.
        first, last: see above.
        buffer: (H, W) greatest inverse depth so far, 0 = none; updated.
        winner: (H, W) the face it belongs to; updated.
    """
    height, width = buffer.shape
    for face in range(first, last):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay = pixels[a, 0], pixels[a, 1]
        bx, by = pixels[b, 0], pixels[b, 1]
        cx, cy = pixels[c, 0], pixels[c, 1]
        ux, uy, vx, vy = bx - ax, by - ay, cx - ax, cy - ay
        area = ux * vy - vx * uy
        if not area < 0:  # also leaves NaN out
            continue
        low, high = min(ay, by, cy), max(ay, by, cy)
        if high < 0 or low > height - 1 or max(ax, bx, cx) < 0 or min(ax, bx, cx) > width - 1:
            continue
        top, bottom = max(int(np.ceil(low)), 0), min(int(np.floor(high)), height - 1)
        if top > bottom:
            continue
        ia = inverse[a]
        di, dj = inverse[b] - ia, inverse[c] - ia
        slope_x = (di * vy - dj * uy) / area
        slope_y = (dj * ux - di * vx) / area
        # x of each edge is base + slope * row; upward edges bound from the right.
        wx, wy = cx - bx, cy - by
        slope_ab = ux / uy if uy != 0 else np.float32(0)
        slope_bc = wx / wy if wy != 0 else np.float32(0)
        slope_ca = vx / vy if vy != 0 else np.float32(0)
        for row in range(top, bottom + 1):
            left, right = np.float32(0), np.float32(width - 1)
            dy = row - ay
            if uy > 0:
                left = max(left, ax + slope_ab * dy)
            elif uy < 0:
                right = min(right, ax + slope_ab * dy)
            if wy > 0:
                left = max(left, bx + slope_bc * (row - by))
            elif wy < 0:
                right = min(right, bx + slope_bc * (row - by))
            if vy < 0:
                left = max(left, ax + slope_ca * dy)
            elif vy > 0:
                right = min(right, ax + slope_ca * dy)
            start, end = int(np.ceil(left)), int(np.floor(right))
            along = ia + slope_y * dy - slope_x * ax
            for column in range(start, end + 1):
                value = along + slope_x * column
                if value > buffer[row, column]:
                    buffer[row, column] = value
                    winner[row, column] = face


@njit(cache=True, nogil=True, inline='always')
def _set_normal(
    normal: Floats, facing: Floats, y: int, x: int, n: Any, rx: float, ry: float, size: float
) -> None:
    """Write a normal of any length and its cosine to the ray (x, y, 1) of length ``size``."""
    scale = ONE / (np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]) + TINY)
    normal[y, x, 0], normal[y, x, 1], normal[y, x, 2] = n[0] * scale, n[1] * scale, n[2] * scale
    facing[y, x] = max(-(n[0] * rx + n[1] * ry + n[2]) * scale / size, ZERO)


@njit(cache=True, nogil=True)
def backdrop(
    rays: Floats,
    planes: Floats,
    flats: Floats,
    flat_item: int,
    buffer: Floats,
    depth: Floats,
    classes: Bytes,
    normal: Floats,
    facing: Floats,
    attributes: Floats,
) -> None:
    """Write the room wherever it is nearer than the triangles, whose ``buffer`` is zeroed there.

    Args:
        rays: (H, W, 2).
        planes: (7, 16) see ``batch_background``.
        flats: (F, 5) see ``batch_plan.Room``.
        flat_item: item number of the first flat.
        buffer: (H, W) see ``nearest``; updated.
        depth: (H, W), receives metres.
        classes: (3, H, W), receives surface, material and item.
        normal, facing, attributes: (H, W, 3), (H, W) and (H, W, A), receive theirs.
    """
    height, width = buffer.shape
    u_at, v_at = attributes.shape[2] - 2, attributes.shape[2] - 1
    bests, walls = np.empty(width, np.float32), np.empty(width, np.int32)
    for y in range(height):
        bests[:] = 0
        walls[:] = 0
        for k in range(1, 7):
            px, py, pz = planes[k, 0], planes[k, 1], planes[k, 2]
            for x in range(width):
                value = px * rays[y, x, 0] + py * rays[y, x, 1] + pz
                walls[x] = k if value > bests[x] else walls[x]
                bests[x] = value if value > bests[x] else bests[x]
        for x in range(width):
            rx, ry = rays[y, x, 0], rays[y, x, 1]
            best, plane = bests[x], walls[x]
            value = planes[0, 0] * rx + planes[0, 1] * ry + planes[0, 2]
            on_table, flat, u, v = False, -1, ZERO, ZERO
            if value > best:
                far = ONE / value
                u = planes[0, 6] * rx + planes[0, 7] * ry + planes[0, 8]
                v = planes[0, 10] * rx + planes[0, 11] * ry + planes[0, 12]
                u, v = u * far + planes[0, 9], v * far + planes[0, 13]
                on_table = abs(u) <= planes[0, 14] and abs(v) <= planes[0, 15]
                if on_table:
                    best, plane = value, 0
            if buffer[y, x] > best:
                continue
            buffer[y, x] = 0
            for k in range(u_at):
                attributes[y, x, k] = 0
            classes[0, y, x] = 0
            classes[2, y, x] = 0
            if best == 0:  # no surface at all
                depth[y, x] = 0
                classes[1, y, x] = 0
                attributes[y, x, u_at] = attributes[y, x, v_at] = 0
                normal[y, x, 0] = normal[y, x, 1] = facing[y, x] = 0
                normal[y, x, 2] = -1
                continue
            far = ONE / best
            depth[y, x] = far
            size = np.sqrt(rx * rx + ry * ry + ONE)
            n = (planes[plane, 3], planes[plane, 4], planes[plane, 5])
            _set_normal(normal, facing, y, x, n, rx, ry, size)
            if not on_table:
                classes[1, y, x] = 5 if plane == 1 else 4
                u = planes[plane, 6] * rx + planes[plane, 7] * ry + planes[plane, 8]
                v = planes[plane, 10] * rx + planes[plane, 11] * ry + planes[plane, 12]
                attributes[y, x, u_at] = u * far + planes[plane, 9]
                attributes[y, x, v_at] = v * far + planes[plane, 13]
                continue
            for k in range(flats.shape[0]):
                across, along, half = u - flats[k, 0], v - flats[k, 1], flats[k, 2]
                if abs(across) < half and abs(along) < flats[k, 3]:
                    square = across * across + along * along
                    if flats[k, 4] == 0 or square < half * half:
                        flat = k
            if flat >= 0:
                classes[1, y, x] = 6
                classes[2, y, x] = flat_item + flat
                attributes[y, x, u_at] = u - flats[flat, 0]
                attributes[y, x, v_at] = v - flats[flat, 1]
            else:
                classes[1, y, x] = 3
                attributes[y, x, u_at] = u + planes[0, 14]
                attributes[y, x, v_at] = v + planes[0, 15]


@njit(cache=True, nogil=True, inline='always')
def _depth_of(points: Floats, a: int, b: int, c: int, rx: float, ry: float) -> Any:
    """Return the depth at which the ray (x, y, 1) meets a triangle, within its corners' depths."""
    ux, uy, uz = (
        points[b, 0] - points[a, 0],
        points[b, 1] - points[a, 1],
        points[b, 2] - points[a, 2],
    )
    vx, vy, vz = (
        points[c, 0] - points[a, 0],
        points[c, 1] - points[a, 1],
        points[c, 2] - points[a, 2],
    )
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    ahead = nx * points[a, 0] + ny * points[a, 1] + nz * points[a, 2]
    along = nx * rx + ny * ry + nz
    low = min(points[a, 2], points[b, 2], points[c, 2])
    high = max(points[a, 2], points[b, 2], points[c, 2])
    if along >= 0:  # beside the triangle, whose bent edges are drawn straight
        return high
    return min(max(ahead / along, low), high)


@njit(cache=True, nogil=True)
def paint(
    rays: Floats,
    buffer: Floats,
    winner: NDArray[np.int32],
    pixels: Floats,
    inverse: Floats,
    normals: Floats,
    looks: Floats,
    faces: NDArray[np.int64],
    codes: Bytes,
    points: Floats,
    depth: Floats,
    classes: Bytes,
    normal: Floats,
    facing: Floats,
    attributes: Floats,
) -> None:
    """Write the channels of one image where triangles are nearest.

    Args:
        rays: (H, W, 2).
        buffer, winner: see ``nearest``, all triangles entered, the background's pixels zeroed.
        pixels, inverse: as drawn.
        normals: (V, 3) unit normals in the camera's frame.
        looks: (V, A) attributes.
        faces: (F, 3).
        codes: (F, 3) surface, material and item of the faces; material 0 = skin or sleeve as the
            sleeve attribute says.
        points: (V, 3) in the camera's frame through a lens, where depth is not linear in the
            image; else (0, 3).
        depth, classes, normal, facing, attributes: see ``backdrop``.
    """
    height, width = buffer.shape
    for y in range(height):
        for x in range(width):
            if buffer[y, x] == 0:
                continue
            face = winner[y, x]
            a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
            sx, sy = np.float32(x), np.float32(y)
            ax, ay = pixels[a, 0] - sx, pixels[a, 1] - sy
            bx, by = pixels[b, 0] - sx, pixels[b, 1] - sy
            cx, cy = pixels[c, 0] - sx, pixels[c, 1] - sy
            wa = (bx * cy - cx * by) * inverse[a]
            wb = (cx * ay - ax * cy) * inverse[b]
            wc = (ax * by - bx * ay) * inverse[c]
            scale = ONE / (wa + wb + wc)
            wa, wb, wc = wa * scale, wb * scale, wc * scale
            depth[y, x] = ONE / buffer[y, x]
            if len(points):
                depth[y, x] = _depth_of(points, a, b, c, rays[y, x, 0], rays[y, x, 1])
            for k in range(looks.shape[1]):
                attributes[y, x, k] = wa * looks[a, k] + wb * looks[b, k] + wc * looks[c, k]
            n = (
                wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0],
                wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1],
                wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2],
            )
            rx, ry = rays[y, x, 0], rays[y, x, 1]
            size = np.sqrt(rx * rx + ry * ry + ONE)
            _set_normal(normal, facing, y, x, n, rx, ry, size)
            classes[0, y, x] = codes[face, 0]
            material = codes[face, 1]
            if material == 0:
                material = 2 if attributes[y, x, 4] > 0.5 else 1
            classes[1, y, x] = material
            classes[2, y, x] = codes[face, 2]


@njit(cache=True, nogil=True)
def mark(buffer: Floats, winner: NDArray[np.int32], codes: Bytes, mask: Bytes) -> None:
    """Write which hand (1 left, 2 right, 0 none) is nearest into ``mask`` (H, W)."""
    for y in range(buffer.shape[0]):
        for x in range(buffer.shape[1]):
            mask[y, x] = codes[winner[y, x], 0] if buffer[y, x] > 0 else 0
