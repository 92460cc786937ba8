"""Depth camera in batches: noise, quantisation, holes, mixed pixels and what the sun spoils."""

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.simulation import batch_noise as noise
from hand_pose_ros.simulation.batch_environment import Environment
from hand_pose_ros.simulation.batch_nir import reflectance
from hand_pose_ros.simulation.batch_surfaces import per_frame
from hand_pose_ros.simulation.gbuffer import GBuffer

_SALT = 71
NEAREST, FARTHEST = 0.1, 10.0  # trusted range, metres
_MILLIMETRE = 0.001
_BRIGHT = 0.35  # reflectance with the noise and reach that are stated; darker is worse
_SUN_NOISE, _SUN_REACH, _SUN_DROPOUT = 3.5, 8.0, 25.0  # how the full sun adds to each
_WEAKEST = 0.012  # returned signal (reflectance * cosine / z^2) below which nothing is measured


def depth_image(gbuffer: GBuffer, environment: Environment) -> Tensor:
    """Return metres (N, 1, H, W), 0 where nothing was measured."""
    look, frames, seeds = environment.depth, gbuffer.frames, environment.seeds
    sun = per_frame(environment.light.sun, gbuffer)
    clean = gbuffer.depth
    size = (clean.shape[1], clean.shape[2])
    numbers = noise.frame_numbers(seeds, frames, _SALT)
    grain = noise.windows(noise.normal_bank(clean.device), numbers, size)
    numbers = noise.frame_numbers(seeds, frames, _SALT + 1)
    chance = noise.windows(noise.uniform_bank(clean.device), numbers, size)
    nearest, farthest = _neighbours(clean)
    edge = (farthest - nearest) > per_frame(look.edge, gbuffer)
    holes, mixed = per_frame(look.holes, gbuffer), per_frame(look.mixed, gbuffer)
    between = nearest + (chance - holes) / mixed * (farthest - nearest)
    metres = torch.where(edge & (chance >= holes) & (chance < holes + mixed), between, clean)
    albedo = reflectance(gbuffer, environment)
    squared = clean * clean
    loudness = (_BRIGHT / albedo).sqrt_().mul_(1 + _SUN_NOISE * sun * sun)
    metres.addcmul_(grain * loudness, per_frame(look.noise, gbuffer) * squared)
    metres = _quantised(metres, per_frame(look.step, gbuffer) * squared)
    signal = albedo * gbuffer.facing / squared.clamp(min=1e-4)
    lost = edge & (chance < holes)
    lost |= gbuffer.facing < per_frame(look.grazing, gbuffer) * (0.6 + 0.8 * chance)
    lost |= signal < _WEAKEST * (1 + _SUN_REACH * sun)
    lost |= chance > 1 - per_frame(look.dropout, gbuffer) * (1 + _SUN_DROPOUT * sun * sun)
    lost |= (clean <= 0) | (metres < NEAREST) | (metres > FARTHEST)
    return metres.masked_fill_(lost, 0)[:, None]


def _neighbours(depth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the largest value of the 3 x 3 pixels around each (N, H, W)."""
    padded = functional.pad(depth[None], (1, 1, 1, 1), mode='replicate')[0]
    least, largest = padded, padded
    for axis in (1, 2):
        length = depth.shape[axis]
        low = [least.narrow(axis, start, length) for start in range(3)]
        high = [largest.narrow(axis, start, length) for start in range(3)]
        least = torch.minimum(torch.minimum(low[0], low[1]), low[2])
        largest = torch.maximum(torch.maximum(high[0], high[1]), high[2])
    return least, largest


def _quantised(metres: Tensor, step: Tensor) -> Tensor:
    """Round to the sensor's own steps, where they are coarser, and to whole millimetres."""
    step = step.clamp(min=_MILLIMETRE)
    metres = (metres / step).round_().mul_(step)
    return metres.mul_(1 / _MILLIMETRE).round_().mul_(_MILLIMETRE)
