"""Episodes: the hands of a session at an even rate, in the rig's frame, with gaps marked."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.hand_model.hand_frames import wrist_rotation
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.labels import INTERPOLATED, SessionLabels
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Hands are carried over silences of at most this, seconds; longer ones are marked as gaps.
LONGEST_GAP = 0.2
# Longer stretches are cut, seconds: beyond 2048 s LeRobot's float32 timestamps are coarser than
# the 0.1 ms within which its reader must find the frame of a video.
LONGEST_EPISODE = 1800.0
SLOWEST, FASTEST = 0.1, 1000.0  # moments per second
_ROUNDING = 1000  # nanoseconds
_THUMB_TIP, _INDEX_TIP, _FINGER_TIPS = 4, 8, (12, 16, 20)


@dataclass(frozen=True, kw_only=True, eq=False)
class RobotMotion:
    """A robot hand at the moments of an episode.

    Attributes:
        names: of its J joints.
        angles: (T, J) rad, within the joints' limits; held where the hand is absent.
    """

    names: tuple[str, ...]
    angles: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Episode:
    """T moments at an even rate; axis 1 of the arrays is left, right.

    Where a hand is absent its arrays repeat what was known last (before the first sight: next), so
    that they are finite everywhere; ``valid`` says where they mean something.

    Attributes:
        times: (T,) seconds since the first moment.
        stamps: (T,) int64 nanoseconds.
        sets: (T,) number of the session's set nearest to each moment.
        wrist: (T, 2, 3) position in the rig frame (x forward, y left, z up), metres.
        rotation: (T, 2, 3, 3) of the wrist frame (docs/interfaces.md) in the rig frame.
        joints: (T, 2, 21, 3) in the rig frame, metres.
        hand_pose: (T, 2, 15, 3) axis-angle, rad, MANO finger order, zero = flat hand.
        betas: (T, 2, 10).
        aperture: (T, 2, 2) metres: thumb tip to index tip, and to the nearest other finger tip.
        valid: (T, 2) whether the hand was seen or carried over a short silence.
        interpolated: (T, 2) whether the label itself was interpolated, or the hand was carried
            over frames without one.
        robot: motions of a left and a right robot hand; empty without retargeting.
    """

    times: Array
    stamps: NDArray[np.int64]
    sets: NDArray[np.int64]
    wrist: Array
    rotation: Array
    joints: Array
    hand_pose: Array
    betas: Array
    aperture: Array
    valid: Flags
    interpolated: Flags
    robot: tuple[RobotMotion, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def state(self) -> NDArray[np.float32]:
        """State vectors (T, 22), see ``STATE_NAMES``."""
        six = self.rotation[..., :2].transpose(0, 1, 3, 2).reshape(len(self), 2, 6)
        parts = np.concatenate([self.wrist, six, self.aperture], axis=2)
        return parts.reshape(len(self), -1).astype(np.float32)

    @property
    def action(self) -> NDArray[np.float32]:
        """The state at the next moment (T, 22); the last repeats itself."""
        return np.concatenate([self.state[1:], self.state[-1:]])


# Of each side: position, the first two columns of the rotation matrix, and both apertures.
_PARTS = (
    *(f'wrist_{axis}' for axis in 'xyz'),
    *(f'wrist_rotation_{row}{column}' for column in (0, 1) for row in range(3)),
    'aperture_index', 'aperture_nearest',
)  # fmt: skip
STATE_NAMES = tuple(f'{side}_{part}' for side in SIDES for part in _PARTS)


def episodes_of(
    labels: SessionLabels, rig: RigDescription, set_stamps: NDArray[np.int64], *, rate: float,
    split_gap: float,
) -> list[Episode]:  # fmt: skip
    """Cut a labelled session into episodes at an even rate.

    Args:
        labels: of the session.
        rig: of the session.
        set_stamps: (S,) stamps of all its sets.
        rate: moments per second.
        split_gap: a silence of both hands that is longer, seconds, parts two episodes.

    Raises:
        DataError: if rate or gap are out of range or no hand is usable.
    """
    if not SLOWEST <= rate <= FASTEST:
        raise DataError(f'the rate is {rate}: give {SLOWEST:g} to {FASTEST:g} moments per second.')
    if not split_gap > 0:
        raise DataError(f'the gap that parts episodes is {split_gap}: give seconds above 0.')
    usable = labels.usable & np.isfinite(labels.joints).all(axis=(2, 3))
    known = np.flatnonzero(usable.any(axis=1))
    if not len(known):
        raise DataError('no hand of the session is labelled and not rejected: annotate it first.')
    stamps = labels.stamps[known]
    cuts = np.flatnonzero(np.diff(stamps) > split_gap * 1e9) + 1
    tracks = [_track(labels, rig, usable[:, side], side) for side in range(2)]
    found = []
    for part in np.split(stamps, cuts):
        count = int((part[-1] - part[0]) * 1e-9 * rate + 1e-6) + 1
        seconds = np.arange(count) / rate
        moments = part[0] + np.round(seconds * 1e9).astype(np.int64)
        longest = int(LONGEST_EPISODE * rate)
        for start in range(0, count, longest):
            piece = moments[start : start + longest]
            found.append(_episode(tracks, seconds[: len(piece)], piece, set_stamps))
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Track:
    """The usable labels of one hand in the rig frame.

    ``period`` is the usual time between two frames, labelled or not, in nanoseconds.
    """

    period: float
    stamps: NDArray[np.int64]
    wrist: Array
    rotation: Array
    joints: Array
    hand_pose: Array
    betas: Array
    interpolated: Flags


def _track(labels: SessionLabels, rig: RigDescription, usable: Flags, side: int) -> _Track:
    rows = np.flatnonzero(usable)
    joints = apply(rig.reference_camera.T_rig_cam, labels.joints[rows, side])
    rotations = [wrist_rotation(hand, SIDES[side]) for hand in joints]
    kept = np.array([rotation is not None for rotation in rotations], bool)
    rows, joints = rows[kept], joints[kept]
    matrices = [rotation for rotation in rotations if rotation is not None]
    steps = np.diff(labels.stamps)
    return _Track(
        period=float(np.median(steps)) if len(steps) else 0.0, stamps=labels.stamps[rows],
        wrist=joints[:, 0], joints=joints,
        rotation=np.array(matrices).reshape(-1, 3, 3), hand_pose=labels.hand_pose[rows, side],
        betas=labels.betas[rows, side], interpolated=labels.origin[rows, side] == INTERPOLATED,
    )  # fmt: skip


def _episode(
    tracks: list[_Track], times: Array, moments: NDArray[np.int64], set_stamps: NDArray[np.int64]
) -> Episode:
    sides = [_resampled(track, moments) for track in tracks]
    arrays: dict[str, Any] = {
        name: np.stack([side[name] for side in sides], axis=1) for name in sides[0]
    }
    joints = arrays['joints']
    thumb = joints[:, :, _THUMB_TIP]
    others = np.linalg.norm(joints[:, :, list(_FINGER_TIPS)] - thumb[:, :, None], axis=3)
    index = np.linalg.norm(joints[:, :, _INDEX_TIP] - thumb, axis=2)
    after = np.clip(np.searchsorted(set_stamps, moments), 1, max(len(set_stamps) - 1, 1))
    before_is_nearer = moments - set_stamps[after - 1] <= (
        set_stamps[np.minimum(after, len(set_stamps) - 1)] - moments
    )
    return Episode(
        times=times, stamps=moments, sets=np.where(before_is_nearer, after - 1, after),
        aperture=np.stack([index, others.min(axis=2)], axis=2), **arrays,
    )  # fmt: skip


def _resampled(track: _Track, moments: NDArray[np.int64]) -> dict[str, Array]:
    """Return the arrays (T, ...) of one hand at some moments."""
    count = len(moments)
    if not len(track.stamps):
        flat = np.tile(np.eye(3), (count, 1, 1))
        return {
            'wrist': np.zeros((count, 3)), 'rotation': flat, 'joints': np.zeros((count, 21, 3)),
            'hand_pose': np.zeros((count, 15, 3)), 'betas': np.zeros((count, 10)),
            'valid': np.zeros(count, bool), 'interpolated': np.zeros(count, bool),
        }  # fmt: skip
    last = len(track.stamps) - 1
    after = np.searchsorted(track.stamps, moments)
    before = np.clip(after - 1, 0, last)
    after = np.clip(after, 0, last)
    # Even moments fall a rounding beside even labels, which matters at the ends of silences.
    for near in (track.stamps[before], track.stamps[after]):
        moments = np.where(np.abs(near - moments) <= _ROUNDING, near, moments)
    before = np.where(track.stamps[after] == moments, after, before)
    after = np.where(track.stamps[before] == moments, before, after)
    span = track.stamps[after] - track.stamps[before]
    share = np.where(span, (moments - track.stamps[before]) / np.maximum(span, 1), 1.0)
    inside = (moments >= track.stamps[0]) & (moments <= track.stamps[-1])
    valid = inside & (span <= LONGEST_GAP * 1e9)
    bridged = (span > 1.5 * track.period) | track.interpolated[after] | track.interpolated[before]
    # Over a long silence the last known hand is held, before the first sight the next one.
    share = np.where(valid | ~inside, share, 0.0)
    result: dict[str, Array] = {
        'valid': valid,
        'interpolated': valid & bridged,
    }
    for name in ('wrist', 'joints', 'betas'):
        values = getattr(track, name)
        weight = share.reshape(-1, *[1] * (values.ndim - 1))
        result[name] = values[before] + weight * (values[after] - values[before])
    result['rotation'] = _turned(track.rotation[before], track.rotation[after], share)
    starts = Rotation.from_rotvec(track.hand_pose[before].reshape(-1, 3)).as_matrix()
    ends = Rotation.from_rotvec(track.hand_pose[after].reshape(-1, 3)).as_matrix()
    fingers = _turned(starts, ends, np.repeat(share, 15))
    result['hand_pose'] = Rotation.from_matrix(fingers).as_rotvec().reshape(count, 15, 3)
    return result


def _turned(start: Array, end: Array, share: Array) -> Array:
    """Return rotations (N, 3, 3) a share (N,) of the way from start to end."""
    way = Rotation.from_matrix(start).inv() * Rotation.from_matrix(end)
    steps = Rotation.from_rotvec(way.as_rotvec() * share[:, None])
    return (Rotation.from_matrix(start) * steps).as_matrix()
