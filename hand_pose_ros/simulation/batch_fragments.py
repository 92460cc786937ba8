"""Fragments: the rasterizer in plain torch, for any device.

Every triangle is laid out as the pixels of its bounding box; those inside compete for their pixel
by a 64-bit key of inverse depth and face, of which ``scatter_reduce`` keeps the largest. Then one
pass over the pixels says what each of them sees.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from hand_pose_ros.simulation.batch_fused import fused
from hand_pose_ros.simulation.gbuffer import ATTRIBUTES

# Pixels of bounding boxes laid out at once; bounds the memory to about 150 bytes each.
_BUDGET = 8_000_000


def nearest(
    pixels: Tensor, inverse: Tensor, faces: Tensor, size: tuple[int, int], start: Tensor | None
) -> Tensor:
    """Enter front-facing triangles into buffers of the nearest surface.

    Args:
        pixels: (N, V, 2) projected vertices, NaN = unusable.
        inverse: (N, V) one over depth.
        faces: (N, F, 4) three vertices, then the number that stands for the face.
        size: (height, width).
        start: (N, H * W) keys of what was drawn before, or None.

    Returns:
        (N, H * W) int64 keys: the bits of the greatest inverse depth, then the face; 0 = none.
    """
    count = len(pixels)
    height, width = size
    keys = pixels.new_zeros((count, height * width), dtype=torch.int64)
    keys = keys if start is None else start.clone()
    drawn, low, extent, triangles = _laid_out(pixels, inverse, faces, height, width)
    which, face = drawn.nonzero(as_tuple=True)
    triangles, low, extent = triangles[which, face], low[which, face], extent[which, face]
    names = faces[which, face, 3]
    counts = extent[:, 0] * extent[:, 1]
    ends = counts.cumsum(0)
    first = done = 0
    while first < len(counts):
        last = int(torch.searchsorted(ends, done + _BUDGET, right=True))
        part = slice(first, max(last, first + 1))
        total = int(ends[part.stop - 1]) - done
        row = torch.repeat_interleave(counts[part], output_size=total)
        spots, entered = _fragments(
            row, triangles[part], low[part], extent[part, 0], ends[part] - counts[part] - done,
            which[part], names[part], width, height * width,
        )  # fmt: skip
        keys.view(-1).scatter_reduce_(0, spots, entered, 'amax')
        first, done = part.stop, done + total
    return keys


@fused
def _laid_out(
    pixels: Tensor, inverse: Tensor, faces: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return which triangles are drawn, their first pixel, columns and rows, and what they are.

    That is, (N, F) bool, (N, F, 2), (N, F, 2) and (N, F, 10): corners, inverse depths, area.
    """
    image = torch.arange(len(pixels), device=pixels.device)[:, None]
    a, b, c = faces[..., 0], faces[..., 1], faces[..., 2]
    ax, ay = pixels[image, a, 0], pixels[image, a, 1]
    bx, by = pixels[image, b, 0], pixels[image, b, 1]
    cx, cy = pixels[image, c, 0], pixels[image, c, 1]
    area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
    left = torch.minimum(torch.minimum(ax, bx), cx).clamp(min=0).ceil()
    top = torch.minimum(torch.minimum(ay, by), cy).clamp(min=0).ceil()
    right = torch.maximum(torch.maximum(ax, bx), cx).clamp(max=width - 1).floor()
    bottom = torch.maximum(torch.maximum(ay, by), cy).clamp(max=height - 1).floor()
    drawn = (area < 0) & (right >= left) & (bottom >= top)  # also leaves NaN out
    low = torch.stack([left, top], -1)
    extent = torch.stack([right - left, bottom - top], -1)
    safe = drawn[..., None]
    low = torch.where(safe, low, 0).int()
    extent = torch.where(safe, extent, 0).int() + 1
    depths = inverse[image, a], inverse[image, b], inverse[image, c]
    return drawn, low, extent, torch.stack([ax, ay, bx, by, cx, cy, *depths, area], -1)


