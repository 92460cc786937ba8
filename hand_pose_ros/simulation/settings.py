"""Settings: the five surroundings of ThermoHands as ranges that clips are drawn from.

Source: methods specification, sections 1.7, 1.8 and 1.12.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What one setting varies; ranges are (lowest, highest).

    Attributes:
        name: as users write it.
        description: one line for people.
        light: room light, 1 = a lit office; drawn evenly in its logarithm.
        sun: strength of direct sun, 0 = none, 1 = full sun on the table.
        gloves: share of the clips with gloves.
        ambient: air temperature in degrees Celsius.
        warm_things, cold_things: share of the objects that are warm (30 to 60 degrees Celsius)
            and cold (down to 12 below the air).
        clutter: factor on the patterns of table, wall and objects, in light and in heat.
        patterns: which patterns (see ``batch_noise.pattern_bank``) the surroundings show: one of
            the first and one of the second.
        black_hot: share of the clips whose thermal camera shows warm as dark.
    """

    name: str
    description: str
    light: Range = (0.35, 1.6)
    sun: Range = (0.0, 0.08)
    gloves: float = 0.0
    ambient: Range = (16.0, 29.0)
    warm_things: float = 0.2
    cold_things: float = 0.08
    clutter: Range = (0.3, 1.2)
    patterns: tuple[tuple[int, ...], tuple[int, ...]] = ((0, 1, 2, 3), (4, 7, 8, 9, 11))
    black_hot: float = 0.0


_PRESETS = (
    Preset(name='office', description='lit office, bare hands over a desk'),
    Preset(
        name='darkness',
        description='the office with the light off: RGB records noise, heat and depth stay',
        light=(0.0002, 0.003),
        sun=(0.0, 0.0),
    ),
    Preset(
        name='sun_glare',
        description='strong sun: highlights in RGB, flooded NIR, noisy depth with holes',
        light=(0.8, 2.0),
        sun=(0.55, 1.0),
        ambient=(19.0, 31.0),
    ),
    Preset(
        name='gloves',
        description='the office with gloves: other colours, part of the warmth',
        gloves=1.0,
    ),
    Preset(
        name='kitchen',
        description='another background: tiles and fronts, hot and cold things, more of everything',
        light=(0.25, 2.0),
        sun=(0.0, 0.25),
        ambient=(17.0, 31.0),
        warm_things=0.4,
        cold_things=0.3,
        clutter=(0.9, 2.0),
        patterns=((1, 3, 5, 8), (5, 6, 10)),
    ),
)

# Setting name -> its ranges.
PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _PRESETS})

# How often ``mixed`` draws each of them: the labelled training data of ThermoHands are office.
MIXED_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {'office': 0.5, 'darkness': 0.08, 'sun_glare': 0.1, 'gloves': 0.14, 'kitchen': 0.18}
)


def draw_preset(setting: str, generator: np.random.Generator) -> Preset:
    """Return the preset of a clip; ``mixed`` draws one by ``MIXED_WEIGHTS``."""
    if setting != 'mixed':
        return PRESETS[setting]
    names = list(MIXED_WEIGHTS)
    return PRESETS[str(generator.choice(names, p=[MIXED_WEIGHTS[name] for name in names]))]
