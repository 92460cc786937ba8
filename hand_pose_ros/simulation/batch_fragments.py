"""Fragments: the rasterizer in plain torch, for any device.

Every triangle is laid out as the pixels of its bounding box; those inside compete for their pixel
by a 64-bit key of inverse depth and face, of which ``scatter_reduce`` keeps the largest.
"""

import torch
from torch import Tensor

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
    image = torch.arange(count, device=pixels.device)[:, None, None]
    corners = pixels[image, faces[..., :3]]  # (N, F, 3, 2)
    a, b, c = corners.unbind(2)
    area = (b - a)[..., 0] * (c - a)[..., 1] - (c - a)[..., 0] * (b - a)[..., 1]
    edge = torch.tensor([width - 1, height - 1], device=pixels.device)
    low = corners.amin(2).clamp(min=0).ceil()
    high = torch.minimum(corners.amax(2), edge.to(corners.dtype)).floor()
    drawn = (area < 0) & (high >= low).all(-1)  # also leaves NaN out
    which, face = drawn.nonzero(as_tuple=True)
    low, extent = low[drawn].long(), (high - low)[drawn].long() + 1
    triangles = torch.cat(
        [corners[drawn].flatten(1), inverse[image, faces[..., :3]][drawn], area[drawn][:, None]], 1
    )
    names = faces[which, face, 3]
    counts = extent[:, 0] * extent[:, 1]
    ends = counts.cumsum(0)
    first = 0
    while first < len(counts):
        done = int(ends[first - 1]) if first else 0
        last = int(torch.searchsorted(ends, done + _BUDGET, right=True))
        part = slice(first, max(last, first + 1))
        _enter(
            keys, triangles[part], low[part], extent[part], counts[part], which[part], names[part],
            width,
        )  # fmt: skip
        first = part.stop
    return keys


def _enter(
    keys: Tensor, triangles: Tensor, low: Tensor, extent: Tensor, counts: Tensor, image: Tensor,
    names: Tensor, width: int,
) -> None:  # fmt: skip
    """Lay triangles (F, 10) out as pixels and keep the nearest in ``keys``."""
    row = torch.repeat_interleave(torch.arange(len(counts), device=keys.device), counts)
    place = torch.arange(len(row), device=keys.device) - (counts.cumsum(0) - counts)[row]
    across = extent[row, 0]
    x, y = low[row, 0] + place % across, low[row, 1] + place // across
    ax, ay, bx, by, cx, cy, ia, ib, ic, area = triangles[row].unbind(1)
    ax, ay, bx, by, cx, cy = ax - x, ay - y, bx - x, by - y, cx - x, cy - y
    wa, wb, wc = bx * cy - cx * by, cx * ay - ax * cy, ax * by - bx * ay
    value = (wa * ia + wb * ib + wc * ic) / area
    inside = (wa <= 0) & (wb <= 0) & (wc <= 0) & (value > 0)
    x, y, row, value = x[inside], y[inside], row[inside], value[inside]
    # The bits of positive floats are in the order of their values.
    key = (value.view(torch.int32).long() << 32) | names[row]
    spot = image[row] * keys.shape[1] + y * width + x
    keys.view(-1).scatter_reduce_(0, spot, key, 'amax')


def value_of(keys: Tensor) -> Tensor:
    """Return the inverse depth of keys, 0 where there is none."""
    return (keys >> 32).int().view(torch.float32)


def face_of(keys: Tensor) -> Tensor:
    """Return the face of keys, 0 where there is none."""
    return keys & 0xFFFFFFFF


