"""Near-infrared camera in batches: its own lamp, falling off with distance, and the sun."""

import torch
from torch import Tensor

from hand_pose_ros.simulation import batch_noise as noise
from hand_pose_ros.simulation.batch_device import worth_while
from hand_pose_ros.simulation.batch_environment import Environment, Light, Person
from hand_pose_ros.simulation.batch_shading import diffuse, glare, openness, shadow
from hand_pose_ros.simulation.batch_surfaces import Arms, arms, clothing, look_up, per_frame, write
from hand_pose_ros.simulation.gbuffer import GBuffer

_SALT = 61
_BRIGHT, _TARGET = 0.96, 0.85  # share of the pixels below the level that exposure aims at
_LEAST_GAIN, _MOST_GAIN = 0.4, 4.0  # what it can do
_DARK = 0.02  # level of black
_VEIL = 0.12  # share of the sun's flood that the lens scatters over the image
_NEAREST = 0.12  # the lamp gets no brighter nearer than this, metres


def nir_image(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return 8-bit images (N, 1, H, W) as 0..1."""
    light, frames = environment.light, gbuffer.frames
    image = reflectance(gbuffer, environment)
    image *= _pattern(gbuffer, light)
    image *= _illumination(gbuffer, light)
    image += _VEIL * per_frame(light.nir_flood[:, 0], gbuffer)
    image *= _automatic_exposure(image[::frames], light).repeat_interleave(frames)[:, None, None]
    kernels = noise.motion_kernels(light.nir_blur, 0.6 * light.motion)
    image = noise.convolve(image, kernels.repeat_interleave(frames, 0))
    grain = noise.windows(
        noise.normal_bank(image.device),
        noise.frame_numbers(environment.seeds, frames, _SALT),
        (image.shape[1], image.shape[2]),
    )
    # Shot noise grows with the root of the light, read noise is always there.
    grain *= (image.clamp(0, 1) + 0.15).sqrt_()
    image.addcmul_(grain, 2 * per_frame(light.nir_noise, gbuffer)).add_(_DARK)
    return image.clamp_(0, 1).mul_(255).round_().div_(255)[:, None]


def _automatic_exposure(first: Tensor, light: Light) -> Tensor:
    """Return the gain (B,) that the clip's first images (B, H, W) are exposed with.

    The lamp's reach and the full well limit it: a flood of sunlight stays too bright.
    """
    ordered = first[:, 4::8, 4::8].flatten(1).sort(1).values
    bright = ordered[:, int(_BRIGHT * (ordered.shape[1] - 1))].clamp(min=1e-4)
    return (_TARGET / bright).clamp(_LEAST_GAIN, _MOST_GAIN) * light.exposure


def reflectance(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return reflectance in the near infrared (N, H, W), without patterns; all skin is pale."""
    light = environment.light
    (albedo,) = look_up(gbuffer, light.nir_surfaces[..., None], light.nir_items[..., None])
    seen = arms(gbuffer)
    write(albedo, seen.pixels, _arm_reflectance(seen, environment.person, light))
    return albedo.clamp_(0.02, 1)


def _pattern(gbuffer: GBuffer, light: Light) -> Tensor:
    """Return factors (N, H, W) that patterns put on the reflectance of the surroundings."""
    pattern = noise.patterns(
        light.pattern[:, :1],
        gbuffer.attributes[..., -2:],
        light.pattern_scale,
        light.pattern_offset,
    )[:, 0]
    pattern *= 0.12 * per_frame(light.clutter, gbuffer)
    pattern *= gbuffer.surface == 0
    return pattern.add_(1).clamp_(0.3, 1.5)


def _arm_reflectance(seen: Arms, person: Person, light: Light) -> Tensor:
    value = seen.attributes
    worn, sleeve, _ = clothing(seen, person)
    skin = light.nir_skin[seen.clip] + 0.05 * value['palm'] + 0.02 * value['mottle']
    skin += 0.08 * value['nail'] - 0.10 * value['crease'] - 0.04 * value['finger']
    skin = torch.lerp(skin, light.nir_glove[seen.clip], worn)
    cloth = light.nir_cloth[seen.clip] * (1 + 0.12 * value['mottle'])
    return torch.lerp(skin, cloth, sleeve)


def _illumination(gbuffer: GBuffer, light: Light) -> Tensor:
    """Return grey levels (N, H, W) of white under the lamp, the room's light and the sun."""
    active = (0.25 + 0.75 * gbuffer.facing) / gbuffer.depth.clamp(min=_NEAREST) ** 2
    active *= per_frame(light.nir_power, gbuffer)
    active *= openness(gbuffer, 0.6 * light.occlusion)
    if worth_while(light.sun):
        flood, slope = (per_frame(value, gbuffer) for value in light.nir_flood.T)
        across = torch.linspace(-1, 1, active.shape[2], device=active.device)
        sun = diffuse(gbuffer, light.sun_direction) * shadow(gbuffer, light.shadow)
        active += flood * (0.35 + 0.65 * sun) * (1 + slope * across)
        active += 2.0 * glare(gbuffer, light)
    return active
