"""Where the joint adjustment begins: relative camera poses by vote, and the target's motion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.board_pose import board_pose
from hand_pose_ros.calibration.bundle import Sighting
from hand_pose_ros.calibration.detection import Detection
from hand_pose_ros.calibration.moments import Moment
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse, rigid
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]

# Two estimates of a relative pose agree within these: the cameras need not be simultaneous.
_NEAR, _ALIGNED = 0.025, np.radians(4.0)
_FEWEST = 3  # moments two cameras must share


@dataclass(frozen=True, kw_only=True, eq=False)
class Start:
    """Where the adjustment begins.

    Attributes:
        T_cam_ref: (4, 4) by camera, in the order in which they were joined to the reference.
        turned: cameras that see the target's dark and bright squares exchanged.
    """

    T_cam_ref: dict[str, Array]
    turned: frozenset[str]


def relative_poses(
    sightings: Sequence[Sighting], cameras: dict[str, Camera], reference: str, target: Target
) -> Start:
    """Join all cameras to the reference through moments they share.

    Raises:
        RigError: naming the camera that never saw the target together with another.
    """
    poses = _poses(sightings, cameras, target)
    shared: dict[tuple[str, str], list[int]] = {}
    for first in cameras:
        for second in cameras:
            both = [k for k in poses if first in poses[k] and second in poses[k]]
            if first != second and len(both) >= _FEWEST:
                shared[first, second] = both
    joined, turned = {reference: np.eye(4)}, set()
    while len(joined) < len(cameras):
        open_pairs = [(a, b) for a, b in shared if a in joined and b not in joined]
        if not open_pairs:
            raise RigError(_apart([name for name in cameras if name not in joined], list(joined)))
        a, b = max(open_pairs, key=lambda pair: len(shared[pair]))
        T_b_a, flipped = _vote([(poses[k][a], poses[k][b]) for k in shared[a, b]], target)
        if flipped != (a in turned):
            turned.add(b)
        joined[b] = T_b_a @ joined[a]
    return Start(T_cam_ref=joined, turned=frozenset(turned))


def first_moment(stamp: int, poses: Sequence[tuple[float, Array]]) -> Moment:
    """Return the moment of target poses (4, 4) in the reference frame at times in seconds.

    Args:
        stamp: nanoseconds.
        poses: of one camera, in time order; speeds follow from the first and the last.
    """
    nearest = min(range(len(poses)), key=lambda k: abs(poses[k][0]))
    time, pose = poses[nearest]
    motion = np.zeros(12)
    (begin, first), (end, last) = poses[0], poses[-1]
    if end - begin > 1e-3:
        turn = Rotation.from_matrix(first[:3, :3].T @ last[:3, :3]).as_rotvec()
        motion[:3] = turn / (end - begin)
        motion[3:6] = (last[:3, 3] - first[:3, 3]) / (end - begin)
    back = Rotation.from_rotvec(-motion[:3] * time).as_matrix()
    return Moment(
        stamp=stamp, rotation=pose[:3, :3] @ back, place=pose[:3, 3] - motion[3:6] * time,
        motion=motion,
    )  # fmt: skip


def _poses(
    sightings: Sequence[Sighting], cameras: dict[str, Camera], target: Target
) -> dict[int, dict[str, Array]]:
    """Return ``T_cam_board`` of the middle detection by moment and camera."""
    seen: dict[int, dict[str, list[Detection]]] = {}
    for sighting in sightings:
        moment = seen.setdefault(sighting.moment, {})
        moment.setdefault(sighting.detection.camera, []).append(sighting.detection)
    return {
        number: {
            name: board_pose(found[len(found) // 2], cameras[name], target)
            for name, found in moment.items()
        }
        for number, moment in seen.items()
    }


def _vote(pairs: Sequence[tuple[Array, Array]], target: Target) -> tuple[Array, bool]:
    """Return ``T_b_a`` most pairs of target poses agree on, and whether b sees it turned."""
    best: tuple[int, Array, bool] = (-1, np.eye(4), False)
    flips = (False, True) if target.kind == 'chessboard' and not target.symmetric else (False,)
    for flipped in flips:
        half = _half_turn(target) if flipped else np.eye(4)
        estimates = np.array([second @ half @ inverse(first) for first, second in pairs])
        for estimate in estimates:
            votes = int(_agree(estimate, estimates).sum())
            if votes > best[0]:
                best = (votes, _mean(estimates[_agree(estimate, estimates)]), flipped)
    return best[1], best[2]


def _agree(estimate: Array, others: Array) -> NDArray[np.bool_]:
    away = np.linalg.norm(others[:, :3, 3] - estimate[:3, 3], axis=1)
    turns = Rotation.from_matrix(others[:, :3, :3] @ estimate[:3, :3].T).magnitude()
    return (away < _NEAR) & (turns < _ALIGNED)


def _mean(poses: Array) -> Array:
    rotation = Rotation.from_matrix(poses[:, :3, :3]).mean().as_matrix()
    return rigid(rotation, np.median(poses[:, :3, 3], axis=0))


def _half_turn(target: Target) -> Array:
    """Return the turn (4, 4) of a target about its middle that exchanges its ends."""
    return rigid(np.diag([-1.0, -1.0, 1.0]), target.points[0] + target.points[-1])


def _apart(missing: list[str], joined: list[str]) -> str:
    return (
        f'{", ".join(missing)} never saw the target together with {" or ".join(joined)} (in at '
        f'least {_FEWEST} moments): record again and hold the target where both see all of it'
    )
