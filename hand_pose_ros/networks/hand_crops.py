"""What WildHands looks at: the square-padded image and a crop per hand, cut from the native image.

Boxes are x0 y0 x1 y1, the outer edges, in pixels whose centres are whole numbers: a whole image of
width W goes from -0.5 to W - 0.5. They are real numbers and may lie outside the image.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.errors import ModelError

# Of the longer side of the joints' bounding box. Source: methods specification, section 2.6.
BOX_SCALE = 1.5
# A hand counts as seen with as many joints in the image (section 2.8).
FEWEST_JOINTS = 3
# Nobody sees a hand in a colour image of which less than a share is brighter than a share of white.
_FEW, _DARK = 0.01, 0.1


class PatchFrame(NamedTuple):
    """Where the patch's pixels are in the native image: ``native = start + (patch + 0.5) * step``.

    Attributes:
        start: x and y of the patch's outer corner in the native image.
        step: native pixels per pixel of the patch.
    """

    start: tuple[float, float]
    step: float

    @classmethod
    def of(cls, height: int, width: int, size: int) -> 'PatchFrame':
        """Return the frame of an image padded to a square, its middle in the middle."""
        side = max(height, width)
        start = ((width - side) / 2 - 0.5, (height - side) / 2 - 0.5)
        return cls(start, side / size)

    def to_patch(self, points: Tensor) -> Tensor:
        """Move native pixels (..., 2), or the two corners of boxes (..., 4), into the patch."""
        start = points.new_tensor(self.start * (points.shape[-1] // 2))
        return (points - start) / self.step - 0.5

    def to_native(self, points: Tensor) -> Tensor:
        """Move pixels (..., 2) or boxes (..., 4) of the patch into the native image."""
        start = points.new_tensor(self.start * (points.shape[-1] // 2))
        return start + (points + 0.5) * self.step

    def intrinsics(self, intrinsics: Tensor) -> Tensor:
        """Return K (N, 3, 3) of the patch for the native image's."""
        upper = torch.cat(
            [intrinsics[:, :2, :2] / self.step, self.to_patch(intrinsics[:, :2, 2])[..., None]],
            dim=2,
        )
        return torch.cat([upper, intrinsics[:, 2:]], dim=1)


class HandViews(NamedTuple):
    """Input of WildHands for N frames of one size.

    Attributes:
        image: (N, 3, S, S), square-padded, 0..1.
        crops: (N, 2, 3, S, S) of the left and the right hand; the whole image for one without box.
        intrinsics: (N, 3, 3) K of the patch.
        boxes: (N, 2, 4) of the crops in the patch.
        present: (N, 2) bool; the network's answer for a hand that is not present means nothing.
        frame: from the native image to the patch and back.
    """

    image: Tensor
    crops: Tensor
    intrinsics: Tensor
    boxes: Tensor
    present: Tensor
    frame: PatchFrame


def hand_views(images: Tensor, intrinsics: Tensor, boxes: Tensor, size: int) -> HandViews:
    """Cut everything WildHands needs out of native images.

    Args:
        images: (N, 1 or 3, H, W) in 0..1.
        intrinsics: (N, 3, 3) K in their pixels.
        boxes: (N, 2, 4) square boxes of the left and the right hand in their pixels, NaN for a
            hand that is not seen.
        size: pixels along a side of image and crops, the network's ``patch``.

    Raises:
        ModelError: the tensors do not fit together.
    """
    count, _, height, width = images.shape
    if boxes.shape != (count, 2, 4) or intrinsics.shape != (count, 3, 3):
        raise ModelError(
            f'{count} images need boxes ({count}, 2, 4) and intrinsics ({count}, 3, 3), got '
            f'{tuple(boxes.shape)} and {tuple(intrinsics.shape)}'
        )
    frame = PatchFrame.of(height, width, size)
    whole = frame.to_native(boxes.new_tensor([-0.5, -0.5, size - 0.5, size - 0.5]))
    present = torch.isfinite(boxes).all(dim=-1) & (boxes[..., 2] > boxes[..., 0])
    boxes = torch.where(present[..., None], boxes, whole)
    cut = torch.cat([whole.expand(count, 1, 4), boxes], dim=1).flatten(0, 1)
    rows = torch.arange(count, device=images.device).repeat_interleave(3)
    patches = sample_boxes(images, rows, cut, size).unflatten(0, (count, 3))
    return HandViews(
        image=patches[:, 0],
        crops=patches[:, 1:],
        intrinsics=frame.intrinsics(intrinsics),
        boxes=frame.to_patch(boxes),
        present=present,
        frame=frame,
    )


