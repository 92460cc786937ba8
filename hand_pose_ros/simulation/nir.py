"""NIR sensor: active illumination from the camera, falling off with the square of distance."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation import kernels
from hand_pose_ros.simulation.bodies import Surface
from hand_pose_ros.simulation.rasterizer import Fragments
from hand_pose_ros.simulation.scene import Background
from hand_pose_ros.simulation.sensors import NoiseTable, View, ambient_occlusion, soften

Array = NDArray[np.float64]

EXPOSURE = 32.0  # grey levels of white at 1 m
NOISE = 2.0  # grey levels
DARK = 6.0  # grey level of black
BLUR = 0.6  # pixels


class NirSensor:
    """An infrared camera beside its own lamp, mono8 or mono16."""

    def __init__(self, background: Background, surface: Surface, *, dtype: type, seed: int) -> None:
        """Light the scene; ``dtype`` is uint8, or uint16 with the same levels times 256."""
        self._shape = background.depth.shape
        self._dtype = dtype
        self._albedo = _skin_albedo(surface)
        scene = EXPOSURE * _scene_albedo(background) / background.depth**2 + DARK
        self._scene = cv2.GaussianBlur(scene.astype(np.float32), (0, 0), BLUR).clip(0, 255)
        self._scene8 = np.rint(self._scene).astype(np.uint8)
        self._noise = NoiseTable(self._shape, NOISE, np.int8, seed)

    def paint(self, view: View) -> Array:
        """Return brightness at 1 m distance of the vertices (N, 1)."""
        return (self._albedo * (0.25 + 0.75 * view.facing))[:, None]

    def image(self, fragments: Fragments, stamp: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """Return the grey image (H, W)."""
        image = self._scene8.copy()
        if not fragments.empty:
            open_share = ambient_occlusion(fragments, max(4, self._shape[1] // 80))
            kernels.paint_levels(
                image[fragments.box][..., None], fragments.attributes, fragments.depth,
                open_share, EXPOSURE, DARK,
            )  # fmt: skip
            soften(image, fragments, BLUR)
        image = cv2.add(image, self._noise.window(stamp), dtype=cv2.CV_8U)
        if self._dtype is np.uint16:
            return image.astype(np.uint16) << 8
        return image


def _skin_albedo(surface: Surface) -> Array:
    """Return reflectance of the vertices in the near infrared, where all skin is pale."""
    skin = 0.80 + 0.05 * surface.palm + 0.02 * surface.mottle
    skin -= 0.10 * surface.crease + 0.04 * surface.finger
    skin += 0.08 * surface.nail
    cloth = 0.42 + 0.05 * surface.mottle
    return np.where(surface.sleeve > 0.5, cloth, skin)


def _scene_albedo(scene: Background) -> Array:
    """Return reflectance of the empty scene (H, W)."""
    albedo = np.where(scene.table, 0.45 + 0.10 * scene.grain, 0.55) + 0.05 * scene.texture
    for number, value in ((1, 0.8), (2, 0.2), (3, 0.65)):
        albedo[scene.objects == number] = value
    return np.clip(albedo, 0.05, 1)
