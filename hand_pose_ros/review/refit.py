"""Refit: a labelled hand moved so that dragged joints lie where a person put them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.hand_pose import HandModelParameters
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

# How far things may stray: a dragged joint from its pixel, the rest from where it was.
_PIXEL = 0.4  # pixels
_JOINT = 0.005  # metres, of joints that were not dragged
_OWN_FINGER = 0.05  # metres, of the dragged joints' own fingers
_DEPTH = 0.007  # metres, along the ray of a joint that one view alone pins
_ANGLE = 0.5  # rad
_LIMIT = 0.05  # rad beyond an angle's limit
_TURN = 0.4  # rad of the wrist
# How much further a hand may stray that was a guess: along rays, and turned.
_GUESS_DEPTH, _GUESS_TURN = 4.0, 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Pin:
    """Where a person put a joint in an image.

    Attributes:
        joint: its number, 0 to 20.
        pixel: (2,) of the camera's image.
        camera: intrinsics.
        T_cam_world: (4, 4) maps points of the labels' frame into the camera.
        there: (3,) the joint in the neighbouring frame, metres.
        share: how far on its way there the joint was when the image was taken, 0 to 1.
    """

    joint: int
    pixel: Array
    camera: Camera
    T_cam_world: Array
    there: Array
    share: float


def refit(
    side: int, start: HandModelParameters, pins: Sequence[Pin], *, guessed: bool = False
) -> HandModelParameters:
    """Return the hand nearest to a start whose pinned joints project to their pixels.

    Depth along a ray stays near where it was, unless another view pins the joint as well.

    Args:
        side: 0 left, 1 right.
        start: the hand as it is labelled.
        pins: dragged joints.
        guessed: whether nobody has measured the start: its depth and turn are held less.

    Raises:
        DataError: if no hand projects there.
    """
    model = hand_model(SIDES[side])
    joints = _joints(model, start)
    angles = model.angles(start.hand_pose[None])[0]
    limits = model.data.joint_limits
    moved = {joint for pin in pins for joint in _finger(pin.joint)}
    sigma = np.where(np.isin(np.arange(21), list(moved)), _OWN_FINGER, _JOINT)

    depth, turn = (_DEPTH * _GUESS_DEPTH, _TURN * _GUESS_TURN) if guessed else (_DEPTH, _TURN)
    pinned = [pin.joint for pin in pins]
    rays = [(pin.joint, _ray(joints[pin.joint], pin)) for pin in pins]
    rays = [(joint, ray) for joint, ray in rays if pinned.count(joint) == 1]

    def hand(values: Array) -> HandModelParameters:
        turned = Rotation.from_rotvec(values[:3]) * Rotation.from_rotvec(start.global_orient)
        return HandModelParameters(
            global_orient=turned.as_rotvec(), betas=start.betas,
            hand_pose=model.pose_from_angles((angles + values[6:].reshape(15, 3))[None])[0],
            translation=start.translation + values[3:6],
        )  # fmt: skip

    def residuals(values: Array) -> Array:
        found = _joints(model, hand(values))
        change = values[6:].reshape(15, 3)
        beyond = np.maximum(angles + change - limits[..., 1], 0) + np.minimum(
            angles + change - limits[..., 0], 0
        )
        # What was beyond a limit before may stay there.
        before = np.maximum(angles - limits[..., 1], 0) + np.minimum(angles - limits[..., 0], 0)
        parts = [
            values[:3] / turn, ((found - joints) / sigma[:, None]).ravel(),
            change.ravel() / _ANGLE, ((beyond - before) / _LIMIT).ravel(),
        ]  # fmt: skip
        parts += [[(found[joint] - joints[joint]) @ ray / depth] for joint, ray in rays]
        for pin in pins:
            pixel = _pixels(found[pin.joint], pin)
            parts.append(np.nan_to_num(pixel - pin.pixel, nan=1e3) / _PIXEL)
        return np.concatenate(parts)

    solved = least_squares(residuals, np.zeros(6 + 45), ftol=1e-4, max_nfev=40)
    if not np.isfinite(solved.x).all():
        raise DataError('no hand projects onto the dragged joints: drag them nearer.')
    return hand(solved.x)


def _joints(model: HandModel, hand: HandModelParameters) -> Array:
    return model.joints(
        hand.global_orient[None], hand.hand_pose[None], hand.betas[None], hand.translation[None]
    )[0]


def _pixels(joint: Array, pin: Pin) -> Array:
    joint = (1.0 - pin.share) * joint + pin.share * pin.there
    seen = pin.T_cam_world[:3, :3] @ joint + pin.T_cam_world[:3, 3]
    return np.asarray(pin.camera.project(seen[None])[0])


def _ray(joint: Array, pin: Pin) -> Array:
    """Return the direction (3,) from the camera to a joint, of length 1, in the labels' frame."""
    seen = pin.T_cam_world[:3, :3] @ joint + pin.T_cam_world[:3, 3]
    return np.asarray(pin.T_cam_world[:3, :3].T @ seen / np.linalg.norm(seen))


def _finger(joint: int) -> range:
    """Return the joints of a joint's finger; the wrist moves all."""
    if joint == 0:
        return range(21)
    first = 1 + 4 * ((joint - 1) // 4)
    return range(first, first + 4)
