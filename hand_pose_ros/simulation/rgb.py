"""RGB sensor: skin and cloth in diffuse room light over a wooden table."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation import kernels
from hand_pose_ros.simulation.bodies import Surface
from hand_pose_ros.simulation.rasterizer import Fragments
from hand_pose_ros.simulation.scene import Background
from hand_pose_ros.simulation.sensors import NoiseTable, View, ambient_occlusion, soften

Array = NDArray[np.float64]

NOISE = 3.0  # grey levels
BLUR = 0.6  # pixels
# Direction to the lamp and light from all around, in the rig frame.
LAMP = np.array([0.25, 0.45, 0.86])
AMBIENT_LIGHT = 0.45
# Skin tones between these two, R G B in 0..1.
_PALE, _DARK = np.array([0.93, 0.74, 0.64]), np.array([0.55, 0.37, 0.28])


class RgbSensor:
    """A colour camera, rgb8 or bgr8."""

    def __init__(
        self,
        background: Background,
        surface: Surface,
        *,
        T_rig_cam: Array,
        encoding: str,
        seed: int,
        person: int,
    ) -> None:
        """Light and colour the scene; ``seed`` varies noise, ``person`` the skin tone."""
        self._shape = background.depth.shape
        self._order = [0, 1, 2] if encoding.startswith('rgb') else [2, 1, 0]
        self._alpha = encoding.endswith('a8')
        generator = np.random.default_rng([person, 9])
        self._albedo = _skin_colour(surface, generator.uniform(0.0, 0.6))[:, self._order]
        self._lamp = LAMP @ T_rig_cam[:3, :3] / np.linalg.norm(LAMP)
        scene = 255 * _scene_colour(background)[..., self._order]
        scene = cv2.GaussianBlur(scene.astype(np.float32), (0, 0), BLUR)
        self._scene = np.clip(scene, 0, 255).astype(np.uint8)
        self._noise = NoiseTable((*self._shape, 3), NOISE, np.int8, seed)

    def paint(self, view: View) -> Array:
        """Return colour in 0..255 of the vertices (N, 3)."""
        direct = np.clip(view.normals @ self._lamp, 0, 1)
        sheen = 0.06 * np.clip(view.facing, 0, 1) ** 8
        light = AMBIENT_LIGHT + 0.15 * view.facing + 0.55 * direct
        return 255 * (self._albedo * light[:, None] + sheen[:, None])

    def image(self, fragments: Fragments, stamp: int) -> NDArray[np.uint8]:
        """Return the colour image (H, W, 3)."""
        image = self._scene.copy()
        if not fragments.empty:
            open_share = ambient_occlusion(fragments, max(4, self._shape[1] // 80))
            kernels.paint_levels(
                image[fragments.box], fragments.attributes, fragments.depth, open_share, 0.0, 0.0
            )
            soften(image, fragments, BLUR)
        image = cv2.add(image, self._noise.window(stamp), dtype=cv2.CV_8U)
        if self._alpha:
            return np.dstack([image, np.full(self._shape, 255, np.uint8)])
        return image


def _skin_colour(surface: Surface, darkness: float) -> Array:
    """Return R G B in 0..1 of the vertices (N, 3)."""
    tone = _PALE + darkness * (_DARK - _PALE)
    colour = np.tile(tone, (len(surface.finger), 1))
    red = np.array([0.06, -0.05, -0.04])
    colour += (0.5 * surface.palm + 0.6 * surface.finger**2)[:, None] * red
    colour += 0.35 * (surface.palm * darkness)[:, None] * (_PALE - tone)
    colour += surface.mottle[:, None] * np.array([0.012, 0.008, 0.008])
    colour -= surface.crease[:, None] * np.array([0.10, 0.11, 0.10])
    nail = np.array([0.93, 0.76, 0.72])
    colour += 0.6 * surface.nail[:, None] * (nail - colour)
    cloth = np.array([0.23, 0.30, 0.45]) * (1 + 0.12 * surface.mottle[:, None])
    return np.clip(np.where(surface.sleeve[:, None] > 0.5, cloth, colour), 0, 1)


def _scene_colour(scene: Background) -> Array:
    """Return R G B in 0..1 of the empty scene (H, W, 3)."""
    wood = np.array([0.50, 0.36, 0.24]) * (0.85 + 0.25 * scene.grain[..., None])
    wall = np.broadcast_to([0.62, 0.64, 0.62], wood.shape)
    colour = np.where(scene.table[..., None], wood, wall)
    colour = colour * (1 + 0.06 * scene.texture[..., None])
    for number, value in (
        (1, (0.85, 0.86, 0.88)),
        (2, (0.15, 0.35, 0.25)),
        (3, (0.80, 0.79, 0.74)),
    ):
        colour[scene.objects == number] = value
    falloff = 1.05 - 0.12 * scene.depth
    return np.clip(colour * np.clip(falloff, 0.6, 1.1)[..., None], 0, 1)