@fused
def _fragments(
    row: Tensor, triangles: Tensor, low: Tensor, columns: Tensor, starts: Tensor, image: Tensor,
    names: Tensor, width: int, cells: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return the place of every pixel of the triangles' boxes and its key, 0 outside of them.

    Args:
        row: (P,) number of the triangle that each pixel belongs to.
        triangles: (F, 10) see ``_laid_out``.
        low: (F, 2) first pixel of their boxes.
        columns: (F,) of their boxes.
        starts: (F,) where their pixels begin.
        image, names: (F,).
        width, cells: of an image.
    """
    place = (torch.arange(len(row), device=row.device) - starts[row]).int()
    across = columns[row]
    x, y = low[row, 0] + place % across, low[row, 1] + place // across
    ax, ay, bx, by, cx, cy, ia, ib, ic, area = (triangles[row, k] for k in range(10))
    ax, ay, bx, by, cx, cy = ax - x, ay - y, bx - x, by - y, cx - x, cy - y
    wa, wb, wc = bx * cy - cx * by, cx * ay - ax * cy, ax * by - bx * ay
    value = (wa * ia + wb * ib + wc * ic) / area
    inside = (wa <= 0) & (wb <= 0) & (wc <= 0) & (value > 0)
    # The bits of positive floats are in the order of their values.
    key = (value.view(torch.int32).long() << 32) | names[row]
    return image[row] * cells + y * width + x, torch.where(inside, key, 0)


@fused
def marked(keys: Tensor, codes: Tensor) -> Tensor:
    """Return the surface (N, P) uint8 of the faces that keys (N, P) name, 0 where there is none.

    Args:
        keys: see ``nearest``.
        codes: (N, F, 3) uint8 of the faces, surface first.
    """
    image = torch.arange(len(keys), device=keys.device)[:, None]
    return torch.where(keys > 0, codes[image, _face_of(keys), 0], 0)


def _value_of(keys: Tensor) -> Tensor:
    """Return the inverse depth of keys, 0 where there is none."""
    return (keys >> 32).int().view(torch.float32)


def _face_of(keys: Tensor) -> Tensor:
    """Return the face of keys, 0 where there is none."""
    return keys & 0xFFFFFFFF


@fused
def shade(
    keys: Tensor, pixels: Tensor, inverse: Tensor, values: Tensor, faces: Tensor, codes: Tensor,
    rays: Tensor, planes: Tensor, flats: Tensor, flat_items: Tensor,
) -> dict[str, Tensor]:  # fmt: skip
    """Say what every pixel sees: the nearest triangle, or the room where that is nearer.

    The room is found as by the compiled ``batch_kernels.backdrop``, values of triangles are
    interpolated true to perspective as by ``batch_kernels.paint``.

    Args:
        keys: (N, H, W) see ``nearest``.
        pixels, inverse: (N, V, 2) and (N, V) as drawn.
        values: (N, V, A + 3) attributes and normals in the camera's frame.
        faces, codes: (N, F, 3).
        rays: (N, H, W, 2) or (1, H, W, 2).
        planes: (N, 7, 16) see ``batch_background``.
        flats: (N, S, 5) see ``batch_plan.Room``.
        flat_items: (N,) item number of the first flat.

    Returns:
        ``near`` (N, H, W) bool where a triangle is seen, ``face`` (N, H, W) int64, and the
        channels of a G-buffer but ``hand_mask``; ``normal`` and ``attributes`` as lists of
        planes (N, H, W) named by their number.
    """
    image = torch.arange(len(keys), device=keys.device)[:, None, None]
    rx, ry = rays[..., 0], rays[..., 1]
    room = _room(rx, ry, planes, flats, flat_items)
    near = _value_of(keys) > room['inverse']
    face = torch.where(near, _face_of(keys), 0)
    corner = [faces[image, face, k] for k in range(3)]
    column = torch.arange(keys.shape[2], device=keys.device)
    line = torch.arange(keys.shape[1], device=keys.device)[:, None]
    ax, bx, cx = (pixels[image, one, 0] - column for one in corner)
    ay, by, cy = (pixels[image, one, 1] - line for one in corner)
    wa = (bx * cy - cx * by) * inverse[image, corner[0]]
    wb = (cx * ay - ax * cy) * inverse[image, corner[1]]
    wc = (ax * by - bx * ay) * inverse[image, corner[2]]
    total = wa + wb + wc
    scale = 1 / torch.where(near, total, 1.0)
    wa, wb, wc = wa * scale, wb * scale, wc * scale

    def seen(k: int, else_: Tensor | float) -> Tensor:
        a, b, c = (values[image, one, k] for one in corner)
        return torch.where(near, wa * a + wb * b + wc * c, else_)

    count = values.shape[2] - 3
    normal = [seen(count + k, room[f'normal{k}']) for k in range(3)]
    size = (normal[0].square() + normal[1].square() + normal[2].square()).sqrt()
    shrink = 1 / size.clamp(min=1e-12)
    normal = [part * shrink for part in normal]
    best = torch.where(near, _value_of(keys), room['inverse'])
    facing = -(normal[0] * rx + normal[1] * ry + normal[2]) / (rx * rx + ry * ry + 1).sqrt()
    attributes = [seen(k, 0.0) for k in range(count - 2)]
    attributes += [seen(count - 2, room['u']), seen(count - 1, room['v'])]
    material = codes[image, face, 1]
    skin = torch.where(attributes[ATTRIBUTES.index('sleeve')] > 0.5, 2, 1)
    material = torch.where(material == 0, skin, material)
    planes_of = {f'normal{k}': part for k, part in enumerate(normal)}
    planes_of |= {f'attribute{k}': part for k, part in enumerate(attributes)}
    return {
        **planes_of,
        'near': near,
        'face': face,
        'depth': torch.where(best > 0, 1 / torch.where(best > 0, best, 1.0), 0.0),
        'facing': torch.where(best > 0, facing.clamp(min=0), 0.0),
        'surface': torch.where(near, codes[image, face, 0], 0).byte(),
        'material': torch.where(near, material, room['material']).byte(),
        'item': torch.where(near, codes[image, face, 2], room['item']).byte(),
    }


def _room(
    rx: Tensor, ry: Tensor, planes: Tensor, flats: Tensor, flat_items: Tensor
) -> dict[str, Tensor]:
    """Cast rays (N or 1, H, W) onto rooms; see ``shade``.

    Returns:
        (N, H, W) each: ``inverse`` one over depth, 0 = nothing; ``normal0`` to ``normal2``, ``u``
        and ``v`` on the surface, ``material`` and ``item``.
    """

    def of_table(k: int) -> Tensor:
        return planes[:, 0, k, None, None]

    def along(value: Callable[[int], Tensor], first: int) -> Tensor:
        return value(first) * rx + value(first + 1) * ry + value(first + 2)

    best = torch.zeros_like(rx + planes[:, :1, 0, None])
    plane = torch.zeros_like(best, dtype=torch.int64)
    for k in range(1, planes.shape[1]):
        value = planes[:, k, 0, None, None] * rx + planes[:, k, 1, None, None] * ry
        value = value + planes[:, k, 2, None, None]
        plane, best = torch.where(value > best, k, plane), torch.maximum(value, best)
    level = along(of_table, 0)
    far = 1 / torch.where(level > 0, level, 1.0)
    u = along(of_table, 6) * far + of_table(9)
    v = along(of_table, 10) * far + of_table(13)
    on_table = (level > best) & (u.abs() <= of_table(14)) & (v.abs() <= of_table(15))
    best = torch.where(on_table, level, best)
    plane = torch.where(on_table, 0, plane)
    image = torch.arange(len(planes), device=planes.device)[:, None, None]

    def of_plane(k: int) -> Tensor:
        return planes[image, plane, k]

    depth = 1 / torch.where(best > 0, best, 1.0)
    at_u = torch.where(on_table, u + of_table(14), along(of_plane, 6) * depth + of_plane(9))
    at_v = torch.where(on_table, v + of_table(15), along(of_plane, 10) * depth + of_plane(13))
    material = torch.where(on_table, 3, torch.where(plane == 1, 5, 4))
    item = torch.zeros_like(plane)
    for k in range(flats.shape[1]):
        x, y, half_x, half_y, round_one = (flats[:, k, j, None, None] for j in range(5))
        across, up = u - x, v - y
        covers = on_table & (across.abs() < half_x) & (up.abs() < half_y)
        covers = covers & ((round_one == 0) | (across * across + up * up < half_x * half_x))
        material = torch.where(covers, 6, material)
        item = torch.where(covers, flat_items[:, None, None] + k, item)
        at_u, at_v = torch.where(covers, across, at_u), torch.where(covers, up, at_v)
    something = best > 0
    nothing = (0.0, 0.0, -1.0)
    normal = {f'normal{k}': torch.where(something, of_plane(3 + k), nothing[k]) for k in range(3)}
    return {
        **normal,
        'inverse': best,
        'u': torch.where(something, at_u, 0.0),
        'v': torch.where(something, at_v, 0.0),
        'material': torch.where(something, material, 0),
        'item': item,
    }


def depth_of(corners: Tensor, rays: Tensor) -> Tensor:
    """Return the depths (M,) at which rays (M, 2) meet triangles (M, 3, 3), as the compiled one."""
    a, b, c = corners.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    along = (normal[:, :2] * rays).sum(1) + normal[:, 2]
    depth = (normal * a).sum(1) / torch.where(along < 0, along, torch.nan)
    low, high = corners[..., 2].amin(1), corners[..., 2].amax(1)
    return torch.where(along < 0, torch.minimum(torch.maximum(depth, low), high), high)
