"""Random changes of training clips; one draw per clip, K always consistent with the pixels."""

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.training.config import AugmentationConfig

# Weights of R, G and B in the brightness of a colour (ITU-R BT.601).
_LUMA = (0.299, 0.587, 0.114)


def augment_clips(
    batch: ViewBatch, config: AugmentationConfig, draws: Sequence[Generator]
) -> ViewBatch:
    """Shift and recolour a batch, each clip by its own draw.

    Args:
        batch: N = B * frames images.
        config: how much.
        draws: a generator for each of the B clips.

    Source: methods specification, section 1.5.
    """
    if config.shift:
        batch = shift_clips(batch, draw_shifts(batch, config.shift, draws))
    if batch.modality != 'depth':
        batch = jitter_colours(batch, config, draws)
    return batch


def draw_shifts(batch: ViewBatch, share: float, draws: Sequence[Generator]) -> Tensor:
    """Draw whole-pixel moves (B, 2) in x and y, uniform within +- share of the image width."""
    largest = int(share * batch.image.shape[-1])
    return torch.stack(
        [torch.randint(-largest, largest + 1, (2,), generator=draw) for draw in draws]
    )


def shift_clips(batch: ViewBatch, shifts: Tensor) -> ViewBatch:
    """Move the content of clips by whole pixels; what comes into view is black or unmeasured.

    The principal point moves along (``K' = A K``), so that labels in camera space stay true;
    joints that leave the image are no longer visible.

    Args:
        batch: N = B * frames images.
        shifts: (B, 2) whole pixels, right and down.
    """
    frames = batch.frames
    moved = {
        name: _shifted(value, shifts, frames)
        for name in ('image', 'hand_mask', 'surface')
        if (value := getattr(batch, name)) is not None
    }
    offset = shifts.repeat_interleave(frames, dim=0).to(batch.pixels)
    intrinsics = batch.intrinsics.clone()
    intrinsics[:, :2, 2] += offset
    pixels = batch.pixels + offset[:, None, None]
    height, width = batch.image.shape[-2:]
    size = torch.tensor([width, height], device=pixels.device)
    inside = ((pixels >= -0.5) & (pixels < size - 0.5)).all(dim=-1)
    boxes = None if batch.boxes is None else batch.boxes + offset.repeat(1, 2)[:, None]
    return dataclasses.replace(
        batch,
        **moved,
        intrinsics=intrinsics,
        pixels=pixels,
        visible=batch.visible & inside,
        boxes=boxes,
    )


def jitter_colours(
    batch: ViewBatch, config: AugmentationConfig, draws: Sequence[Generator]
) -> ViewBatch:
    """Change brightness, contrast, saturation and hue by one draw and in one order per clip.

    Images of one channel have neither saturation nor hue.
    """
    image = batch.image.clone()
    for clip, generator in zip(image.split(batch.frames), draws, strict=True):
        values = torch.rand(4, generator=generator).mul(2.0).sub(1.0).tolist()
        order = torch.randperm(4, generator=generator).tolist()
        factors = [
            1.0 + value * width
            for value, width in zip(
                values, (config.brightness, config.contrast, config.saturation), strict=False
            )
        ]
        for kind in order:
            if kind == 0:
                clip.mul_(factors[0])
            elif kind == 1:
                mean = _grey(clip).mean(dim=(-2, -1), keepdim=True)
                clip.sub_(mean).mul_(factors[1]).add_(mean)
            elif kind == 2 and clip.shape[1] == 3:
                grey = _grey(clip)
                clip.sub_(grey).mul_(factors[2]).add_(grey)
            elif kind == 3 and clip.shape[1] == 3 and config.hue:
                clip.copy_(_turned_hue(clip, values[3] * config.hue))
            clip.clamp_(0.0, 1.0)
    return dataclasses.replace(batch, image=image)


def _shifted(images: Tensor, shifts: Tensor, frames: int) -> Tensor:
    """Move images (N, ..., H, W) by whole pixels per clip, filling with zeros."""
    result = torch.zeros_like(images)
    height, width = images.shape[-2:]
    for clip, (x, y) in enumerate(shifts.tolist()):
        rows = slice(clip * frames, (clip + 1) * frames)
        to_y, from_y = _overlap(y, height)
        to_x, from_x = _overlap(x, width)
        result[rows, ..., to_y, to_x] = images[rows, ..., from_y, from_x]
    return result


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Return where content goes and where it comes from along one axis."""
    return (
        slice(max(shift, 0), max(size + min(shift, 0), 0)),
        slice(max(-shift, 0), max(size - max(shift, 0), 0)),
    )


def _grey(images: Tensor) -> Tensor:
    """Brightness (N, 1, H, W) of images (N, C, H, W)."""
    if images.shape[1] != 3:
        return images.clone()
    weights = torch.tensor(_LUMA, device=images.device, dtype=images.dtype)
    return (images * weights[:, None, None]).sum(dim=1, keepdim=True)


def _turned_hue(images: Tensor, turns: float) -> Tensor:
    """Rotate the colours of images (N, 3, H, W) about the grey axis by a share of a full turn.

    A rotation in RGB keeps grey pixels as they are and is linear, unlike the detour through HSV.
    """
    angle = 2.0 * math.pi * turns
    cosine, sine = math.cos(angle), math.sin(angle) / math.sqrt(3.0)
    third = (1.0 - cosine) / 3.0
    matrix = torch.tensor(
        [
            [cosine + third, third - sine, third + sine],
            [third + sine, cosine + third, third - sine],
            [third - sine, third + sine, cosine + third],
        ],
        device=images.device, dtype=images.dtype,
    )  # fmt: skip
    return torch.einsum('ij,njhw->nihw', matrix, images)
