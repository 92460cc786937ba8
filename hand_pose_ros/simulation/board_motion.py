"""BoardMotion: a calibration target held by hand before a rig, moved from view to view."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.transforms import apply, rigid
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]

MOVE, REST = 1.1, 0.4  # seconds from view to view, and in each
NEAREST, FARTHEST = 0.28, 0.75  # metres
MOST_TILT, MOST_ROLL = 45.0, 25.0  # degrees
TREMOR_SHIFT, TREMOR_TURN = 0.0006, 0.002  # metres and rad of a held board
_TRIES = 60
# Parts of the image that the views visit one after the other, as column and row of a 3 x 3 grid.
_CELLS = ((1, 1), (0, 0), (2, 2), (2, 0), (0, 2), (1, 0), (1, 2), (0, 1), (2, 1))


class BoardMotion:
    """Poses of a target against a rig; a pure function of time after construction."""

    def __init__(
        self, cameras: Sequence[CameraDescription], target: Target, *, seed: int, views: int = 40
    ) -> None:
        """Draw the views: each camera in turn sees the target at a place, distance and tilt.

        Args:
            cameras: with intrinsics; the target visits the corners of each.
            target: what is moved.
            seed: other seeds, other views.
            views: how many; the motion goes on from the first after the last.

        Raises:
            CameraError: a camera has no intrinsics.
        """
        generator = np.random.default_rng([seed, 41])
        poses = [
            _view(cameras[k % len(cameras)], target, generator, _CELLS[k // len(cameras) % 9])
            for k in range(views)
        ]
        self._positions = np.array([pose[:3, 3] for pose in poses])
        self._rotations = Rotation.from_matrix([pose[:3, :3] for pose in poses])
        self._phases = generator.uniform(0, 2 * np.pi, (2, 3, 2))
        self._middle = target.points.mean(axis=0)

    @property
    def duration(self) -> float:
        """Seconds until all views have been shown."""
        return len(self._positions) * (MOVE + REST)

    def at(self, time: float) -> Array:
        """Return ``T_rig_board`` (4, 4) at a time in seconds."""
        count = len(self._positions)
        step, within = divmod(time, MOVE + REST)
        first = int(step) % count
        second = (first + 1) % count
        share = np.clip((within - REST) / MOVE, 0, 1)
        # Least jerk; rounding may leave the range that Slerp insists on.
        share = min(1.0, share**3 * (10 - 15 * share + 6 * share**2))
        slerp = Slerp([0.0, 1.0], self._rotations[[first, second]])
        waves = np.sin(2 * np.pi * np.array([3.1, 5.3]) * time + self._phases).mean(axis=-1)
        rotation = slerp(share) * Rotation.from_rotvec(TREMOR_TURN * waves[0])
        middle = (1 - share) * self._positions[first] + share * self._positions[second]
        middle = middle + TREMOR_SHIFT * waves[1]
        return rigid(rotation.as_matrix(), middle - rotation.apply(self._middle))


def _view(
    description: CameraDescription,
    target: Target,
    generator: np.random.Generator,
    cell: tuple[int, int],
) -> Array:
    """Return a pose (rotation, place of the middle) that reaches far into a part of the image."""
    camera = description.camera
    if camera is None:
        raise CameraError(f'{description.name} has no intrinsics to simulate a target with')
    size = np.array([camera.width, camera.height], np.float64)
    wanted = (np.array(cell) - 1.0) * size
    points = target.points - target.points.mean(axis=0)
    best, reach = None, -np.inf
    for _ in range(_TRIES):
        pixel = size / 2 + (np.array(cell) - 1) * generator.uniform(0.1, 0.45, 2) * size
        pixel += generator.normal(0, 0.03, 2) * size
        ray = np.append(camera.undistort(pixel[None])[0], 1.0)
        place = ray * generator.uniform(NEAREST, FARTHEST)
        T_cam_board = rigid(_facing(ray, generator), place)
        pixels = camera.project(apply(T_cam_board, points))
        inside = np.all((pixels > 4) & (pixels < size - 5))  # also false for NaN
        extent = float(np.max(pixels @ wanted)) if inside and any(wanted) else float(inside)
        extent -= 0 if inside else 1e12
        if best is None or extent > reach:
            best, reach = T_cam_board, extent
    assert best is not None
    return description.T_rig_cam @ best


def _facing(ray: Array, generator: np.random.Generator) -> Array:
    """Return a rotation of a target seen along a ray, turned from it by some tilt and roll."""
    towards = ray / np.linalg.norm(ray)
    right = np.cross([0.0, 1.0, 0.0], towards)
    right /= np.linalg.norm(right)
    upright = np.column_stack([right, np.cross(towards, right), towards])
    roll = generator.uniform(-MOST_ROLL, MOST_ROLL)
    tilt = np.radians(MOST_TILT) * np.sqrt(generator.uniform(0.02, 1))
    way = generator.uniform(0, 2 * np.pi)
    turn = Rotation.from_rotvec(tilt * np.array([np.cos(way), np.sin(way), 0.0]))
    return upright @ (turn * Rotation.from_euler('z', roll, degrees=True)).as_matrix()
