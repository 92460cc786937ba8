"""Light on batched surfaces: lamps, folds, cast shadows, highlights; shared by RGB and NIR."""

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.simulation.batch_environment import Light
from hand_pose_ros.simulation.batch_surfaces import finer, per_frame, scene_places, shifted
from hand_pose_ros.simulation.gbuffer import GBuffer

_FOLD = 0.03  # a surface this much deeper than its surroundings is in a fold, metres


def diffuse(gbuffer: GBuffer, direction: Tensor) -> Tensor:
    """Return the cosine (N, H, W), 0 or more, towards a light (B, 3) in the scene's frame."""
    R_cam_scene = gbuffer.T_scene_cam[:, :3, :3].float().transpose(1, 2)
    towards = R_cam_scene @ direction.repeat_interleave(gbuffer.frames, 0)[..., None]
    x, y, z = towards[:, :, 0, None, None].unbind(1)
    cosine = gbuffer.normal[..., 0] * x
    cosine.addcmul_(gbuffer.normal[..., 1], y).addcmul_(gbuffer.normal[..., 2], z)
    return cosine.clamp_(min=0)


def openness(gbuffer: GBuffer, strength: Tensor) -> Tensor:
    """Return how much ambient light reaches each pixel (N, H, W), 1 = all of it.

    What of hands, arms and things lies deeper than the surface around it is in a fold or close
    behind an edge (unsharp mask of the depth buffer, Luft et al. 2006).
    """
    depth = gbuffer.depth
    low = functional.avg_pool2d(depth, 4, ceil_mode=True)
    around = functional.avg_pool2d(low[:, None], 5, 1, 2, count_include_pad=False)[:, 0]
    deeper = depth - finer(around, (depth.shape[1], depth.shape[2]))
    closed = (deeper / _FOLD).clamp_(0, 1)
    closed *= gbuffer.surface > 0
    return 1 - closed * per_frame(strength, gbuffer)


def shadow(gbuffer: GBuffer, values: Tensor) -> Tensor:
    """Return how much direct light is left (N, H, W) beside hands and arms on the background.

    Args:
        gbuffer: N images.
        values: (B, 3) strength, and where the shadow falls, down and right, in eighths.
    """
    surface = gbuffer.surface
    low = functional.avg_pool2d((surface > 0).float(), 8, ceil_mode=True)
    low = functional.avg_pool2d(low[:, None], 3, 1, 1)[:, 0]
    moved = shifted(low, values[:, 1:], gbuffer.frames)
    dark = finer(moved, (surface.shape[1], surface.shape[2]))
    return 1 - dark * (surface == 0) * per_frame(values[:, 0], gbuffer)


def glare(gbuffer: GBuffer, light: Light) -> Tensor:
    """Return the light (N, H, W) of the sun mirrored by table and things, before exposure."""
    x, y = scene_places(gbuffer)
    centre_x, centre_y, size_x, size_y, strength = (
        per_frame(value, gbuffer) for value in light.glare.T
    )
    squared = ((x - centre_x) / size_x) ** 2 + ((y - centre_y) / size_y) ** 2
    spot = per_frame(light.sun, gbuffer) * strength * torch.exp(-squared)
    return finer(spot, (gbuffer.depth.shape[1], gbuffer.depth.shape[2]))
