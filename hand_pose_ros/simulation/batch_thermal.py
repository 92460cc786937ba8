"""Thermal camera in batches: a temperature map, the lens, the microbolometer and its gain."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.rig.thermal import ABSOLUTE_ZERO, ThermalValues
from hand_pose_ros.simulation import batch_noise as noise
from hand_pose_ros.simulation.batch_device import worth_while
from hand_pose_ros.simulation.batch_environment import LAP, Environment, Heat, Person
from hand_pose_ros.simulation.batch_surfaces import (
    COARSE,
    Arms,
    arms,
    clothing,
    finer,
    look_up,
    per_frame,
    scene_places,
    shifted,
    write,
)
from hand_pose_ros.simulation.gbuffer import GBuffer
from hand_pose_ros.simulation.thermal import emissivity

_STEPS = 1024  # steps of the gain curve
_SALT = 41
_SLEEVE_START = -0.05  # metres along the forearm, as in ``bodies``
_OUTLINE = 0.4  # share of their warmth that round thighs lose towards their outline
_LINEAR = ThermalValues(kind='tlinear', gain=0.04)


def thermal_image(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return 8-bit white-hot images (N, 1, H, W) as 0..1, after automatic gain."""
    return _gain(temperatures(gbuffer, environment), environment.heat, gbuffer.frames)[:, None]


def thermal_counts(
    gbuffer: GBuffer, environment: Environment, values: ThermalValues | None
) -> NDArray[np.uint16]:
    """Return native 16-bit counts (N, H, W) of a camera; warm is dark for a black-hot one.

    Args:
        gbuffer: N images.
        environment: of the B clips.
        values: what the counts mean; without temperature an arbitrary linear scale.
    """
    celsius = temperatures(gbuffer, environment).cpu().numpy()
    values = values or _LINEAR
    if values.kind == 'planck':
        exponential = np.exp(values.B / (celsius - ABSOLUTE_ZERO))
        counts = values.R1 / (values.R2 * (exponential - values.F)) - values.O
    else:
        scale = values if values.kind == 'tlinear' else _LINEAR
        counts = (celsius - scale.offset) / scale.gain
    whole = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    return whole if values.white_hot else 65535 - whole


