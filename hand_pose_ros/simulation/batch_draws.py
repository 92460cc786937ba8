"""Draws the environments of clips: each part from a generator of its own."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import torch

from hand_pose_ros.simulation.batch_config import SPLITS, SimulationConfig
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_draws_heat import draw_heat
from hand_pose_ros.simulation.batch_draws_light import draw_light, random_colour
from hand_pose_ros.simulation.batch_environment import DepthLook, Environment, Heat, Light, Person
from hand_pose_ros.simulation.batch_noise import PATTERN_KINDS
from hand_pose_ros.simulation.draws import Draws
from hand_pose_ros.simulation.settings import Preset, draw_preset

# What one part draws never moves another: light off leaves heat and depth bit for bit.
_PARTS = {'setting': 1, 'person': 2, 'heat': 3, 'light': 4, 'depth': 5, 'noise': 6}
_STREAM = 900  # keeps these generators apart from those of motion and scene

# Linear R G B of the palest and the darkest skin.
_PALE, _DARK = np.array([0.86, 0.52, 0.40]), np.array([0.085, 0.035, 0.02])


def clip_generator(config: SimulationConfig, number: int, part: str) -> np.random.Generator:
    """Return the generator of one part of one clip's environment."""
    split = SPLITS.index(config.split)
    return np.random.default_rng([config.seed, split, number, _STREAM + _PARTS[part]])


def clip_preset(config: SimulationConfig, number: int) -> Preset:
    """Return the setting a clip is in."""
    return draw_preset(config.setting, clip_generator(config, number, 'setting'))


def draw_environments(
    config: SimulationConfig, numbers: Sequence[int], device: torch.device | str = 'cpu'
) -> Environment:
    """Draw the environments of clips; each depends on the configuration and its number only."""
    presets = [clip_preset(config, number) for number in numbers]
    people, heats, lights, depths, seeds = [], [], [], [], []
    for preset, number in zip(presets, numbers, strict=True):
        draws = {part: Draws(clip_generator(config, number, part)) for part in _PARTS}
        people.append(_person(preset, draws['person']))
        heats.append(draw_heat(preset, draws['heat']))
        lights.append(draw_light(preset, draws['light']))
        depths.append(_depth(draws['depth']))
        seeds.append(int(draws['noise'].generator.integers(1 << 62)))
    return Environment(
        settings=tuple(preset.name for preset in presets),
        seeds=tuple(seeds),
        person=_stack(Person, people, device),
        heat=_stack(Heat, heats, device),
        light=_stack(Light, lights, device),
        depth=_stack(DepthLook, depths, device),
    )


def _person(preset: Preset, draws: Draws) -> dict[str, Any]:
    tone = draws.generator.beta(0.9, 1.1)
    skin = _PALE ** (1 - tone) * _DARK**tone * np.exp(draws.normal(0.06, 3))
    side = draws.generator.integers(0, 2) if draws.chance(0.3) else -1
    return {
        'glove': draws.chance(preset.gloves),
        'bare': draws.chance(0.3),
        'skin': skin,
        'pale': skin + 0.5 * tone * (0.55 * _PALE - skin),
        'glove_colour': random_colour(draws),
        'cloth_colour': random_colour(draws),
        'cloth_colour_2': random_colour(draws),
        'strap': random_colour(draws),
        'cloth_pattern': draws.generator.integers(0, PATTERN_KINDS),
        'cloth_scale': draws.logarithmic(1.0, 8.0),
        'watch': (float(side), draws.between(-0.045, -0.012), draws.between(0.008, 0.018)),
        'lap': (
            draws.chance(0.75), draws.between(0.3, 0.55), draws.between(0.04, 0.16),
            draws.between(0.055, 0.095), draws.between(0.15, 0.55),
        ),
    }  # fmt: skip


def _depth(draws: Draws) -> dict[str, Any]:
    return {
        'noise': draws.logarithmic(0.0025, 0.009),
        'step': draws.logarithmic(0.0005, 0.004) * draws.chance(0.6),
        'edge': draws.between(0.012, 0.03),
        'holes': draws.between(0.15, 0.7),
        'mixed': draws.between(0.05, 0.3),
        'grazing': draws.between(0.04, 0.18),
        'dropout': draws.logarithmic(0.0005, 0.02),
    }


_Look = TypeVar('_Look', Person, Heat, Light, DepthLook)


def _stack(kind: type[_Look], clips: list[dict[str, Any]], device: torch.device | str) -> _Look:
    """Join the numbers of clips to tensors; whole numbers stay whole."""
    tensors = {}
    for field in fields(kind):
        values = np.stack([np.asarray(clip[field.name]) for clip in clips])
        kept = np.int64 if np.issubdtype(values.dtype, np.integer) else np.float32
        tensors[field.name] = put(values.astype(kept), device)
    return kind(**tensors)
