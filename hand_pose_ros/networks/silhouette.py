"""Soft silhouettes of meshes in plain torch: differentiable masks, no compiled operators.

Per pixel and near projected face, with the squared distance d to the face's outline (negative
inside), ``A = sigmoid(-d / sigma)`` and ``mask = 1 - prod(1 - A)``. Distances are in normalised
device units, 2 / size per pixel. Source: methods specification, section 2.5.

Work is proportional to the pixels in the faces' grown bounding boxes: every face contributes to
every pixel near it (the published renderer keeps the ten nearest), and no depth order is needed.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

SIGMA = 1e-4
# Squared distance up to which a face reaches. Source: methods specification, section 2.5.
BLUR = math.log(1 / 1e-6 - 1) * 1e-5
# Faces with a corner nearer than this to the camera are left out, metres.
NEAR = 0.02
# Pairs of face and pixel that are worked on at once; bounds the memory.
CHUNK = 1_000_000


def soft_silhouette(
    vertices: Tensor, faces: Tensor, intrinsics: Tensor, size: int, *,
    sigma: float = SIGMA, blur: float = BLUR, chunk: int = CHUNK,
) -> Tensor:  # fmt: skip
    """Draw the soft masks (M, S, S) of meshes in the camera's frame.

    Args:
        vertices: (M, V, 3) metres.
        faces: (F, 3) of all meshes or (M, F, 3).
        intrinsics: (M, 3, 3) K in pixels of the mask, centres at whole numbers.
        size: S.
        sigma: softness, squared normalised units.
        blur: squared distance beyond which a pixel outside of a face does not feel it. Enlarge it
            with ``sigma``: at ten times sigma nothing is cut off.
        chunk: pairs of face and pixel at once.
    """
    radius = math.sqrt(blur)
    depth = vertices[..., 2]
    image = vertices @ intrinsics.transpose(1, 2)
    pixels = image[..., :2] / depth.clamp(min=NEAR)[..., None]
    points = (2 * pixels + 1) / size - 1
    faces = faces.expand(len(vertices), -1, 3)
    mesh = torch.arange(len(vertices), device=vertices.device)[:, None, None]
    corners = points[mesh, faces].flatten(0, 1)  # (M F, 3, 2)
    ahead = (depth[mesh, faces] > NEAR).all(dim=2).flatten()
    with torch.no_grad():
        face, pixel = _pairs(corners, ahead, faces.shape[1], size, radius)
    clear = corners.new_zeros(len(vertices) * size * size)  # log of prod (1 - A)
    for some in range(0, max(len(face), 1), chunk):
        part = face[some : some + chunk], pixel[some : some + chunk]
        if corners.requires_grad and len(face) > chunk:
            # Recomputed in the backward pass, so that memory does not grow with the chunks.
            clear = clear + checkpoint(
                _log_clear, corners, *part, len(clear), size, sigma, radius, use_reentrant=False
            )
        else:
            clear = clear + _log_clear(corners, *part, len(clear), size, sigma, radius)
    return -torch.expm1(clear).view(-1, size, size)


def _pairs(
    corners: Tensor, ahead: Tensor, faces: int, size: int, radius: float
) -> tuple[Tensor, Tensor]:
    """List every face with every pixel of its grown bounding box: face and pixel indices."""
    low = ((corners.amin(dim=1) - radius + 1) * size / 2 - 0.5).ceil()
    high = ((corners.amax(dim=1) + radius + 1) * size / 2 - 0.5).floor()
    low, high = low.clamp(min=0, max=size).long(), high.clamp(min=-1, max=size - 1).long()
    extent = (high - low + 1).clamp(min=0) * ahead[:, None]
    counts = extent.prod(dim=1)
    face = torch.arange(len(corners), device=corners.device).repeat_interleave(counts)
    first = counts.cumsum(0) - counts
    within = torch.arange(len(face), device=corners.device) - first[face]
    width = extent[face, 0]
    row = low[face, 1] + within // width
    column = low[face, 0] + within % width
    return face, ((face // faces) * size + row) * size + column


def _log_clear(
    corners: Tensor, face: Tensor, pixel: Tensor, count: int, size: int, sigma: float,
    radius: float,
) -> Tensor:  # fmt: skip
    """Sum log(1 - A) of pairs of face and pixel over the pixels (count,)."""
    x = (2 * (pixel % size).to(corners.dtype) + 1) / size - 1
    y = (2 * (pixel // size % size).to(corners.dtype) + 1) / size - 1
    triangle = corners[face]
    distances, sides = [], []
    for start in range(3):
        a, b = triangle[:, start], triangle[:, (start + 1) % 3]
        along, across = b - a, torch.stack([x, y], dim=1) - a
        square = (along * along).sum(dim=1).clamp(min=1e-20)
        share = ((across * along).sum(dim=1) / square).clamp(0.0, 1.0)
        distances.append((across - share[:, None] * along).square().sum(dim=1))
        sides.append(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0])
    nearest = torch.minimum(torch.minimum(distances[0], distances[1]), distances[2])
    turns = torch.stack(sides)
    inside = (turns >= 0).all(dim=0) | (turns <= 0).all(dim=0)
    signed = torch.where(inside, -nearest, nearest)
    near = inside | (nearest < radius**2)
    value = functional.logsigmoid(signed / sigma)
    value = torch.where(near, value, torch.zeros_like(value))
    return corners.new_zeros(count).index_add(0, pixel, value)