def temperatures(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return what the camera measures, in degrees Celsius (N, H, W), noise included."""
    heat = environment.heat
    seen = arms(gbuffer)
    celsius = _surroundings(gbuffer, environment)
    warmth = _arm_temperatures(seen, environment.person, heat)
    _add_traces(celsius, gbuffer, seen, warmth, heat)
    write(celsius, seen.pixels, warmth)
    celsius = noise.convolve(celsius, _lens(heat, gbuffer.frames))
    _add_camera(celsius, gbuffer.frames, environment)
    return celsius


def _surroundings(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return degrees Celsius (N, H, W) of everything but the arms."""
    heat = environment.heat
    (celsius,) = look_up(gbuffer, heat.surfaces[..., None], heat.items[..., None])
    celsius += finer(_uneven(gbuffer, heat), (celsius.shape[1], celsius.shape[2]))
    lap = gbuffer.material == LAP
    if worth_while(lap):
        warmer = per_frame(heat.surfaces[:, LAP] - heat.ambient, gbuffer)
        celsius += lap * (warmer * _OUTLINE * (gbuffer.facing - 1))
    return celsius


def _uneven(gbuffer: GBuffer, heat: Heat) -> Tensor:
    """Return kelvin (N, h, w), coarse, by which materials and places differ within themselves."""
    of_items = heat.texture[:, -1:].expand(-1, heat.items.shape[1], -1)
    weak, strong = look_up(gbuffer, heat.texture, of_items, COARSE)
    pattern = noise.patterns(
        heat.pattern,
        gbuffer.attributes[:, ::COARSE, ::COARSE, -2:],
        heat.pattern_scale,
        heat.pattern_offset,
    )
    kelvin = weak.mul_(pattern[:, 0]).addcmul_(strong, pattern[:, 1])
    if worth_while(heat.patches[:, :, 4]):
        kelvin += _warm_patches(gbuffer, heat)
    return kelvin


def _warm_patches(gbuffer: GBuffer, heat: Heat) -> Tensor:
    """Return kelvin (N, h, w) of warm places: heaters, screens, sun, where somebody sat."""
    x, y = scene_places(gbuffer)
    total = torch.zeros_like(x)
    for patch in range(heat.patches.shape[1]):
        if not worth_while(heat.patches[:, patch, 4]):
            continue
        values = (per_frame(value, gbuffer) for value in heat.patches[:, patch].T)
        centre_x, centre_y, size_x, size_y, kelvin, edge = values
        squared = ((x - centre_x) / size_x) ** 2 + ((y - centre_y) / size_y) ** 2
        total += kelvin * torch.sigmoid(edge * (1 - squared))
    return total


def _arm_temperatures(seen: Arms, person: Person, heat: Heat) -> Tensor:
    """Return degrees Celsius (M,) that hands, arms and sleeves seem to have."""
    value = seen.attributes
    u, v = value['u'], value['v']
    ambient, core, tip = heat.ambient[seen.clip], seen.of_sides(heat.core), seen.of_sides(heat.tip)
    skin = core + (tip - core) * value['finger'] ** heat.tip_power[seen.clip]
    for name in ('palm', 'nail', 'crease', 'mottle'):
        skin += getattr(heat, name)[seen.clip] * value[name]
    skin += heat.arm[seen.clip] * u.clamp(-0.3, 0)
    for wave in range(heat.waves.shape[2]):
        kelvin, along, across, phase = map(seen.of_sides, heat.waves[:, :, wave].unbind(-1))
        skin += kelvin * torch.sin(along * u + across * v + phase)
    folds, number, bend, phase = heat.folds[seen.clip].T
    fold = folds * torch.sin(number * u + bend * v + phase + torch.sin(0.37 * number * u))
    gloved = ambient + heat.glove[seen.clip] * (0.6 * skin + 0.4 * core - ambient) + 0.25 * fold
    glove, sleeve, watch = clothing(seen, person)
    skin = torch.lerp(skin, gloved, glove)
    cooler, length = heat.cuff[seen.clip].T
    cuff = cooler * (1 + (u - _SLEEVE_START) / length).clamp(0, 1)
    cloth = ambient + heat.cloth[seen.clip] * (core - ambient) + fold - cuff
    result = torch.lerp(skin, cloth, sleeve)
    result = torch.where(watch, ambient + heat.watch[seen.clip] * (core - ambient), result)
    return ambient + emissivity(seen.facing) * (result - ambient)


def _add_traces(celsius: Tensor, gbuffer: GBuffer, seen: Arms, warmth: Tensor, heat: Heat) -> None:
    """Add to the surroundings what the hands do to them: mirror images and warm prints."""
    size = (celsius.shape[1], celsius.shape[2])
    background = gbuffer.surface == 0
    if worth_while(heat.reflection[:, 0]):
        excess = torch.zeros_like(celsius)
        write(excess, seen.pixels, warmth - heat.ambient[seen.clip])
        low = functional.avg_pool2d(excess, 8)
        low = functional.avg_pool2d(low[:, None], 3, 1, 1)[:, 0]
        share = per_frame(heat.reflection[:, 0], gbuffer)
        mirrored = shifted(low, heat.reflection[:, 1:], gbuffer.frames)
        celsius += finer(share * mirrored, size) * background
    if worth_while(heat.prints[:, 0]):
        mask = (gbuffer.hand_mask[:: gbuffer.frames] > 0).float()
        low = shifted(functional.avg_pool2d(mask, 2), heat.prints[:, 1:] / 2, 1)
        marks = finer(heat.prints[:, 0, None, None] * low, size)
        celsius += marks.repeat_interleave(gbuffer.frames, 0) * background


def _lens(heat: Heat, frames: int) -> Tensor:
    return noise.lens_kernels(heat.blur, heat.halo).repeat_interleave(frames, 0)


def _add_camera(celsius: Tensor, frames: int, environment: Environment) -> None:
    """Add lag, shading, fixed pattern and noise in place."""
    heat, seeds = environment.heat, environment.seeds
    height, width = size = (celsius.shape[1], celsius.shape[2])
    clips = celsius.view(-1, frames, height, width)
    if frames > 1 and worth_while(heat.lag):
        before = clips[:, :-1].clone()
        clips[:, 1:] += heat.lag[:, None, None, None] * (before - clips[:, 1:])
    bank = noise.normal_bank(celsius.device)
    fixed = noise.windows(bank, noise.clip_numbers(seeds, _SALT), size)
    stripes = noise.windows(bank, noise.clip_numbers(seeds, _SALT + 1), size)
    fixed *= heat.fixed_pattern[:, None, None]
    fixed += heat.columns[:, None, None] * stripes[:, :1]
    fixed += heat.rows[:, None, None] * stripes[:, :, :1]
    y = torch.linspace(-1, 1, height, device=celsius.device)[:, None]
    x = torch.linspace(-1, 1, width, device=celsius.device)
    drift = heat.drift[:, :, None, None]
    uneven = stripes[:, :6, :8].contiguous()
    fixed += drift[:, 0] * x + drift[:, 1] * y + heat.vignette[:, None, None] * (x * x + y * y) / 2
    fixed += drift[:, 2] * finer(uneven, size)
    clips += fixed[:, None]
    grain = noise.windows(bank, noise.frame_numbers(seeds, frames, _SALT), size)
    celsius.addcmul_(grain, heat.netd.repeat_interleave(frames)[:, None, None])


def _gain(celsius: Tensor, heat: Heat, frames: int) -> Tensor:
    """Map temperatures (N, H, W) to grey levels 0..1 in steps of 1/255.

    The curve is that of the clip's first image, as a camera's slow automatic gain.
    """
    sample = celsius[::frames, 4::8, 4::8].flatten(1).sort(1).values
    ranks = (heat.percentiles * (sample.shape[1] - 1)).round().long()
    low, high = sample.gather(1, ranks).T
    high = torch.maximum(high, low + 2.5)
    fixed, fixed_low, fixed_high = heat.window.T
    low, high = torch.lerp(low, fixed_low, fixed), torch.lerp(high, fixed_high, fixed)
    curve = _curve(sample, low, high, heat)
    scale = (_STEPS - 1) / (high - low)
    steps = celsius.mul(scale.repeat_interleave(frames)[:, None, None])
    steps += (0.5 - low * scale).repeat_interleave(frames)[:, None, None]
    index = steps.clamp_(0, _STEPS - 1).long().view(len(curve), -1)
    return curve.gather(1, index).view(celsius.shape)


def _curve(sample: Tensor, low: Tensor, high: Tensor, heat: Heat) -> Tensor:
    """Return grey levels (B, 1024) of evenly spaced temperatures between two of each clip."""
    share = torch.linspace(0, 1, _STEPS, device=sample.device)
    levels = torch.lerp(low[:, None], high[:, None], share)
    rank = torch.searchsorted(sample, levels.contiguous()) / sample.shape[1]
    mixed = torch.lerp(share ** heat.gamma[:, None], rank, heat.plateau[:, None])
    grey = torch.lerp(heat.levels[:, :1], heat.levels[:, 1:], mixed)
    grey = torch.lerp(grey, 1 - grey, heat.black_hot[:, None])
    return (grey * 255).round() / 255
