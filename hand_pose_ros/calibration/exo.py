"""Where a camera on another body stands while the rig moves: from a target both see, and odometry.

Source: methods specification, section 1.10. With the rig's pose P_i in the world of its own
odometry, the chain is ``T_i = T_0 inv(P_0) P_i``; every common view gives the constant part
``T_0 inv(P_0)`` anew, so drift shows as disagreement between them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.board_pose import board_pose
from hand_pose_ros.calibration.detection import Detection, detect, grey_image
from hand_pose_ros.calibration.odometry import DepthOdometry
from hand_pose_ros.calibration.recording import Recording, each
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.transforms import inverse, rigid
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.target import Target
from hand_pose_ros.sessions.trajectory import Trajectory

Array = NDArray[np.float64]
Way = Literal['auto', 'board', 'odometry']
WAYS: tuple[Way, ...] = ('auto', 'board', 'odometry')

_VIEWS = 40  # common views looked for when odometry carries on between them
_MOST_VIEWS = 4000
_FEWEST = 3
_NEAR = 120_000_000  # ns from an image of the other body to the rig's images around it
_AGREE = 0.03  # metres within which common views agree


@dataclass(frozen=True, kw_only=True, eq=False)
class ExoResult:
    """How another body moved against the rig.

    Attributes:
        trajectory: to be saved beside the bag.
        way: ``board`` or ``odometry``.
        views: common views of the target that were used.
        disagreement: metres and degrees (RMS) between what single views say.
    """

    trajectory: Trajectory
    way: str
    views: int
    disagreement: tuple[float, float]


def chained(T_exo_rig: Array, poses: Array) -> Array:
    """Return ``T_exo_rig`` (M, 4, 4) of all moments from that of the first.

    Args:
        T_exo_rig: (4, 4) at the first moment.
        poses: (M, 4, 4) of the rig in its odometry's world, the first included.
    """
    return T_exo_rig @ inverse(poses[0]) @ poses


def exo_trajectory(
    recording: Recording,
    target: Target,
    way: Way = 'auto',
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> ExoResult:
    """Return how the body of the rig's exo cameras moved during a recording.

    Args:
        recording: with a calibrated rig.
        target: seen by both the rig and the other body, at least at the beginning.
        way: ``board``: every moment at which both see the target; ``odometry``: the rig's own
            motion from its depth, tied to the common views; ``auto``: the latter if there is depth.

    Raises:
        RigError: if the rig has no camera on another body or both never see the target.
    """
    rig = recording.rig
    exo = _camera(rig, [c for c in rig.cameras.values() if c.body], 'on another body')
    ego = _camera(rig, list(rig.own_cameras.values()), 'on the rig')
    depth = next((c for c in rig.own_cameras.values() if c.modality == 'depth'), None)
    if way == 'auto':
        way = 'board' if depth is None or depth.camera is None else 'odometry'
    count = _VIEWS if way == 'odometry' else _MOST_VIEWS
    views = _common_views(recording, ego, exo, target, count, progress)
    if len(views) < _FEWEST:
        raise RigError(
            f'{recording.path}: {ego.name} and {exo.name} see {target} together in {len(views)} '
            'images: show it to both for some seconds, at the beginning of the recording'
        )
    if way == 'board':
        stamps = np.array([stamp for stamp, _ in views], np.int64)
        poses = np.array([pose for _, pose in views])
        smooth = Trajectory(body=exo.body, stamps=stamps, T_rig_body=poses)
        return ExoResult(trajectory=smooth, way=way, views=len(views), disagreement=(0.0, 0.0))
    if depth is None:
        raise RigError(f'{rig.name} has no depth camera for odometry: use --trajectory board')
    return _by_odometry(recording, depth, exo.body, views, progress)


def world_of_exo(
    views: Sequence[tuple[int, Array]], odometry: Trajectory
) -> tuple[Array, NDArray[np.bool_], tuple[float, float]]:
    """Return ``T_world_exo`` (4, 4) that most common views agree on.

    Args:
        views: stamps and ``T_rig_exo`` (4, 4) of common views.
        odometry: ``T_world_rig`` over time.

    Returns:
        The pose, which views agree, and their RMS disagreement in metres and degrees.
    """
    known = [(odometry.at(stamp), T_rig_exo) for stamp, T_rig_exo in views]
    estimates = np.array([pose @ T_rig_exo for pose, T_rig_exo in known if pose is not None])
    if not len(estimates):
        raise RigError('no common view lies within the time of the depth images: record both')
    middle = np.median(estimates[:, :3, 3], axis=0)
    away = np.linalg.norm(estimates[:, :3, 3] - middle, axis=1)
    good = away <= max(_AGREE, 2 * float(np.median(away)))
    rotation = Rotation.from_matrix(estimates[good, :3, :3]).mean()
    place = estimates[good, :3, 3].mean(axis=0)
    turns = (rotation.inv() * Rotation.from_matrix(estimates[good, :3, :3])).magnitude()
    shifts = np.linalg.norm(estimates[good, :3, 3] - place, axis=1)
    spread = float(np.sqrt(np.mean(shifts**2))), float(np.degrees(np.sqrt(np.mean(turns**2))))
    return rigid(rotation.as_matrix(), place), good, spread


def _by_odometry(
    recording: Recording,
    depth: CameraDescription,
    body: str,
    views: list[tuple[int, Array]],
    progress: Callable[[str, int, int], None],
) -> ExoResult:
    assert depth.camera is not None
    follower = DepthOdometry(depth.camera)
    stamps = recording.stamps_of(depth.name)
    poses, seen = [], []
    images = recording.images({depth.name: set(stamps.tolist())})
    T_cam_rig = inverse(depth.T_rig_cam)
    for number, (_, stamp, image) in enumerate(images, start=1):
        poses.append(follower.add(image) @ T_cam_rig)
        seen.append(stamp - depth.time_offset)
        progress('following the rig', number, len(stamps))
    order = np.argsort(seen, kind='stable')
    odometry = Trajectory(
        body='rig', stamps=np.array(seen, np.int64)[order], T_rig_body=np.array(poses)[order]
    )
    T_world_exo, good, spread = world_of_exo(views, odometry)
    back = np.array([inverse(pose) for pose in odometry.T_rig_body])
    trajectory = Trajectory(body=body, stamps=odometry.stamps, T_rig_body=back @ T_world_exo)
    return ExoResult(
        trajectory=trajectory, way='odometry', views=int(good.sum()), disagreement=spread
    )


def _common_views(
    recording: Recording,
    ego: CameraDescription,
    exo: CameraDescription,
    target: Target,
    count: int,
    progress: Callable[[str, int, int], None],
) -> list[tuple[int, Array]]:
    """Return stamps of the exo camera and ``T_rig_exo`` (4, 4) at which both see the target."""
    exo_stamps, ego_stamps = (recording.stamps_of(camera.name) for camera in (exo, ego))
    if not len(exo_stamps) or not len(ego_stamps):
        missing = ego.name if len(exo_stamps) else exo.name
        raise RigError(f'{recording.path} has no images of {missing}: record it too')
    step = max(1, len(exo_stamps) // count)
    chosen = exo_stamps[::step]
    true = ego_stamps - ego.time_offset
    wanted: dict[str, set[int]] = {exo.name: set(chosen.tolist()), ego.name: set()}
    for stamp in chosen - exo.time_offset:
        place = int(np.searchsorted(true, stamp))
        wanted[ego.name].update(ego_stamps[max(0, place - 1) : place + 1].tolist())

    def look(name: str, stamp: int, image: NDArray[Any]) -> Detection | None:
        return detect(grey_image(image), target, name, stamp)

    total = sum(map(len, wanted.values()))
    tracks: dict[str, dict[int, Array]] = {ego.name: {}, exo.name: {}}
    for number, found in enumerate(each(look, recording.images(wanted)), start=1):
        progress('looking for common views', number, total)
        if found is not None:
            description = recording.rig.cameras[found.camera]
            assert description.camera is not None
            pose = description.T_rig_cam @ board_pose(found, description.camera, target)
            tracks[found.camera][found.stamp - description.time_offset] = pose
    return _joined(tracks[ego.name], tracks[exo.name])


def _joined(ego: dict[int, Array], exo: dict[int, Array]) -> list[tuple[int, Array]]:
    """Interpolate the target as the rig sees it to the stamps at which the other body sees it."""
    if not ego:
        return []
    stamps = np.array(sorted(ego), np.int64)
    track = Trajectory(
        body='target', stamps=stamps, T_rig_body=np.array([ego[stamp] for stamp in sorted(ego)])
    )
    views = []
    for stamp in sorted(exo):
        after = int(np.searchsorted(stamps, stamp))
        around = stamps[max(0, after - 1) : after + 1]
        seen = track.at(stamp)
        if seen is not None and np.abs(around - stamp).max() <= _NEAR:
            views.append((stamp, seen @ inverse(exo[stamp])))
    return views


def _camera(rig: RigDescription, cameras: list[CameraDescription], where: str) -> CameraDescription:
    """Return the camera that sees the target best: colour, else NIR, else thermal."""
    usable = [c for c in cameras if c.modality != 'depth' and c.camera is not None]
    if not usable:
        raise RigError(f'{rig.name} has no calibrated camera {where}: calibrate it first')
    return min(usable, key=lambda camera: ('rgb', 'nir', 'thermal').index(camera.modality))
