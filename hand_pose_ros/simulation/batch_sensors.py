"""Sensors in batches: G-buffers and environments to images, and to native counts."""

from dataclasses import fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.rig.thermal import ThermalValues
from hand_pose_ros.simulation.batch_depth import depth_image
from hand_pose_ros.simulation.batch_draws import clip_preset, draw_environments
from hand_pose_ros.simulation.batch_environment import Environment
from hand_pose_ros.simulation.batch_lap import with_lap
from hand_pose_ros.simulation.batch_nir import nir_image
from hand_pose_ros.simulation.batch_rgb import rgb_image
from hand_pose_ros.simulation.batch_thermal import thermal_counts, thermal_image
from hand_pose_ros.simulation.gbuffer import GBuffer

__all__ = [
    'IMAGES',
    'clip_preset',
    'draw_environments',
    'native_images',
    'render',
]

# Modality -> function that makes its images.
IMAGES = {
    'thermal': thermal_image, 'nir': nir_image, 'depth': depth_image, 'rgb': rgb_image,
}  # fmt: skip


def render(modality: str, gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return what a sensor sees.

    Args:
        modality: ``thermal``, ``nir``, ``depth`` or ``rgb``.
        gbuffer: N images, clip after clip.
        environment: of the B = N / frames clips.

    Returns:
        (N, C, H, W) float32: 0..1 in steps of 1/255, C = 3 for rgb; metres for depth, 0 = none.

    Raises:
        CameraError: there is no such sensor.
    """
    if modality not in IMAGES:
        raise CameraError(f'modality {modality!r} cannot be rendered: use {", ".join(IMAGES)}')
    if gbuffer.depth.device.type != 'cpu' or len(environment) == 1:
        return IMAGES[modality](with_lap(gbuffer, environment.person), environment)
    # Clip by clip everything stays in a processor's cache.
    return torch.cat([
        render(modality, clip_of(gbuffer, clip), environment.clip(clip))
        for clip in range(len(environment))
    ])  # fmt: skip


def native_images(
    description: CameraDescription, gbuffer: GBuffer, environment: Environment
) -> NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]:
    """Return images (N, H, W) or (N, H, W, 3) as a camera of a rig delivers them."""
    modality, encoding = description.modality, description.encoding
    if modality == 'thermal' and encoding == 'mono16':
        values = description.values if isinstance(description.values, ThermalValues) else None
        return thermal_counts(with_lap(gbuffer, environment.person), environment, values)
    images = render(modality, gbuffer, environment).cpu().numpy()
    if modality == 'depth':
        return _native_depth(description, images[:, 0])
    levels = np.rint(images * 255).astype(np.uint8)
    if modality != 'rgb':
        dark = isinstance(description.values, ThermalValues) and not description.values.white_hot
        grey = 255 - levels[:, 0] if dark else levels[:, 0]
        return grey.astype(np.uint16) << 8 if encoding == 'mono16' else grey
    colour = np.moveaxis(levels, 1, -1)
    if encoding.startswith('bgr'):
        colour = colour[..., ::-1]
    if encoding.endswith('a8'):
        colour = np.concatenate([colour, np.full_like(colour[..., :1], 255)], axis=-1)
    return np.ascontiguousarray(colour)


def clip_of(gbuffer: GBuffer, clip: int) -> GBuffer:
    """Return the images of one clip."""
    part = slice(clip * gbuffer.frames, (clip + 1) * gbuffer.frames)
    count = len(gbuffer.depth)
    tensors = {
        field.name: getattr(gbuffer, field.name) for field in fields(gbuffer)
        if field.name != 'frames'
    }  # fmt: skip
    kept = {name: value[part] for name, value in tensors.items() if len(value) == count}
    return replace(gbuffer, **kept)


def _native_depth(
    description: CameraDescription, metres: NDArray[np.float32]
) -> NDArray[np.uint16] | NDArray[np.float32]:
    if description.encoding == '32FC1':
        return np.where(metres > 0, metres, np.float32(np.nan))
    scale = getattr(description.values, 'scale', 0.001)
    return np.minimum(np.rint(metres / scale), 65535).astype(np.uint16)
