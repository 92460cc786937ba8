"""Colour camera in batches: skin, gloves and cloth before patterned surroundings, in any light."""

import torch
from torch import Tensor

from hand_pose_ros.simulation import batch_noise as noise
from hand_pose_ros.simulation.batch_device import put, worth_while
from hand_pose_ros.simulation.batch_environment import Environment, Light, Person
from hand_pose_ros.simulation.batch_shading import diffuse, glare, openness, shadow
from hand_pose_ros.simulation.batch_surfaces import Arms, arms, clothing, look_up, per_frame
from hand_pose_ros.simulation.gbuffer import GBuffer

_SALT = 51
_MOST_GAIN = 4.0  # what the automatic exposure can do at most
_TARGET = 0.16  # linear mean it aims at
_SUN = 5.0  # light of the full sun, of a lit office
_SUN_COLOUR = (1.08, 1.0, 0.86)
_TOE = 0.004  # linear level below which the tone curve is straight
_GREY = (0.299, 0.587, 0.114)
_NAIL = (0.75, 0.45, 0.40)  # linear R G B that nails are half way to


def rgb_image(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return 8-bit images (N, 3, H, W), R G B, as 0..1."""
    light = environment.light
    seen = arms(gbuffer)
    image = _albedo(gbuffer, environment, seen)
    image *= _illumination(gbuffer, light)
    gain = _automatic_exposure(image, light, gbuffer.frames)
    frames_gain = gain.repeat_interleave(gbuffer.frames)[:, None, None, None]
    image *= frames_gain
    image = _lens(image, light, gbuffer.frames)
    image /= (image + _TOE).sqrt_()
    _develop(image, gain, environment, gbuffer.frames)
    return image


def _albedo(gbuffer: GBuffer, environment: Environment, seen: Arms) -> Tensor:
    """Return linear reflectance (N, 3, H, W)."""
    light, person = environment.light, environment.person
    looks = look_up(gbuffer, light.surfaces, light.items)
    pattern = noise.patterns(
        light.pattern, gbuffer.attributes[..., -2:], light.pattern_scale, light.pattern_offset
    )
    mixed = pattern[:, 0].add_(pattern[:, 1], alpha=0.5)
    mixed *= 0.3 * per_frame(light.clutter, gbuffer)
    mixed += 0.4
    mixed.clamp_(0, 1)
    albedo = mixed.new_empty(len(mixed), 3, *mixed.shape[1:])
    for channel in range(3):
        torch.lerp(looks[channel], looks[channel + 3], mixed, out=albedo[:, channel])
    _paint_arms(albedo, seen, person, light)
    return albedo


def _paint_arms(albedo: Tensor, seen: Arms, person: Person, light: Light) -> None:
    """Write the colours of skin, gloves and cloth into images (N, 3, H, W)."""
    value = seen.attributes
    mottle, finger = value['mottle'], value['finger']
    skin = torch.lerp(person.skin[seen.clip].T, person.pale[seen.clip].T, 0.7 * value['palm'])
    skin *= 1 + 0.05 * mottle - 0.3 * value['crease']
    skin += light.sheen[seen.clip] * seen.facing**8
    red = 0.12 * value['palm'] + 0.18 * finger * finger
    skin[0] *= 1 + red
    skin[1:] *= 1 - 0.5 * red
    nail = torch.lerp(skin, put(_NAIL, skin.device)[:, None], 0.45)
    skin = torch.lerp(skin, nail, value['nail'])
    glove, sleeve, watch = clothing(seen, person)
    knit = 1 + 0.12 * mottle
    skin = torch.lerp(skin, person.glove_colour[seen.clip].T * knit, glove)
    pattern = _cloth_pattern(seen, value, person)
    cloth = torch.lerp(
        person.cloth_colour[seen.clip].T, person.cloth_colour_2[seen.clip].T, pattern
    )
    cloth = cloth * (1 + 0.12 * mottle)
    colour = torch.lerp(skin, cloth, sleeve)
    colour = torch.where(watch, person.strap[seen.clip].T, colour).clamp_(0, 1)
    size = albedo[0, 0].numel()
    places = seen.pixels + (seen.pixels // size) * (2 * size)
    flat = albedo.view(-1)
    for channel in range(3):
        flat.index_copy_(0, places + channel * size, colour[channel])


def _cloth_pattern(seen: Arms, value: dict[str, Tensor], person: Person) -> Tensor:
    """Return how much of the second colour the sleeves have at the arms' pixels (M,)."""
    tiles = noise.pattern_bank(value['u'].device)
    scale = person.cloth_scale[seen.clip] * noise.PATTERN
    row = (value['u'] * scale).long() % noise.PATTERN
    column = (value['v'] * scale).long() % noise.PATTERN
    return (0.3 + 0.4 * tiles[person.cloth_pattern[seen.clip], row, column]).clamp(0, 1)


def _illumination(gbuffer: GBuffer, light: Light) -> Tensor:
    """Return the light (N, 3, H, W) that reaches the surfaces, 1 = a lit office."""
    ambient = per_frame(light.ambient, gbuffer)
    open_share = openness(gbuffer, light.occlusion)
    direct = shadow(gbuffer, light.shadow)
    room = diffuse(gbuffer, light.lamp) * (1.5 * (1 - ambient)) * direct
    room = room.addcmul_(ambient, open_share).mul_(per_frame(light.light, gbuffer))
    total = per_frame(light.white, gbuffer) * room[:, None]
    if worth_while(light.sun):
        sun = diffuse(gbuffer, light.sun_direction).mul_(direct)
        sun *= per_frame(light.sun, gbuffer) * _SUN
        sun += glare(gbuffer, light) * _SUN
        total.addcmul_(sun[:, None], put(_SUN_COLOUR, sun.device)[:, None, None])
    return total


def _automatic_exposure(image: Tensor, light: Light, frames: int) -> Tensor:
    """Return the gain (B,) that the clip's first images are exposed with."""
    mean = image[::frames, :, ::8, ::8].clamp(max=2.0).mean((1, 2, 3))
    gain = (_TARGET / mean.clamp(min=1e-6)).clamp(max=_MOST_GAIN)
    return gain * light.exposure * (1 + 1.5 * light.sun)


def _lens(image: Tensor, light: Light, frames: int) -> Tensor:
    """Blur images (N, 3, H, W) by lens and motion."""
    kernels = noise.motion_kernels(light.blur, light.motion).repeat_interleave(3 * frames, 0)
    return noise.convolve(image.flatten(0, 1), kernels).view(image.shape).clamp_(min=0)


def _develop(image: Tensor, gain: Tensor, environment: Environment, frames: int) -> None:
    """Apply veil, contrast, saturation and noise and quantise, in place."""
    light = environment.light

    def spread(values: Tensor) -> Tensor:
        return values.repeat_interleave(frames)[:, None, None, None]

    veil = (light.veil + 0.25 * light.sun**2).clamp(max=0.5) * (gain * light.light).clamp(max=1)
    contrast = light.contrast * (1 - veil)
    image *= spread(contrast)
    image += spread(0.5 * veil - 0.2 * (light.contrast - 1) * (gain * light.light).clamp(max=1))
    grey = (image * put(_GREY, image.device)[:, None, None]).sum(1, keepdim=True)
    torch.lerp(grey, image, spread(light.saturation), out=image)
    numbers = noise.frame_numbers(environment.seeds, 3 * frames, _SALT)
    size = (image.shape[2], image.shape[3])
    grain = noise.windows(noise.normal_bank(image.device), numbers, size).view(image.shape)
    sigma = light.noise / 255 * (0.7 + 0.5 * gain)
    image.addcmul_(grain, spread(sigma))
    image.clamp_(0, 1).mul_(255).round_().div_(255)
