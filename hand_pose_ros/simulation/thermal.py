"""Thermal sensor: a temperature map in TLinear counts, with the noise of a microbolometer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.rig.thermal import ThermalValues
from hand_pose_ros.simulation.bodies import Surface
from hand_pose_ros.simulation.rasterizer import Fragments
from hand_pose_ros.simulation.scene import Background
from hand_pose_ros.simulation.sensors import NoiseTable, View, ambient_occlusion, soften

Array = NDArray[np.float64]

AMBIENT = 22.0  # degrees Celsius
NETD = 0.06  # temporal noise, kelvin
FIXED_PATTERN = 0.04  # what the non-uniformity correction leaves, kelvin
BLUR = 0.6  # pixels
_DEFAULT = ThermalValues(kind='tlinear', gain=0.04)


class ThermalSensor:
    """A white-hot or black-hot LWIR camera, mono16 or mono8."""

    def __init__(
        self,
        background: Background,
        surface: Surface,
        *,
        values: ThermalValues | None,
        dtype: type,
        seed: int,
    ) -> None:
        """Heat the scene.

        Args:
            background: the empty scene.
            surface: what the mesh is made of.
            values: conversion of the counts; without TLinear constants an arbitrary linear one.
            dtype: uint16, or uint8 for a camera that stretches 15..40 degrees C to grey levels.
            seed: varies noise and scene.
        """
        self._shape = background.depth.shape
        generator = np.random.default_rng([seed, 5])
        table = values if values is not None and values.kind == 'tlinear' else _DEFAULT
        self._dtype = dtype
        if dtype is np.uint8:
            self._gain, self._offset = 25.0 / 255, 15.0
        else:
            self._gain, self._offset = table.gain, table.offset
        self._white_hot = values.white_hot if values is not None else True
        self._skin = _skin_temperature(surface)
        scene = _scene_temperature(background)
        columns = generator.normal(0, FIXED_PATTERN / 2, self._shape[1])
        pattern = generator.normal(0, FIXED_PATTERN, self._shape) + columns
        self._scene = scene.astype(np.float32)
        self._pattern = pattern.astype(np.float32)
        self._noise = NoiseTable(self._shape, NETD, np.float32, seed)

    def paint(self, view: View) -> Array:
        """Return the apparent temperature of the vertices (N, 1).

        Skin emits less at grazing angles and reflects the cooler room instead.
        """
        return (AMBIENT + emissivity(view.facing) * (self._skin - AMBIENT))[:, None]

    def image(self, fragments: Fragments, stamp: int) -> NDArray[np.uint16] | NDArray[np.uint8]:
        """Return the counts of one image (H, W)."""
        celsius = self._scene.copy()
        if not fragments.empty:
            enclosed = 1 - ambient_occlusion(fragments, max(4, self._shape[1] // 80))
            warmth = fragments.attributes[..., 0] - 0.9 * enclosed
            np.copyto(celsius[fragments.box], warmth, where=fragments.depth > 0)
            soften(celsius, fragments, BLUR)
        celsius += self._pattern
        celsius += self._noise.window(stamp)
        celsius -= self._offset
        celsius *= 1 / self._gain
        top = np.iinfo(self._dtype).max
        counts = np.clip(np.rint(celsius), 0, top).astype(self._dtype)
        return counts if self._white_hot else top - counts


def emissivity(facing: Any) -> Any:
    """Return the emissivity of skin and cloth, arrays or tensors alike.

    Args:
        facing: cosine between surface normal and direction to the camera.
    """
    return 0.98 - 0.45 * (1 - facing.clip(0, 1)) ** 3


def _skin_temperature(surface: Surface) -> Array:
    """Return degrees Celsius of the vertices: warm palm, cooler finger tips, cloth."""
    skin = 33.8 + 0.5 * surface.palm - 2.6 * surface.finger**1.5
    skin += 0.25 * surface.mottle - 0.7 * surface.nail + 0.15 * surface.crease
    cloth = 27.6 + 0.8 * surface.mottle
    return np.where(surface.sleeve > 0.5, cloth, skin)


def _scene_temperature(scene: Background) -> Array:
    """Return degrees Celsius of the empty scene (H, W)."""
    degrees = np.where(scene.table, AMBIENT + 0.4, AMBIENT - 0.6)
    degrees = degrees + 0.35 * scene.texture
    degrees += 0.15 * (scene.grain - 0.5) * scene.table
    for number, offset in ((1, 2.5), (2, 4.5), (3, -0.5)):
        degrees[scene.objects == number] += offset
    # A heater glows low on the wall.
    x, y, z = (scene.points[..., k] for k in range(3))
    heater = (x > 2.5) & (np.abs(y - 0.7) < 0.35) & (z < -0.1)
    degrees[heater & ~scene.table] += 5.0
    return degrees