def backdrop(rays: Tensor, planes: Tensor, flats: Tensor, flat_items: Tensor) -> dict[str, Tensor]:
    """Cast rays onto rooms, as the compiled ``batch_kernels.backdrop``.

    Args:
        rays: (N, H, W, 2) or (1, H, W, 2).
        planes: (N, 7, 16) see ``batch_background``.
        flats: (N, F, 5) see ``batch_plan.Room``.
        flat_items: (N,) item number of the first flat.

    Returns:
        inverse (N, H, W) one over depth, 0 = nothing; material and item (N, H, W) uint8; normal
        (N, H, W, 3); texture (N, H, W, 2).
    """
    rays = torch.cat([rays, torch.ones_like(rays[..., :1])], -1)
    rays = rays.expand(len(planes), -1, -1, -1)

    def along(columns: slice, chosen: Tensor) -> Tensor:
        return (chosen[..., columns] * rays).sum(-1)

    inverse = torch.einsum('nhwi,npi->nphw', rays, planes[..., :3])
    best, plane = inverse[:, 1:].max(1)
    best, plane = best.clamp(min=0), plane + 1
    table = planes[:, 0, None, None]
    level = inverse[:, 0]
    far = 1 / torch.where(level > 0, level, 1.0)
    u = along(slice(6, 9), table) * far + table[..., 9]
    v = along(slice(10, 13), table) * far + table[..., 13]
    on_table = (level > best) & (u.abs() <= table[..., 14]) & (v.abs() <= table[..., 15])
    best = torch.where(on_table, level, best)
    plane = torch.where(on_table, 0, plane)
    image = torch.arange(len(planes), device=planes.device)[:, None, None]
    chosen = planes[image, plane]
    depth = 1 / torch.where(best > 0, best, 1.0)
    wall_u = along(slice(6, 9), chosen) * depth + chosen[..., 9]
    wall_v = along(slice(10, 13), chosen) * depth + chosen[..., 13]
    material = torch.where(on_table, 3, torch.where(plane == 1, 5, 4))
    item = torch.zeros_like(plane)
    at_u = torch.where(on_table, u + table[..., 14], wall_u)
    at_v = torch.where(on_table, v + table[..., 15], wall_v)
    for k in range(flats.shape[1]):
        x, y, half_x, half_y, round_one = (value[:, None, None] for value in flats[:, k].T)
        across, up = u - x, v - y
        covers = on_table & (across.abs() < half_x) & (up.abs() < half_y)
        covers &= (round_one == 0) | (across**2 + up**2 < half_x**2)
        material = torch.where(covers, 6, material)
        item = torch.where(covers, flat_items[:, None, None] + k, item)
        at_u, at_v = torch.where(covers, across, at_u), torch.where(covers, up, at_v)
    something = best > 0
    nothing = torch.tensor([0.0, 0.0, -1.0], device=planes.device)
    return {
        'inverse': best,
        'material': torch.where(something, material, 0).byte(),
        'item': item.byte(),
        'normal': torch.where(something[..., None], chosen[..., 3:6], nothing),
        'texture': torch.stack([at_u, at_v], -1) * something[..., None],
    }


def depth_of(corners: Tensor, rays: Tensor) -> Tensor:
    """Return the depths (M,) at which rays (M, 2) meet triangles (M, 3, 3), as the compiled one."""
    a, b, c = corners.unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    along = (normal[:, :2] * rays).sum(1) + normal[:, 2]
    depth = (normal * a).sum(1) / torch.where(along < 0, along, torch.nan)
    low, high = corners[..., 2].amin(1), corners[..., 2].amax(1)
    return torch.where(along < 0, torch.minimum(torch.maximum(depth, low), high), high)


def interpolate(
    keys: Tensor, pixels: Tensor, inverse: Tensor, faces: Tensor, values: Tensor, width: int
) -> tuple[Tensor, Tensor]:
    """Interpolate vertex values where triangles are nearest, true to perspective.

    Args:
        keys: (N, H * W) see ``nearest``.
        pixels, inverse: (N, V, 2) and (N, V) as drawn.
        faces: (N, F, 3).
        values: (N, V, K).
        width: of the image.

    Returns:
        (M, 2) image and pixel of every covered pixel, and values (M, K).
    """
    image, place = keys.nonzero(as_tuple=True)
    corners = faces[image, face_of(keys[image, place])]  # (M, 3)
    points = pixels[image[:, None], corners]
    points = points - torch.stack([place % width, place // width], -1)[:, None]
    a, b, c = points.unbind(1)
    weights = torch.stack([
        b[:, 0] * c[:, 1] - c[:, 0] * b[:, 1], c[:, 0] * a[:, 1] - a[:, 0] * c[:, 1],
        a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1],
    ], 1) * inverse[image[:, None], corners]  # fmt: skip
    weights = weights / weights.sum(1, keepdim=True)
    mixed = (weights[..., None] * values[image[:, None], corners]).sum(1)
    return torch.stack([image, place], 1), mixed
