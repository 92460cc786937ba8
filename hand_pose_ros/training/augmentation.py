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
    shifts = shifts.to(batch.image.device, non_blocking=True)
    shifted = _shifted_by_copies if shifts.device.type == 'cpu' else _shifted_at_once
    moved = {
        name: shifted(value, shifts)
        for name in ('image', 'hand_mask', 'surface')
        if (value := getattr(batch, name)) is not None
    }
    offset = shifts.repeat_interleave(batch.frames, dim=0).to(batch.pixels.dtype)
    intrinsics = batch.intrinsics.clone()
    intrinsics[:, :2, 2] += offset
    pixels = batch.pixels + offset[:, None, None]
    height, width = batch.image.shape[-2:]
    x, y = pixels.unbind(-1)
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
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
    image = torch.empty_like(batch.image)
    drawn = [(torch.rand(4, generator=g), torch.randperm(4, generator=g)) for g in draws]
    values, order = (torch.stack(part) for part in zip(*drawn, strict=True))
    widths = (config.brightness, config.contrast, config.saturation, config.hue)
    changes = _colour_changes((values.double() * 2 - 1) * torch.tensor(widths), image.shape[1])
    kinds = changes.shape[1]
    order = order[order < kinds].view(-1, kinds)
    changes = changes[torch.arange(len(changes))[:, None], order]
    changes = changes.to(image.dtype).to(image.device, non_blocking=True)
    changes = changes.repeat_interleave(batch.frames, dim=0)
    # A CPU keeps one clip in its caches, a GPU wants all at once.
    piece = batch.frames if image.device.type == 'cpu' else len(image)
    between = torch.empty_like(image[:piece])
    parts = (batch.image.split(piece), changes.split(piece), image.split(piece))
    for before, steps, after in zip(*parts, strict=True):
        # Back and forth between two buffers; the number of steps is even.
        for number, step in enumerate(steps.unbind(1)):
            before = _recolour(before, step, after if number % 2 else between)
    return dataclasses.replace(batch, image=image)


def _shifted_by_copies(images: Tensor, shifts: Tensor) -> Tensor:
    """Move images (B T, ..., H, W) by whole pixels (B, 2), filling with zeros, clip by clip."""
    result = torch.zeros_like(images)
    height, width = images.shape[-2:]
    frames = len(images) // len(shifts)
    for clip, (x, y) in enumerate(shifts.tolist()):
        rows = slice(clip * frames, (clip + 1) * frames)
        to_y, from_y = _overlap(y, height)
        to_x, from_x = _overlap(x, width)
        result[rows, ..., to_y, to_x] = images[rows, ..., from_y, from_x]
    return result


def _shifted_at_once(images: Tensor, shifts: Tensor) -> Tensor:
    """Do the same for all clips at once: for GPUs, where every copy would be a launch."""
    height, width = images.shape[-2:]
    rows = torch.arange(height, device=images.device) - shifts[:, 1:]  # (B, H)
    columns = torch.arange(width, device=images.device) - shifts[:, :1]  # (B, W)
    seen_rows = (rows >= 0) & (rows < height)
    seen = seen_rows[:, :, None] & ((columns >= 0) & (columns < width))[:, None]
    source = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None]
    clips = images.reshape(len(shifts), -1, height * width)
    moved = clips.gather(2, source.flatten(1)[:, None].expand_as(clips))
    return moved.masked_fill_(~seen.flatten(1)[:, None], 0).view(images.shape)


def _overlap(shift: int, size: int) -> tuple[slice, slice]:
    """Return where content goes and where it comes from along one axis."""
    return (
        slice(max(shift, 0), max(size + min(shift, 0), 0)),
        slice(max(-shift, 0), max(size - max(shift, 0), 0)),
    )


def _colour_changes(values: Tensor, channels: int) -> Tensor:
    """Return the changes of a colour that draws stand for.

    A changed pixel is ``change[:C]`` times its colour plus ``change[C]`` times the mean colour.

    Args:
        values: (B, 4) of brightness, contrast, saturation and hue: how much the first three differ
            from 1, and turns about the grey axis.
        channels: C, 3, or 1 for brightness and contrast only.

    Returns:
        (B, 4 or 2, C + 1, C); in the last row the weights of the channels are for all channels.
    """
    eye = torch.eye(channels, dtype=values.dtype)
    luma = torch.tensor(_LUMA if channels == 3 else (1.0,), dtype=values.dtype)
    factor, rest = 1 + values[..., None, None], -values[..., None, None]
    mixes = [(factor * eye)[:, kind] for kind in range(2)]
    means = [torch.zeros_like(rest[:, 0] * luma), rest[:, 1] * luma]
    if channels == 3:
        mixes += [factor[:, 2] * eye + rest[:, 2] * luma, _hue_turns(values[:, 3])]
        means += [means[0], means[0]]
    return torch.cat([torch.stack(mixes, dim=1), torch.stack(means, dim=1)], dim=2)


def _hue_turns(turns: Tensor) -> Tensor:
    """Return rotations (B, 3, 3) of colours about the grey axis by shares (B,) of a full turn.

    A rotation in RGB keeps grey pixels as they are and is linear, unlike the detour through HSV.
    """
    angle = 2.0 * math.pi * turns[:, None, None]
    about = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]], dtype=turns.dtype)
    eye = torch.eye(3, dtype=turns.dtype)
    cosine, sine = angle.cos(), angle.sin() / math.sqrt(3.0)
    return cosine * eye + (1.0 - cosine) / 3.0 + sine * about


def _recolour(images: Tensor, change: Tensor, result: Tensor) -> Tensor:
    """Write images (N, C, H, W) in 0..1 with changes (N, C + 1, C), see ``_colour_changes``."""
    channels = images.shape[1]
    mix, weights = change[:, :channels, :, None, None], change[:, channels]
    shift = (images.mean(dim=(-2, -1)) * weights).sum(dim=1)
    torch.mul(images[:, :1], mix[:, :, 0], out=result)
    for channel in range(1, channels):
        result.addcmul_(images[:, channel : channel + 1], mix[:, :, channel])
    return result.add_(shift[:, None, None, None]).clamp_(0.0, 1.0)
