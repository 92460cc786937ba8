"""Labels of a session as one camera's image needs them: at its stamp, in its frame, in pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.sessions.labels import SessionLabels
from hand_pose_ros.sessions.session import Session

Array = NDArray[np.float64]

_FIELDS = ('joints', *MODEL_PARAMETERS)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Hands:
    """Both hands at one stamp, in the labels' frame; what is not known is NaN."""

    joints: Array
    global_orient: Array
    hand_pose: Array
    betas: Array
    translation: Array


def labels_of(session: Session, *, truth: bool, minimum_quality: float) -> SessionLabels:
    """Return a session's labels; what is rejected or of less quality is NaN and absent.

    Args:
        session: open.
        truth: the exact hands of a simulated session instead.
        minimum_quality: labels below it count as not there.

    Raises:
        DataError: if there are none, or they are of another recording.
    """
    labels = session.labels(truth=truth)
    dropped = ~(labels.usable & (labels.quality >= minimum_quality))
    for name in _FIELDS:
        getattr(labels, name)[dropped] = np.nan
    labels.origin[dropped] = 0
    return labels


def hands_in_camera(
    labels: SessionLabels, row: int, stamp: int, camera: Camera, T_cam_world: Array
) -> dict[str, Any]:
    """Return the labels that a ``HandSample`` has of a frame.

    Args:
        labels: of the session.
        row: of the set that the image is in.
        stamp: of the image, nanoseconds: cameras of a set do not expose at the same time.
        camera: of the image, lens included.
        T_cam_world: maps points of the labels' frame into the camera.
    """
    hands = _at(labels, row, stamp)
    joints = apply(T_cam_world, hands.joints)
    orient = np.full((2, 3), np.nan)
    known = np.isfinite(hands.global_orient).all(axis=1)
    if known.any():
        turned = Rotation.from_matrix(T_cam_world[:3, :3]) * Rotation.from_rotvec(
            hands.global_orient[known]
        )
        orient[known] = turned.as_rotvec()
    # The model turns about its own wrist at rest, J0 = wrist - translation, which stays in place.
    rest = hands.joints[:, 0] - hands.translation
    with np.errstate(invalid='ignore'):
        pixels = camera.project(joints.reshape(-1, 3)).reshape(2, 21, 2)
    return {
        'joints': joints, 'pixels': pixels, 'global_orient': orient, 'hand_pose': hands.hand_pose,
        'betas': hands.betas, 'translation': joints[:, 0] - rest,
    }  # fmt: skip


def _at(labels: SessionLabels, row: int, stamp: int) -> _Hands:
    """Return the hands of a row, moved along their way to a near label in time."""
    own = {name: getattr(labels, name)[row].copy() for name in _FIELDS}
    other, share = labels.neighbour(row, stamp)
    if other == row:
        return _Hands(**own)
    for side in np.flatnonzero(np.isfinite(labels.joints[[row, other]]).all(axis=(0, 2, 3))):
        for name in ('joints', 'translation'):
            way = getattr(labels, name)[other, side] - own[name][side]
            own[name][side] += share * way
        for name in ('global_orient', 'hand_pose'):
            start = Rotation.from_rotvec(own[name][side].reshape(-1, 3))
            end = Rotation.from_rotvec(getattr(labels, name)[other, side].reshape(-1, 3))
            turn = Rotation.from_rotvec(share * (start.inv() * end).as_rotvec())
            own[name][side] = (start * turn).as_rotvec().reshape(own[name][side].shape)
    return _Hands(**own)