def views_of_image(
    image: NDArray[np.uint8], intrinsics: NDArray[np.float64], boxes: NDArray[np.float64],
    size: int, device: torch.device | str = 'cpu',
) -> HandViews:  # fmt: skip
    """Do the same for one live image (H, W) or (H, W, 3), K (3, 3) and boxes (2, 4)."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    return hand_views(
        pixels[None].float() / 255.0,
        torch.as_tensor(intrinsics, dtype=torch.float32, device=device)[None],
        torch.as_tensor(boxes, dtype=torch.float32, device=device)[None],
        size,
    )


def hand_boxes(pixels: Tensor, height: int, width: int, scale: float = BOX_SCALE) -> Tensor:
    """Return square boxes (..., 4) around joints (..., 21, 2) in an image of that size.

    The longer side of the joints' bounding box times ``scale``. Joints that are NaN take no part,
    those far outside the image are drawn in to half an image beyond its border. A hand with fewer
    than three joints inside the image has no box: NaN.
    """
    known = torch.isfinite(pixels).all(dim=-1, keepdim=True)
    size = pixels.new_tensor([width, height])
    inside = (known & (pixels > -0.5) & (pixels < size - 0.5)).all(dim=-1)
    near = torch.minimum(torch.maximum(pixels, -0.5 * size), 1.5 * size)
    low = near.masked_fill(~known, torch.inf).amin(dim=-2)
    high = near.masked_fill(~known, -torch.inf).amax(dim=-2)
    half = (high - low).amax(dim=-1, keepdim=True).clamp(min=1.0) * (scale / 2)
    centre = (low + high) / 2
    boxes = torch.cat([centre - half, centre + half], dim=-1)
    return boxes.masked_fill(inside.sum(dim=-1, keepdim=True) < FEWEST_JOINTS, torch.nan)


def jitter_boxes(
    boxes: Tensor, generator: torch.Generator, shift: float = 0.2, scale: float = 0.0
) -> Tensor:
    """Move boxes (..., 4) by uniform shares of their size within +- ``shift``.

    Args:
        boxes: square or not; NaN stays NaN.
        generator: on the CPU.
        shift: largest, in both axes.
        scale: boxes also grow or shrink by up to this share; the published code leaves it out.
    """
    draws = 2 * torch.rand(*boxes.shape[:-1], 3, generator=generator).to(boxes) - 1
    extent = boxes[..., 2:] - boxes[..., :2]
    centre = (boxes[..., 2:] + boxes[..., :2]) / 2 + shift * draws[..., :2] * extent
    half = extent / 2 * (1 + scale * draws[..., 2:])
    return torch.cat([centre - half, centre + half], dim=-1)


def jitter_gains(
    images: Tensor, draws: Sequence[torch.Generator], width: float = 0.4
) -> Tensor:  # fmt: skip
    """Multiply each channel of clips by a gain uniform in 1 +- ``width``, all frames alike.

    Args:
        images: (N, C, H, W) in 0..1, clip after clip.
        draws: a generator on the CPU for each of the clips.
        width: largest change, as a share.
    """
    drawn = torch.stack([torch.rand(images.shape[1], generator=draw) for draw in draws])
    gains = (1 + width * (2 * drawn - 1)).to(images.dtype).to(images.device, non_blocking=True)
    gains = gains.repeat_interleave(len(images) // len(draws), dim=0)
    return (images * gains[..., None, None]).clamp_(0.0, 1.0)


def too_dark(images: Tensor) -> Tensor:
    """Say which images (N, C, H, W) in 0..1 are of colour and show nothing, (N,) bool.

    Networks answer with a hand there all the same, and learn nothing from it.
    """
    if images.shape[1] != 3:
        return torch.zeros(len(images), dtype=torch.bool, device=images.device)
    bright = images[..., ::4, ::4] > _DARK
    return bright.flatten(1).float().mean(dim=1) < _FEW


def sample_boxes(images: Tensor, rows: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Resample boxes of images to squares (M, 3, S, S), zero outside the image.

    Where a box is reduced it is read from the level of an image pyramid whose pixels are nearest
    in size to the result's, so that nothing aliases.

    Args:
        images: (N, 1 or 3, H, W).
        rows: (M,) which image each box is of.
        boxes: (M, 4).
        size: S.
    """
    count = len(boxes)
    channels, height, width = images.shape[1:]
    steps = ((boxes[:, 2:] - boxes[:, :2]) / size).amax(dim=1)
    most = int(math.log2(max(min(height, width), 1)))
    levels = steps.clamp(min=1e-6).log2().round().clamp(0, most).long()
    result = images.new_empty(count, channels, size, size)
    for level in range(int(levels.max()) + 1 if count else 0):
        if level:
            images = functional.avg_pool2d(images, 2, ceil_mode=True, count_include_pad=False)
        (chosen,) = (levels == level).nonzero(as_tuple=True)
        if len(chosen):
            grid = _grid(boxes[chosen], size, 2**level, images.shape[-2:])
            # Selecting whole images copies them block by block, much faster than indexing does.
            patches = functional.grid_sample(
                images.index_select(0, rows[chosen]), grid, mode='bilinear', align_corners=False
            )
            result.index_copy_(0, chosen, patches)
    return result.expand(-1, 3, -1, -1) if channels == 1 else result


def _grid(boxes: Tensor, size: int, reduction: int, shape: torch.Size) -> Tensor:
    """Return where the pixels of boxes (M, 4) are in a reduced image, as ``grid_sample`` wants."""
    along = (torch.arange(size, dtype=boxes.dtype, device=boxes.device) + 0.5) / size
    height, width = shape
    # Distance from the image's outer corner, as a share of its padded size, to -1..1.
    x = boxes[:, :1] + along * (boxes[:, 2:3] - boxes[:, :1]) + 0.5
    y = boxes[:, 1:2] + along * (boxes[:, 3:] - boxes[:, 1:2]) + 0.5
    x, y = 2 * x / (width * reduction) - 1, 2 * y / (height * reduction) - 1
    square = (len(boxes), size, size)
    return torch.stack([x[:, None, :].expand(square), y[:, :, None].expand(square)], dim=-1)
