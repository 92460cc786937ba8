"""Adding: a first pose for a hand without a label, with its palm where a person has pointed."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.annotation.label_masks import ImagePlace
from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.hand_model.hand_pose import HandModelParameters
from hand_pose_ros.hand_model.model_files import MIRROR_POINTS, MIRROR_ROTATIONS
from hand_pose_ros.sessions.labels import SessionLabels
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

# The middle of these joints is that of the palm: wrist and knuckles.
PALM = [0, 5, 9, 13, 17]
# From a camera to a palm when nothing is known, metres: that of hands that do something.
_DISTANCE = 0.45
_NEAREST, _FARTHEST = 0.1, 5.0
# From what a depth camera sees of a palm to its middle, metres.
_INSIDE = 0.012
_WINDOW = 2  # pixels to each side of the one that was pointed at
_FLEXION = 0.3  # rad, of the joints of a relaxed hand
# Of a relaxed hand, in a camera: fingers up and away, its back to the camera.
_FINGERS, _BACK = np.array([0.0, -0.8, 0.6]), np.array([0.0, -0.6, -0.8])


def first_pose(
    labels: SessionLabels,
    row: int,
    side: int,
    place: ImagePlace,
    pixel: Array,
    depth: NDArray[np.float32] | None = None,
) -> HandModelParameters:
    """Return a hand to begin with: its palm lies on the ray of a pixel.

    It is posed as in the nearest frame in which that hand is labelled; where there is none, as the
    mirror image of the nearest other hand; and where there is no hand at all, relaxed with its back
    to the camera. It is as far from the camera as that hand was, or as a depth image measures.

    Args:
        labels: of the session; rejected hands are not begun from.
        row: for which the hand is wanted.
        side: 0 left, 1 right.
        place: the camera whose image was pointed at.
        pixel: (2,) in that image.
        depth: (H, W) of that image in metres, if it is one of a depth camera.
    """
    known = _nearest(labels, row, side) or _mirrored(_nearest(labels, row, 1 - side))
    start = known or _relaxed(side, place)
    ray = place.intrinsics.unproject(pixel[None], np.ones(1))[0]
    palm = apply(place.T_cam_world, _palm(side, start)[None])[0]
    distance = float(np.linalg.norm(palm)) if known else _DISTANCE
    if depth is not None and (surface := _measured(depth, pixel)) is not None:
        distance = surface * float(np.linalg.norm(ray)) + _INSIDE
    wanted = ray / np.linalg.norm(ray) * np.clip(distance, _NEAREST, _FARTHEST)
    return HandModelParameters(
        global_orient=start.global_orient, hand_pose=start.hand_pose, betas=start.betas,
        translation=start.translation + place.T_cam_world[:3, :3].T @ (wanted - palm),
    )  # fmt: skip


def _nearest(labels: SessionLabels, row: int, side: int) -> HandModelParameters | None:
    """Return the labelled hand of a side that is nearest in time."""
    rows = np.flatnonzero(labels.usable[:, side])
    if not len(rows):
        return None
    away = np.abs(labels.stamps[rows] - labels.stamps[row])
    return labels.parameters(int(rows[np.argmin(away)]), side)


def _mirrored(hand: HandModelParameters | None) -> HandModelParameters | None:
    """Return the mirror image of a hand, if any, about the middle plane of the labels' frame."""
    return hand and HandModelParameters(
        global_orient=hand.global_orient * MIRROR_ROTATIONS,
        hand_pose=hand.hand_pose * MIRROR_ROTATIONS,
        betas=hand.betas, translation=hand.translation * MIRROR_POINTS,
    )  # fmt: skip


def _relaxed(side: int, place: ImagePlace) -> HandModelParameters:
    model = hand_model(SIDES[side])
    angles = np.zeros((1, 15, 3))
    angles[..., 2] = _FLEXION
    limits = model.data.joint_limits
    # Fingers of the resting model lie along x: of a left hand forwards, of a right one backwards.
    along = _FINGERS if side == 0 else -_FINGERS
    axes = np.column_stack([along, _BACK, np.cross(along, _BACK)])
    return HandModelParameters(
        global_orient=Rotation.from_matrix(place.T_cam_world[:3, :3].T @ axes).as_rotvec(),
        hand_pose=model.pose_from_angles(np.clip(angles, limits[..., 0], limits[..., 1]))[0],
        betas=np.zeros(10), translation=np.zeros(3),
    )  # fmt: skip


def _palm(side: int, hand: HandModelParameters) -> Array:
    joints = hand_model(SIDES[side]).joints(
        hand.global_orient[None], hand.hand_pose[None], hand.betas[None], hand.translation[None]
    )[0]
    return np.asarray(joints[PALM].mean(axis=0))


def _measured(depth: NDArray[np.float32], pixel: Array) -> float | None:
    """Return what a depth image measures around a pixel, metres; None where that is nothing."""
    x, y = np.round(pixel).astype(int)
    window = depth[max(y - _WINDOW, 0) : y + _WINDOW + 1, max(x - _WINDOW, 0) : x + _WINDOW + 1]
    known = window[np.isfinite(window)]
    return float(np.median(known)) if known.size else None
