"""Draws light, colours and the RGB and NIR cameras of a clip."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.batch_draws_heat import ITEMS
from hand_pose_ros.simulation.batch_environment import LOOKS
from hand_pose_ros.simulation.draws import Draws
from hand_pose_ros.simulation.gbuffer import MATERIAL
from hand_pose_ros.simulation.settings import Preset

Array = NDArray[np.float64]

# Linear R G B of usual table tops and walls; clips vary around them.
_TABLES = np.array([
    [0.30, 0.17, 0.08], [0.55, 0.38, 0.22], [0.75, 0.72, 0.66], [0.12, 0.10, 0.09],
    [0.35, 0.34, 0.33], [0.62, 0.60, 0.58], [0.20, 0.25, 0.22],
])  # fmt: skip
_WALLS = np.array([
    [0.60, 0.60, 0.57], [0.45, 0.50, 0.52], [0.55, 0.48, 0.38], [0.25, 0.27, 0.30],
])  # fmt: skip


def draw_light(preset: Preset, draws: Draws) -> dict[str, Any]:
    """Return the fields of ``Light`` for one clip."""
    light = float(draws.logarithmic(*preset.light))
    sun = draws.within(preset.sun)
    return {
        'light': light,
        'sun': sun,
        'lamp': _direction(draws, 0.25),
        'sun_direction': _direction(draws, 0.15),
        'ambient': draws.between(0.3, 0.8),
        'white': np.exp(draws.normal(0.10, 3) + draws.normal(0.12) * np.array([1.0, 0.0, -1.0])),
        'sheen': draws.between(0.0, 0.12),
        'occlusion': draws.between(0.2, 0.8),
        'shadow': (
            draws.between(0.1, 0.7), draws.generator.integers(-1, 4),
            draws.generator.integers(-3, 4),
        ),
        **_colours(preset, draws),
        **_near_infrared(sun, draws),
        **_camera(draws),
    }  # fmt: skip


def random_colour(draws: Draws, *shape: int) -> Array:
    """Return linear colours (..., 3): many greys and browns, some strong."""
    value = draws.logarithmic(0.03, 0.85, *shape)[..., None]
    hue = draws.normal(1.0, *shape, 3)
    strength = draws.logarithmic(0.05, 0.9, *shape)[..., None]
    return np.clip(value * np.exp(strength * (hue - hue.mean(-1, keepdims=True))), 0.01, 0.95)


def _direction(draws: Draws, lowest: float) -> Array:
    """Return a unit direction to a light above the table, scene axes (x forward, y left, z up)."""
    up = draws.between(lowest, 1.0)
    turn = draws.between(0, 2 * np.pi)
    flat = np.sqrt(1 - up * up)
    return np.array([flat * np.cos(turn), flat * np.sin(turn), up])


def _colours(preset: Preset, draws: Draws) -> dict[str, Any]:
    pairs = np.concatenate([random_colour(draws, LOOKS), random_colour(draws, LOOKS)], axis=1)
    strength = draws.within(preset.clutter)
    for name, palette in (('table', _TABLES), ('wall', _WALLS), ('floor', _TABLES)):
        colour = palette[draws.generator.integers(len(palette))] * np.exp(draws.normal(0.25, 3))
        other = colour * np.exp(draws.normal(0.6))
        pairs[MATERIAL[name]] = np.clip(np.concatenate([colour, other]), 0.01, 0.95)
    items = np.concatenate([random_colour(draws, ITEMS), random_colour(draws, ITEMS)], axis=1)
    reflectance = draws.between(0.06, 0.85, LOOKS)
    reflectance[MATERIAL['table']] = draws.between(0.15, 0.75)
    reflectance[MATERIAL['wall']] = draws.between(0.35, 0.8)
    return {
        'surfaces': pairs,
        'items': items,
        'nir_surfaces': reflectance,
        'nir_items': draws.between(0.05, 0.9, ITEMS),
        'pattern': np.array([draws.one_of(kinds) for kinds in preset.patterns]),
        'pattern_scale': draws.logarithmic(0.8, 6.0),
        'pattern_offset': draws.between(0, 1, 2),
        'clutter': strength,
    }


def _near_infrared(sun: float, draws: Draws) -> dict[str, Any]:
    return {
        'nir_skin': draws.between(0.62, 0.86),
        'nir_cloth': draws.between(0.12, 0.8),
        'nir_glove': draws.between(0.1, 0.75),
        'nir_power': draws.logarithmic(0.07, 0.22),
        'nir_noise': draws.logarithmic(0.004, 0.014),
        'nir_blur': draws.between(0.4, 0.9),
        'nir_flood': (draws.between(4.0, 9.0) * sun**2, draws.normal(0.4)),
    }


def _camera(draws: Draws) -> dict[str, Any]:
    glare = (
        draws.between(0.3, 1.2), draws.between(-0.5, 0.5), draws.logarithmic(0.05, 0.35),
        draws.logarithmic(0.05, 0.35), draws.between(0.5, 4.0),
    )  # fmt: skip
    return {
        'exposure': np.exp(draws.normal(0.22)),
        'contrast': draws.between(0.85, 1.25),
        'saturation': draws.between(0.6, 1.25),
        'veil': draws.between(0.0, 0.06),
        'glare': glare,
        'noise': draws.between(1.0, 4.5),
        'blur': draws.between(0.4, 1.1),
        'motion': draws.normal(1.4, 2) * draws.chance(0.5),
    }
