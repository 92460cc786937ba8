"""What the batched sensors read from a G-buffer alike: looks per material, arms, places."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_environment import LOOKS, Person
from hand_pose_ros.simulation.gbuffer import ATTRIBUTES, GBuffer

_GLOVE_END = -0.06  # metres along the forearm
COARSE = 2  # pixels per sample of soft fields


def per_frame(values: Tensor, gbuffer: GBuffer, dimensions: int = 2) -> Tensor:
    """Repeat values (B, ...) of clips for their frames: (N, ..., 1, 1) to multiply images with."""
    repeated = values.repeat_interleave(gbuffer.frames, dim=0)
    return repeated.reshape(*repeated.shape, *([1] * dimensions))


def look_up(gbuffer: GBuffer, surfaces: Tensor, items: Tensor, step: int = 1) -> list[Tensor]:
    """Return per pixel what a clip's table says about the material or object there.

    Args:
        gbuffer: N images.
        surfaces: (B, materials, C) of materials and, last, the lap.
        items: (B, I, C) of objects, which count more than their material.
        step: only every so many pixels.

    Returns:
        C images (N, H / step, W / step).
    """
    table = torch.cat([surfaces, items], dim=1)
    item, material = gbuffer.item[:, ::step, ::step], gbuffer.material[:, ::step, ::step]
    number = item.clamp(max=items.shape[1])
    key = torch.where(number > 0, number + (LOOKS - 1), material).int()
    if len(table) > 1:
        clips = torch.arange(len(key), device=key.device, dtype=torch.int32) // gbuffer.frames
        key += (clips * table.shape[1])[:, None, None]
    flat = key.view(-1)
    return [
        torch.index_select(column, 0, flat).view(key.shape)
        for column in table.flatten(0, 1).T.contiguous()
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arms:
    """The M pixels that show hands, forearms or sleeves, those of left arms first.

    Attributes:
        pixels: (M,) places in the flattened images (N * H * W).
        clip: (M,) int64 which clip; (1,) where there is only one.
        counts: (2,) int64 pixels of left and of right arms.
        side: (M,) 0 = left or 1 = right.
        hand: (M,) whether it is a hand rather than an arm.
        attributes: (M,) each, see ``gbuffer.ATTRIBUTES``.
        facing: (M,) cosine to the camera.
    """

    pixels: Tensor
    clip: Tensor
    counts: Tensor
    side: Tensor
    hand: Tensor
    attributes: dict[str, Tensor]
    facing: Tensor

    def of_sides(self, values: Tensor) -> Tensor:
        """Return values (B, 2, ...) of clips and sides for every pixel: (M, ...)."""
        if len(values) == 1:
            return values[0].repeat_interleave(self.counts, 0, output_size=len(self.pixels))
        return values[self.clip, self.side]


def arms(gbuffer: GBuffer) -> Arms:
    """Collect the pixels of hands and arms."""
    surface = gbuffer.surface.reshape(-1)
    arm = (surface - 1) < 4  # uint8: 0 - 1 wraps to 255
    places = arm.nonzero()[:, 0]
    odd = (surface[places] & 1).bool()
    parts = places[odd], places[~odd]
    pixels = torch.cat(parts)
    counts = put([len(part) for part in parts], pixels.device)
    per_clip = gbuffer.frames * gbuffer.depth[0].numel()
    attributes = gbuffer.attributes.flatten(0, 2)[pixels]
    alone = len(gbuffer.depth) == gbuffer.frames
    return Arms(
        pixels=pixels,
        clip=counts.new_zeros(1) if alone else pixels // per_clip,
        counts=counts,
        side=torch.arange(2, device=pixels.device).repeat_interleave(
            counts, output_size=len(pixels)
        ),
        hand=surface[pixels] <= 2,
        attributes=dict(zip(ATTRIBUTES, attributes.T.contiguous(), strict=True)),
        facing=gbuffer.facing.reshape(-1)[pixels],
    )


def shifted(images: Tensor, shifts: Tensor, frames: int) -> Tensor:
    """Move the images (N, h, w) of each clip by whole pixels (B, 2) down and right, around."""
    height, width = images.shape[1:]
    down, right = shifts.long().repeat_interleave(frames, 0)[:, :, None].unbind(1)
    rows = (torch.arange(height, device=images.device) - down) % height  # (N, h)
    columns = (torch.arange(width, device=images.device) - right) % width
    image = torch.arange(len(images), device=images.device)[:, None, None]
    return images[image, rows[:, :, None], columns[:, None]]


def clothing(seen: Arms, person: Person) -> tuple[Tensor, Tensor, Tensor]:
    """Return how much of each pixel (M,) is glove and sleeve, 0..1, and which are watch (bool)."""
    along_arm = seen.attributes['u']
    glove = person.glove[seen.clip] * (along_arm > _GLOVE_END)
    sleeve = seen.attributes['sleeve'] * (1 - person.bare[seen.clip])
    side, centre, half = person.watch[seen.clip].T
    watch = (side == seen.side) & ((along_arm - centre).abs() < half) & ~seen.hand
    return glove, sleeve, watch


def write(images: Tensor, places: Tensor, values: Tensor) -> None:
    """Write values (M,) at places (M,) of flattened images (N, H, W), in place."""
    images.view(-1).index_copy_(0, places, values.to(images.dtype))


def finer(fields: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge coarse fields (N, h, w) smoothly to (N, H, W)."""
    # As channels of one image: several times faster on CPUs than as images of one channel.
    return functional.interpolate(fields[None], size, mode='bilinear', align_corners=False)[0]


def scene_places(gbuffer: GBuffer) -> Tensor:
    """Return x and y (2, N, h, w) of every second pixel's surface from the clip's first camera.

    Axes are the scene's (x forward, y left), metres.
    """
    rays = gbuffer.rays[:, ::COARSE, ::COARSE]
    depth = gbuffer.depth[:, ::COARSE, ::COARSE]
    return torch.stack([
        depth * along(gbuffer, rays, axis) + _origin(gbuffer, axis) for axis in (0, 1)
    ])  # fmt: skip


def along(gbuffer: GBuffer, rays: Tensor, axis: int) -> Tensor:
    """Return the step of the rays along an axis of the scene per metre of depth."""
    row = gbuffer.T_scene_cam[:, axis, :3, None, None].to(rays.dtype)
    return row[:, 0] * rays[..., 0] + row[:, 1] * rays[..., 1] + row[:, 2]


def _origin(gbuffer: GBuffer, axis: int) -> Tensor:
    places = gbuffer.T_scene_cam[:, axis, 3].float()
    first = places[:: gbuffer.frames].repeat_interleave(gbuffer.frames)
    return (places - first)[:, None, None]
