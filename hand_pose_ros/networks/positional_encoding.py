"""KPE: where a crop looks, as sines and cosines of the viewing angles of its corners or pixels."""

import torch
from torch import Tensor
from torch.nn import functional

FREQUENCIES = 4
SPARSE_CHANNELS = 80
DENSE_CHANNELS = 16


def viewing_angles(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Return angles (N, P, 2) in rad of pixels (N, P, 2) to the optical axis, about y and x.

    Args:
        points: real pixels, also outside the image.
        intrinsics: K (N, 3, 3) in the same pixels; its skew is taken as zero.
    """
    focal = torch.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1]], dim=1)
    return torch.atan((points - intrinsics[:, None, :2, 2]) / focal[:, None])


def encode_angles(angles: Tensor) -> Tensor:
    """Return (..., 8 C) for C angles (..., C): for k = 0..3, for each angle, sin and cos of 2^k.

    Source: methods specification, section 2.2.
    """
    powers = 2.0 ** torch.arange(FREQUENCIES, dtype=angles.dtype, device=angles.device)
    scaled = angles[..., None, :] * powers[:, None]
    return torch.stack([scaled.sin(), scaled.cos()], dim=-1).flatten(-3)


def sparse_encoding(boxes: Tensor, intrinsics: Tensor) -> Tensor:
    """Encode the centre and the corners of crops: (N, 80), 16 channels and then 64.

    Args:
        boxes: (N, 4) x0 y0 x1 y1 as they were cut, real, possibly outside the image.
        intrinsics: K (N, 3, 3) in pixels of the boxes' image.
    """
    x0, y0, x1, y1 = boxes.unbind(dim=1)
    xs = torch.stack([(x0 + x1) / 2, x0, x0, x1, x1], dim=1)
    ys = torch.stack([(y0 + y1) / 2, y0, y1, y0, y1], dim=1)
    angles = viewing_angles(torch.stack([xs, ys], dim=2), intrinsics)
    return torch.cat([encode_angles(angles[:, 0]), encode_angles(angles[:, 1:].flatten(1))], dim=1)


def dense_encoding(boxes: Tensor, intrinsics: Tensor, size: tuple[int, int]) -> Tensor:
    """Encode the centre of every cell of a crop's feature map: (N, 16, rows, columns).

    Column j of the map has its centre at ``x0 + (j + 0.5) / columns * (x1 - x0)``, which is where
    the features of that column come from; ``legacy_dense_encoding`` is the published grid.
    """
    rows, columns = size
    like = {'dtype': boxes.dtype, 'device': boxes.device}
    along = (torch.arange(columns, **like) + 0.5) / columns
    down = (torch.arange(rows, **like) + 0.5) / rows
    x = boxes[:, :1] + along * (boxes[:, 2:3] - boxes[:, :1])
    y = boxes[:, 1:2] + down * (boxes[:, 3:] - boxes[:, 1:2])
    shape = (len(boxes), rows, columns)
    points = torch.stack([x[:, None].expand(shape), y[:, :, None].expand(shape)], dim=-1)
    angles = viewing_angles(points.flatten(1, 2), intrinsics)
    return encode_angles(angles).transpose(1, 2).unflatten(2, size)


def legacy_dense_encoding(
    boxes: Tensor, intrinsics: Tensor, patch: int, size: tuple[int, int]
) -> Tensor:
    """Encode the pixels of crops as the published code does: (N, 16, rows, columns).

    The box is clipped to the patch and truncated. Its pixel (x, y) goes to row x - x0 and column
    y - y0 of a patch that is zero elsewhere, and the patch, not the box, is resized: codes lie
    transposed in a corner as large as the crop, not where the features they are for come from.

    Source: methods specification, section 2.11.
    """
    low, high = boxes.clamp(0, patch).trunc()[:, None].split(2, dim=-1)
    along = torch.arange(patch, dtype=boxes.dtype, device=boxes.device)
    pixels = low + torch.stack(torch.meshgrid(along, along, indexing='ij'), dim=-1).flatten(0, 1)
    inside = (pixels < high).all(dim=-1, keepdim=True)
    code = encode_angles(viewing_angles(pixels, intrinsics)) * inside
    grid = code.transpose(1, 2).unflatten(2, (patch, patch))
    return functional.interpolate(grid, size, mode='bilinear', align_corners=False)


def pseudo_intrinsics(count: int, patch: int, like: Tensor) -> Tensor:
    """Return K (count, 3, 3) for patches of unknown camera: f = c = half the patch."""
    half = patch / 2
    matrix = like.new_tensor([[half, 0.0, half], [0.0, half, half], [0.0, 0.0, 1.0]])
    return matrix.expand(count, 3, 3)
