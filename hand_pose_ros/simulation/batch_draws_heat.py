"""Draws temperatures and the thermal camera of a clip, wider than reality on purpose."""

from typing import Any

import numpy as np

from hand_pose_ros.simulation.batch_environment import LAP, LOOKS
from hand_pose_ros.simulation.draws import Draws
from hand_pose_ros.simulation.gbuffer import MATERIAL
from hand_pose_ros.simulation.settings import Preset

ITEMS = 48  # objects of a clip that look each their own way; more of them repeat
_WAVES = 4
_PATCHES = 3


def draw_heat(preset: Preset, draws: Draws) -> dict[str, Any]:
    """Return the fields of ``Heat`` for one clip."""
    ambient = draws.within(preset.ambient)
    core = np.clip(33.2 + draws.normal(1.2) + draws.normal(0.5, 2), ambient + 2.0, 36.0)
    return {
        'ambient': ambient,
        **_skin(ambient, core, draws),
        **_clothes(draws),
        **_scene(preset, ambient, core.mean(), draws),
        **_distractors(ambient, core.mean(), draws),
        **_camera(preset, draws),
        **_gain(ambient, core.mean(), draws),
    }


def _skin(ambient: float, core: np.ndarray, draws: Draws) -> dict[str, Any]:
    # Finger tips from vasoconstricted (close to the air) to as warm as the palm or warmer.
    warmth = draws.generator.beta(1.6, 1.1)
    lowest = max(ambient + 1.5, 25.0)
    tip = lowest + warmth * (core + 1.2 - lowest) + draws.normal(0.4, 2)
    waves = np.stack(
        [
            draws.logarithmic(0.08, 0.9, 2, _WAVES),
            draws.normal(1.0, 2, _WAVES) * draws.logarithmic(12, 140, 2, _WAVES),
            draws.normal(1.0, 2, _WAVES) * draws.logarithmic(12, 140, 2, _WAVES),
            draws.between(0, 2 * np.pi, 2, _WAVES),
        ],
        axis=-1,
    )
    waves[..., 0] *= draws.between(0.15, 1.0)
    return {
        'core': core,
        'tip': tip,
        'tip_power': draws.between(0.7, 3.0),
        'palm': draws.between(-0.4, 1.2),
        'nail': draws.between(-1.2, 0.8),
        'crease': draws.between(-0.3, 0.5),
        'mottle': draws.between(0.0, 0.4),
        'arm': draws.between(-9.0, 6.0),
        'waves': waves,
    }


def _clothes(draws: Draws) -> dict[str, Any]:
    return {
        'cloth': draws.between(0.12, 0.85),
        'glove': draws.between(0.35, 0.9),
        'watch': draws.between(0.2, 0.9),
        'cuff': (draws.between(-0.8, 2.6), draws.between(0.02, 0.06)),
        'folds': (
            draws.logarithmic(0.1, 2.0), draws.logarithmic(25, 150), draws.normal(40.0),
            draws.between(0, 2 * np.pi),
        ),
    }  # fmt: skip


def _scene(preset: Preset, ambient: float, skin: float, draws: Draws) -> dict[str, Any]:
    surfaces = ambient + draws.normal(1.0, LOOKS)
    surfaces[LAP] = ambient + draws.between(0.2, 0.95) * (skin - ambient)
    surfaces[MATERIAL['table']] = ambient + draws.normal(0.8)
    surfaces[MATERIAL['floor']] = ambient - draws.between(-0.5, 2.5)
    surfaces[MATERIAL['wall']] = ambient + draws.between(-3.5, 1.5)
    surfaces[MATERIAL['none']] = ambient + draws.between(-6.0, 2.0)
    kind = draws.generator.uniform(size=ITEMS)
    near_skin, hot = draws.between(5, 14, ITEMS), draws.between(10, 38, ITEMS)
    cold = -draws.between(3, 12, ITEMS)
    offsets = draws.normal(1.0, ITEMS)
    warm = preset.warm_things
    offsets = np.where(kind < 0.6 * warm, near_skin, offsets)
    offsets = np.where((kind >= 0.6 * warm) & (kind < warm), hot, offsets)
    offsets = np.where(kind > 1 - preset.cold_things, cold, offsets)
    strength = draws.within(preset.clutter) * (0.3 if draws.chance(0.4) else 1.0)
    texture = draws.logarithmic(0.03, 0.5, LOOKS, 2) * strength
    for name, low, high in (('wall', 0.15, 2.5), ('floor', 0.05, 1.2), ('none', 0.2, 2.5)):
        texture[MATERIAL[name]] = draws.logarithmic(low, high, 2) * strength
    texture[LAP] = draws.logarithmic(0.1, 1.0, 2)
    return {
        'surfaces': surfaces,
        'items': ambient + offsets,
        'pattern': np.array([draws.one_of(kinds) for kinds in preset.patterns]),
        'pattern_scale': draws.logarithmic(0.3, 2.0),
        'pattern_offset': draws.between(0, 1, 2),
        'texture': texture,
    }


def _distractors(ambient: float, skin: float, draws: Draws) -> dict[str, Any]:
    patches = np.stack(
        [
            draws.between(0.2, 2.5, _PATCHES),
            draws.between(-1.0, 1.0, _PATCHES),
            draws.logarithmic(0.03, 0.5, _PATCHES),
            draws.logarithmic(0.03, 0.5, _PATCHES),
            draws.between(0.1, 1.25, _PATCHES) * (skin - ambient)
            * (draws.generator.uniform(size=_PATCHES) < 0.35),
            draws.logarithmic(1.0, 12.0, _PATCHES),
        ],
        axis=-1,
    )  # fmt: skip
    mirrored = draws.between(0.0, 0.1) * draws.chance(0.6)
    printed = draws.logarithmic(0.15, 2.5) * draws.chance(0.3)
    return {
        'patches': patches,
        'reflection': (mirrored, draws.generator.integers(-1, 5), draws.generator.integers(-3, 4)),
        'prints': (printed, *draws.generator.integers(-60, 61, 2)),
    }


def _camera(preset: Preset, draws: Draws) -> dict[str, Any]:
    return {
        'netd': draws.logarithmic(0.012, 0.14),
        'fixed_pattern': draws.logarithmic(0.006, 0.1),
        'columns': draws.logarithmic(0.006, 0.13),
        'rows': draws.logarithmic(0.003, 0.05),
        'blur': draws.between(0.45, 1.5),
        'halo': draws.between(0.0, 0.9) * draws.chance(0.4),
        'vignette': draws.between(-2.0, 1.2),
        'drift': draws.normal(1.0, 3) * np.array([0.5, 0.5, 0.35]),
        'lag': draws.between(0.0, 0.35) * draws.chance(0.4),
        'black_hot': draws.chance(preset.black_hot),
    }


def _gain(ambient: float, skin: float, draws: Draws) -> dict[str, Any]:
    """Automatic gain: fixed temperatures as often as shares of the image."""
    low = ambient - draws.logarithmic(1.0, 18.0)
    high = skin + draws.between(-1.0, 24.0) * draws.between(0.2, 1.0)
    full = draws.chance(0.4)
    return {
        'window': (draws.chance(0.65), low, max(high, low + 4.0)),
        'percentiles': (draws.between(0.0, 0.03), 1 - draws.between(0.0, 0.04)),
        'levels': (
            draws.between(0.0, 0.3) * (1 - full), 1 - draws.between(0.0, 0.45) * (1 - full),
        ),
        'gamma': draws.logarithmic(0.6, 1.7),
        'plateau': draws.between(0.0, 0.7) * draws.chance(0.35),
    }  # fmt: skip
