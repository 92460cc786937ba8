"""Environment: what makes each clip of a batch look as it does."""

from dataclasses import dataclass, fields
from typing import TypeVar

from torch import Tensor

from hand_pose_ros.simulation.gbuffer import MATERIALS

# What G-buffers of sensors have beside ``MATERIALS``: the wearer's trousers.
LAP = len(MATERIALS)
LOOKS = LAP + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """Who wears the rig, (B,) per clip unless stated; sides are (left, right).

    Attributes:
        glove: 1 with gloves.
        bare: 1 where the forearms are bare.
        skin: (B, 3) colour of the skin, linear R G B 0..1.
        pale: (B, 3) colour of the palms.
        glove_colour, cloth_colour, strap: (B, 3) colours; the strap is the watch's.
        cloth_colour_2: (B, 3) second colour of the sleeves' pattern.
        cloth_pattern: (B,) int64 pattern of sleeves and gloves.
        cloth_scale: tiles a metre.
        watch: (B, 3) side (0, 1; -1 = none), centre and half width along the forearm, metres.
        lap: (B, 5) whether legs show (0, 1), how far they are below the camera, how far the knees
            spread, the radius of the thighs, how far ahead the table begins; metres.
    """

    glove: Tensor
    bare: Tensor
    skin: Tensor
    pale: Tensor
    glove_colour: Tensor
    cloth_colour: Tensor
    cloth_colour_2: Tensor
    strap: Tensor
    cloth_pattern: Tensor
    cloth_scale: Tensor
    watch: Tensor
    lap: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Heat:
    """Temperatures and the thermal camera, (B,) per clip unless stated; degrees Celsius.

    Attributes:
        ambient: of the air, which cold surfaces reflect.
        core: (B, 2) warm middle of each hand.
        tip: (B, 2) finger tips.
        tip_power: how the fall towards the tips is spread along the fingers.
        palm, nail, crease, mottle, arm: kelvin of palm, nails, folds and blotches, kelvin per
            metre along the forearm.
        waves: (B, 2, 4, 4) per side and wave: amplitude (K), wave numbers along and across
            (1/m), phase.
        cloth, glove, watch: share of the way from the air to the skin.
        cuff: (B, 2) kelvin the cuff is cooler and its length in metres.
        folds: (B, 4) folds of the cloth: kelvin, wave number along, bend, phase.
        surfaces: (B, looks) of every material of the scene and of the lap.
        items: (B, 48) of every object.
        pattern: (B, 2) int64 patterns; pattern_scale, pattern_offset: (B,), (B, 2).
        texture: (B, looks, 2) kelvin of both patterns on every material.
        patches: (B, 3, 6) warm patches: place (x, y) ahead of the camera, sizes (m), kelvin,
            edge sharpness.
        reflection: (B, 3) share of the heat a glossy table mirrors, and where (low pixels).
        prints: (B, 3) kelvin of the hands' prints on the table, and where (pixels).
        netd, fixed_pattern, columns, rows: noise in kelvin.
        blur, halo: lens and sharpening, see ``lens_kernels``.
        vignette, drift: (B,), (B, 3) kelvin towards the corners; over the image and uneven.
        lag: share of the image before that is still seen.
        window: (B, 3) automatic gain: 1 = fixed temperatures, and the two temperatures.
        percentiles: (B, 2) automatic gain by shares 0..1, else.
        levels: (B, 2) what they become, 0..1.
        gamma, plateau: bend of the curve; share of histogram equalisation.
        black_hot: 1 where warm is dark.
    """

    ambient: Tensor
    core: Tensor
    tip: Tensor
    tip_power: Tensor
    palm: Tensor
    nail: Tensor
    crease: Tensor
    mottle: Tensor
    arm: Tensor
    waves: Tensor
    cloth: Tensor
    glove: Tensor
    watch: Tensor
    cuff: Tensor
    folds: Tensor
    surfaces: Tensor
    items: Tensor
    pattern: Tensor
    pattern_scale: Tensor
    pattern_offset: Tensor
    texture: Tensor
    patches: Tensor
    reflection: Tensor
    prints: Tensor
    netd: Tensor
    fixed_pattern: Tensor
    columns: Tensor
    rows: Tensor
    blur: Tensor
    halo: Tensor
    vignette: Tensor
    drift: Tensor
    lag: Tensor
    window: Tensor
    percentiles: Tensor
    levels: Tensor
    gamma: Tensor
    plateau: Tensor
    black_hot: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Light:
    """Light, colours and the RGB and NIR cameras, (B,) per clip unless stated.

    Attributes:
        light: of the room, 1 = office.
        sun: 0..1.
        lamp, sun_direction: (B, 3) unit directions towards them in the scene.
        ambient: share of the room's light that comes from everywhere.
        white: (B, 3) colour of the light after white balance.
        sheen: highlights on skin.
        occlusion, shadow: (B,), (B, 3) darkening in folds; of cast shadows and where they fall
            (low pixels).
        surfaces: (B, looks, 6) two linear colours of every material and of the lap.
        items: (B, 48, 6) two linear colours of every object.
        nir_surfaces, nir_items: (B, looks), (B, 48) reflectance in the near infrared.
        nir_skin, nir_cloth, nir_glove: (B,) reflectance in the near infrared.
        pattern: (B, 2) int64 patterns; pattern_scale, pattern_offset: (B,), (B, 2).
        clutter: how strong the patterns are.
        exposure: error of the exposure, 1 = none.
        contrast: slope of the tone curve, 1 = neutral.
        saturation: of colours, 1 = neutral.
        veil: share of light that the lens scatters over the image.
        glare: (B, 5) highlights on the table: place (x, y) ahead of the camera, size, size,
            strength.
        noise: grey levels of sensor noise in good light.
        blur: pixels.
        motion: (B, 2) motion blur across and down, pixels.
        nir_power, nir_noise, nir_blur: lamp in grey levels (0..1) of white at 1 m, noise, pixels.
        nir_flood: (B, 2) grey level that sunlight adds on white, and its falloff across.
    """

    light: Tensor
    sun: Tensor
    lamp: Tensor
    sun_direction: Tensor
    ambient: Tensor
    white: Tensor
    sheen: Tensor
    occlusion: Tensor
    shadow: Tensor
    surfaces: Tensor
    items: Tensor
    nir_surfaces: Tensor
    nir_items: Tensor
    nir_skin: Tensor
    nir_cloth: Tensor
    nir_glove: Tensor
    pattern: Tensor
    pattern_scale: Tensor
    pattern_offset: Tensor
    clutter: Tensor
    exposure: Tensor
    contrast: Tensor
    saturation: Tensor
    veil: Tensor
    glare: Tensor
    noise: Tensor
    blur: Tensor
    motion: Tensor
    nir_power: Tensor
    nir_noise: Tensor
    nir_blur: Tensor
    nir_flood: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthLook:
    """The depth camera, (B,) per clip.

    Attributes:
        noise: standard deviation at 1 m in metres, growing with the square of distance.
        step: quantisation at 1 m in metres, growing with the square of distance; 0 = 1 mm.
        edge: step in depth that spoils the pixels beside it, metres.
        holes, mixed: shares of the pixels there without a value, and between the two sides.
        grazing: surfaces seen at a smaller cosine give no value.
        dropout: share of the pixels that fail anywhere.
    """

    noise: Tensor
    step: Tensor
    edge: Tensor
    holes: Tensor
    mixed: Tensor
    grazing: Tensor
    dropout: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Environment:
    """B clips' people, heat, light and noise.

    Attributes:
        settings: preset of each clip.
        seeds: of each clip's pixel noise.
        person, heat, light, depth: see there.
    """

    settings: tuple[str, ...]
    seeds: tuple[int, ...]
    person: Person
    heat: Heat
    light: Light
    depth: DepthLook

    def __len__(self) -> int:
        """Number of clips."""
        return len(self.seeds)

    def clip(self, index: int) -> 'Environment':
        """Return the environment of one clip alone."""
        return Environment(
            settings=self.settings[index : index + 1],
            seeds=self.seeds[index : index + 1],
            person=_one(self.person, index),
            heat=_one(self.heat, index),
            light=_one(self.light, index),
            depth=_one(self.depth, index),
        )


_Look = TypeVar('_Look', Person, Heat, Light, DepthLook)


def _one(look: _Look, index: int) -> _Look:
    values = {field.name: getattr(look, field.name) for field in fields(look)}
    return type(look)(**{name: value[index : index + 1] for name, value in values.items()})
