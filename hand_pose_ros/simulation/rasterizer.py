"""Rasterizer: a z-buffer in plain numpy, fast enough to render camera streams live."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# A z-buffer entry packs inverse depth (fixed point) above the triangle number.
_TRIANGLE_BITS = 18
_TRIANGLE_MASK = (1 << _TRIANGLE_BITS) - 1
_INVERSE_DEPTH_SCALE = float(1 << 26)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fragments:
    """The visible surface, one entry a covered pixel, in row order.

    Attributes:
        rows, columns: (P,) pixel coordinates.
        triangle: (P,) index of the visible triangle in the mesh.
        depth: (P,) metres along the optical axis.
        attributes: (P, K) vertex attributes interpolated over the triangle.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    triangle: NDArray[np.int64]
    depth: NDArray[np.float32]
    attributes: NDArray[np.float32]


def rasterize(
    pixels: Array,
    depth: Array,
    faces: NDArray[np.integer],
    attributes: Array,
    size: tuple[int, int],
) -> Fragments:
    """Find the nearest surface at every pixel centre.

    Triangles seen from behind and triangles with an unusable corner are left out. Inverse depth
    and attributes are linear in the image over one triangle, which is exact for depth without
    distortion; the error is that of the lens's curvature across one small triangle.

    Args:
        pixels: (N, 2) projected vertices, lens distortion included; NaN = not in front of the
            camera.
        depth: (N,) metres along the optical axis.
        faces: (F, 3) vertex indices, counter-clockwise seen from outside.
        attributes: (N, K) values to interpolate.
        size: (width, height) of the image.
    """
    width, height = size
    corners = pixels[faces]  # (F, 3, 2)
    x, y = corners[..., 0], corners[..., 1]
    area = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0])
    # Front faces have negative area: image y points down.
    top = np.maximum(np.ceil(y.min(1)), 0)
    bottom = np.minimum(np.floor(y.max(1)), height - 1)
    with np.errstate(invalid='ignore'):
        kept = (area < 0) & (bottom >= top) & (x.max(1) >= 0) & (x.min(1) <= width - 1)
    triangle = np.flatnonzero(kept)
    if not len(triangle):
        return _empty(attributes.shape[1])
    x, y, area = x[kept], y[kept], area[kept]
    top, bottom = top[kept].astype(np.int64), bottom[kept].astype(np.int64)
    owner, row, left, right = _spans(x, y, top, bottom, width)
    planes = _planes(x, y, area, 1.0 / depth[faces[triangle]][..., None])[..., 0]  # (T, 3)
    buffer, box = _fill(owner, row, left, right, planes)
    return _resolve(buffer, box, triangle, planes, _planes(x, y, area, attributes[faces[triangle]]))


def _spans(
    x: Array, y: Array, top: NDArray[np.int64], bottom: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], ...]:
    """Cut each triangle into one run of pixels a row: (triangle, row, first, last column)."""
    counts = bottom - top + 1
    owner = np.repeat(np.arange(len(counts)), counts)
    row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts - top, counts)
    left = np.full(len(owner), 0.0)
    right = np.full(len(owner), width - 1.0)
    for start, end in ((0, 1), (1, 2), (2, 0)):
        # Front faces run down their left edges and up their right ones.
        dx, dy = x[:, end] - x[:, start], y[:, end] - y[:, start]
        flat = np.abs(dy) < 1e-12
        slope = dx / np.where(flat, 1.0, dy)
        crossing = x[:, start][owner] + slope[owner] * (row - y[:, start][owner])
        falls = dy[owner]
        np.maximum(left, np.where(falls > 1e-12, crossing, left), out=left)
        np.minimum(right, np.where(falls < -1e-12, crossing, right), out=right)
    first = np.ceil(left - 1e-9).astype(np.int64)
    last = np.floor(right + 1e-9).astype(np.int64)
    kept = last >= first
    return owner[kept], row[kept], first[kept], last[kept]


def _planes(x: Array, y: Array, area: Array, values: Array) -> Array:
    """Fit value = a column + b row + c to the corners (T, 3, K): coefficients (T, 3, K)."""
    dx1, dx2 = x[:, 1] - x[:, 0], x[:, 2] - x[:, 0]
    dy1, dy2 = y[:, 1] - y[:, 0], y[:, 2] - y[:, 0]
    dv1, dv2 = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    a = (dv1 * dy2[:, None] - dv2 * dy1[:, None]) / area[:, None]
    b = (dv2 * dx1[:, None] - dv1 * dx2[:, None]) / area[:, None]
    c = values[:, 0] - a * x[:, :1] - b * y[:, :1]
    return np.stack([a, b, c], axis=1)


def _fill(
    owner: NDArray[np.int64],
    row: NDArray[np.int64],
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    planes: Array,
) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Write all spans into a z-buffer that covers just their bounding box."""
    if not len(row):
        return np.zeros((0, 0), np.int64), (0, 0)
    y0, x0 = int(row.min()), int(left.min())
    shape = (int(row.max()) - y0 + 1, int(right.max()) - x0 + 1)
    counts = right - left + 1
    ends = np.cumsum(counts)
    span = np.repeat(np.arange(len(counts)), counts)
    offset = np.arange(ends[-1]) - (ends - counts)[span]
    # Along a span inverse depth grows by a from pixel to pixel.
    at_left = planes[owner, 0] * left + planes[owner, 1] * row + planes[owner, 2]
    inverse = at_left[span] + planes[owner, 0][span] * offset
    key = (np.maximum(inverse, 1e-6) * _INVERSE_DEPTH_SCALE).astype(np.int64) << _TRIANGLE_BITS
    key |= owner[span] + 1
    index = ((row - y0) * shape[1] + left - x0)[span] + offset
    buffer = np.zeros(shape[0] * shape[1], np.int64)
    np.maximum.at(buffer, index, key)
    return buffer.reshape(shape), (y0, x0)


def _resolve(
    buffer: NDArray[np.int64],
    box: tuple[int, int],
    triangle: NDArray[np.int64],
    planes: Array,
    attribute_planes: Array,
) -> Fragments:
    """Evaluate depth and attributes where a triangle is visible."""
    count = attribute_planes.shape[2]
    if not buffer.size:
        return _empty(count)
    flat = np.flatnonzero(buffer)
    local = (buffer.ravel()[flat] & _TRIANGLE_MASK) - 1
    rows, columns = np.divmod(flat, buffer.shape[1])
    rows += box[0]
    columns += box[1]
    table = np.concatenate([planes[..., None], attribute_planes], axis=2)
    # Small coefficients times pixel numbers: subtract the box's corner first to keep float32 exact.
    table[:, 2] += table[:, 0] * box[1] + table[:, 1] * box[0]
    chosen = table.astype(np.float32)[local]  # (P, 3, 1 + K)
    dx = (columns - box[1]).astype(np.float32)[:, None]
    dy = (rows - box[0]).astype(np.float32)[:, None]
    values = chosen[:, 0] * dx + chosen[:, 1] * dy + chosen[:, 2]
    return Fragments(
        rows=rows,
        columns=columns,
        triangle=triangle[local],
        depth=1.0 / np.maximum(values[:, 0], 1e-6),
        attributes=values[:, 1:],
    )


def _empty(count: int) -> Fragments:
    nothing = np.zeros(0, np.int64)
    return Fragments(
        rows=nothing, columns=nothing, triangle=nothing, depth=np.zeros(0, np.float32),
        attributes=np.zeros((0, count), np.float32),
    )  # fmt: skip
