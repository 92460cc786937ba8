"""Evidence: what the images of a session say about both hands, before anything is fitted."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.silhouettes import GRID, UNKNOWN, Silhouette, inside_points
from hand_pose_ros.sessions.tables import read_table, write_table

Array = NDArray[np.float64]

CLOUD_POINTS = 384


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Evidence of N frames in V views; the axis of two is left, right.

    The world of a frame is the optical frame of the rig's reference camera at its stamp. What was
    not seen is NaN, and the standard deviation of what was not measured is infinite.

    Attributes:
        stamps: (N,) int64 reference stamps, nanoseconds.
        numbers: (N,) int64 numbers of the session's sets.
        views: (V,) names of the cameras landmarks were looked for in.
        exo: (V,) whether the camera is on another body.
        focal: (V,) pixels, which distances at z = 1 are told in; NaN until it is filled in.
        T_cam_world: (V, N, 4, 4) maps points of the world into each camera; NaN without an image.
        lag: (V, N) seconds from the frame's stamp to the image's.
        points: (V, N, 2, 21, 2) landmarks on the lens-free image plane z = 1.
        sigma: (V, N, 2, 21) their standard deviation there.
        presence: (V, N, 2) probability in 0..1 that a hand was there.
        mask: (V, N, 2, GRID, GRID) uint8 silhouettes of the hands (see ``silhouettes.py``), and
        mask_corner: (V, N, 2, 2) where their grids begin at z = 1, and
        mask_step: (V, N, 2) the size of their cells there; NaN without a mask.
        cloud: (N, 2, P, 3) float32 points on each hand's surface, metres, world.
        depth_eyes: (E, N, 3) where the depth cameras are in the world.
        global_orient: (N, 2, 3) of the tracked hand, which the fit starts from; axis-angle, rad.
        hand_pose: (N, 2, 15, 3) rad.
        betas: (N, 2, 10).
        translation: (N, 2, 3) metres.
        tracked: (N, 2) bool, whether the start was seen rather than carried over a gap.
    """

    stamps: NDArray[np.int64]
    numbers: NDArray[np.int64]
    views: NDArray[Any]
    exo: NDArray[np.bool_]
    focal: Array
    T_cam_world: Array
    lag: Array
    points: Array
    sigma: Array
    presence: Array
    mask: NDArray[np.uint8]
    mask_corner: Array
    mask_step: Array
    cloud: NDArray[np.float32]
    depth_eyes: Array
    global_orient: Array
    hand_pose: Array
    betas: Array
    translation: Array
    tracked: NDArray[np.bool_]

    @classmethod
    def empty(
        cls, stamps: NDArray[np.int64], numbers: NDArray[np.int64], views: Sequence[str],
        exo: Sequence[bool], depths: int,
    ) -> 'Evidence':  # fmt: skip
        """Return evidence of nothing; its arrays may be filled."""
        n, v = len(stamps), len(views)
        return cls(
            stamps=stamps, numbers=numbers, views=np.array(views, dtype=str),
            exo=np.array(exo, dtype=bool), focal=np.full(v, np.nan),
            T_cam_world=np.full((v, n, 4, 4), np.nan),
            lag=np.zeros((v, n)), points=np.full((v, n, 2, 21, 2), np.nan),
            sigma=np.full((v, n, 2, 21), np.inf), presence=np.zeros((v, n, 2)),
            mask=np.full((v, n, 2, GRID, GRID), UNKNOWN, np.uint8),
            mask_corner=np.full((v, n, 2, 2), np.nan), mask_step=np.full((v, n, 2), np.nan),
            cloud=np.full((n, 2, CLOUD_POINTS, 3), np.nan, np.float32),
            depth_eyes=np.full((depths, n, 3), np.nan), global_orient=np.full((n, 2, 3), np.nan),
            hand_pose=np.full((n, 2, 15, 3), np.nan), betas=np.full((n, 2, 10), np.nan),
            translation=np.full((n, 2, 3), np.nan), tracked=np.zeros((n, 2), bool),
        )  # fmt: skip

    @property
    def started(self) -> NDArray[np.bool_]:
        """Which hands (N, 2) have a pose to start from."""
        return np.asarray(np.isfinite(self.translation).all(axis=2))

    def take(self, rows: Any) -> 'Evidence':
        """Return the evidence of some frames (a slice, indices or a mask)."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name in values:
            if name not in _OF_VIEWS:
                second = name in _BY_CAMERA
                values[name] = values[name][:, rows] if second else values[name][rows]
        return Evidence(**values)

    def seen_by(self, views: Sequence[str]) -> 'Evidence':
        """Return the evidence without the landmarks and masks of other views; clouds stay."""
        chosen = [place for place, name in enumerate(self.views) if name in views]
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        for name in (*_OF_VIEWS, *_BY_VIEW):
            values[name] = values[name][chosen]
        return Evidence(**values)

    def enter_silhouette(self, view: int, row: int, side: int, found: Silhouette) -> None:
        """Enter where a hand is in an image."""
        where = view, row, side
        self.mask[where] = found.cells
        self.mask_corner[where] = found.corner
        self.mask_step[where] = found.step

    def mask_points(self, side: int, most: int) -> tuple[Array, Array]:
        """Return points on the masks of one side, (V, N, most, 2) at z = 1, and their spacing.

        The points are spread evenly, NaN where there are fewer; the spacing (V, N) is 0 without a
        mask.
        """
        steps = self.mask_step[:, :, side]
        points, spacing = np.full((*steps.shape, most, 2), np.nan), np.zeros(steps.shape)
        for view, row in np.argwhere(np.isfinite(steps)):
            where = view, row, side
            found, spacing[view, row] = inside_points(
                self.mask[where], self.mask_corner[where], self.mask_step[where], most
            )
            points[view, row, : len(found)] = found
        return points, spacing

    def save(self, path: Path) -> None:
        """Write the evidence to a npz file, whole or not at all."""
        write_table(path, {entry.name: getattr(self, entry.name) for entry in fields(self)})

    @classmethod
    def load(cls, path: Path) -> 'Evidence':
        """Read what ``save`` wrote; raises DataError for a damaged file."""
        names = [entry.name for entry in fields(cls)]
        table = read_table(path, names)
        return cls(**{name: table[name] for name in names})


_OF_VIEWS = ('views', 'exo', 'focal')
_BY_VIEW = (
    'T_cam_world', 'lag', 'points', 'sigma', 'presence', 'mask', 'mask_corner', 'mask_step',
)  # fmt: skip
_BY_CAMERA = (*_BY_VIEW, 'depth_eyes')


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Return the evidence of several runs of frames of one session, in their order."""
    values = {}
    for entry in fields(Evidence):
        arrays = [getattr(part, entry.name) for part in parts]
        if entry.name in _OF_VIEWS:
            values[entry.name] = arrays[0]
        else:
            values[entry.name] = np.concatenate(arrays, axis=1 if entry.name in _BY_CAMERA else 0)
    return Evidence(**values)
