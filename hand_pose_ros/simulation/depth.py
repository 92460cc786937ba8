"""Depth sensor: quantised distance with noise, holes and mixed pixels at edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.rig.depth import DepthValues
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
        if len(fragments.rows):
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
        rows, columns = fragments.rows, fragments.columns
        noise = self._noise.window(stamp)[rows, columns]
        seen = fragments.depth * (1 + NOISE_AT_METRE * fragments.depth * noise)
        metres[rows, columns] = np.where(fragments.attributes[:, 0] > GRAZING, seen, 0)
        y0, x0 = max(int(rows.min()) - 2, 0), max(int(columns.min()) - 2, 0)
        box = np.s_[y0 : int(rows.max()) + 3, x0 : int(columns.max()) + 3]
        clean = self._scene[box].copy()
        clean[rows - y0, columns - x0] = fragments.depth
        kernel = np.ones((3, 3), np.uint8)
        near, far = cv2.erode(clean, kernel), cv2.dilate(clean, kernel)
        edge_rows, edge_columns = np.nonzero(far - near > EDGE_STEP)
        number = stamp_number(stamp, self._seed + 1)
        shift_row = number % NoiseTable.MARGIN
        shift_column = (number // NoiseTable.MARGIN) % NoiseTable.MARGIN
        chance = self._chance[edge_rows + y0 + shift_row, edge_columns + x0 + shift_column]
        at = (edge_rows + y0, edge_columns + x0)
        share = (chance - HOLES) / MIXED  # uniform in 0..1 among the mixed pixels
        low, high = near[edge_rows, edge_columns], far[edge_rows, edge_columns]
        spoiled = np.where(share < 0, 0, np.where(share < 1, low + share * (high - low), metres[at]))
        metres[at] = spoiled
