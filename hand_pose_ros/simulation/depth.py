"""Depth sensor: quantised distance with noise, holes and mixed pixels at edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.simulation import kernels
from hand_pose_ros.simulation.rasterizer import Fragments
from hand_pose_ros.simulation.scene import Background
from hand_pose_ros.simulation.sensors import NoiseTable, View, stamp_number

Array = NDArray[np.float64]

NOISE_AT_METRE = 0.006  # standard deviation at 1 m, growing with the square of distance
EDGE_STEP = 0.02  # a step in depth of this size, metres, spoils the pixels beside it
HOLES = 0.55  # share of the pixels at such a step without a value
MIXED = 0.2  # share of them with a value between the two sides
GRAZING = 0.15  # surfaces seen at a smaller cosine give no value


class DepthSensor:
    """An active depth camera, 16UC1 or 32FC1; 0 (or NaN) where it measured nothing."""

    def __init__(
        self,
        background: Background,
        *,
        values: DepthValues | None,
        dtype: type,
        seed: int,
    ) -> None:
        """Precompute the empty scene's depth and the noise."""
        self._values = values or DepthValues()
        self._shape = background.depth.shape
        self._dtype = dtype
        self._scene = background.depth.astype(np.float32)
        self._scene_noise = (NOISE_AT_METRE * self._scene**2).astype(np.float32)
        self._noise = NoiseTable(self._shape, 1.0, np.float32, seed)
        generator = np.random.default_rng([seed, 31])
        larger = (self._shape[0] + NoiseTable.MARGIN, self._shape[1] + NoiseTable.MARGIN)
        self._chance = generator.uniform(0, 1, larger).astype(np.float32)
        self._seed = seed

    def paint(self, view: View) -> Array:
        """Return the cosine to the camera of the vertices (N, 1)."""
        return view.facing[:, None]

    def image(self, fragments: Fragments, stamp: int) -> NDArray[np.uint16] | NDArray[np.float32]:
        """Return the depth image (H, W)."""
        metres = self._noise.window(stamp) * self._scene_noise
        metres += self._scene
        if not fragments.empty:
            self._add_hands(metres, fragments, stamp)
        values = self._values
        metres[(metres < values.minimum) | (metres > values.maximum)] = 0
        if self._dtype is np.float32:
            metres[metres == 0] = np.nan
            return metres
        metres *= np.float32(1 / values.scale)
        metres += 0.5
        return np.minimum(metres, 65535).astype(np.uint16)

    def _add_hands(self, metres: NDArray[np.float32], fragments: Fragments, stamp: int) -> None:
        """Put the hands over the scene and spoil the pixels along their edges."""
        box = fragments.grown(2)
        window = metres[box]
        size = window.shape
        top, left = box[0].start, box[1].start
        inner = (
            slice(fragments.box[0].start - top, fragments.box[0].stop - top),
            slice(fragments.box[1].start - left, fragments.box[1].stop - left),
        )
        depth = np.zeros(size, np.float32)
        depth[inner] = fragments.depth
        facing = np.zeros(size, np.float32)
        facing[inner] = fragments.attributes[..., 0]
        clean = np.where(depth > 0, depth, self._scene[box])
        kernel = np.ones((3, 3), np.uint8)
        number = stamp_number(stamp, self._seed + 1)
        row, column = top + number % NoiseTable.MARGIN, left + (number >> 8) % NoiseTable.MARGIN
        kernels.spoil_depth(
            window, depth, facing, cv2.erode(clean, kernel), cv2.dilate(clean, kernel),
            self._noise.window(stamp)[box],
            self._chance[row : row + size[0], column : column + size[1]],
            np.array([NOISE_AT_METRE, EDGE_STEP, HOLES, MIXED, GRAZING]),
        )  # fmt: skip
