"""Transforms on /tf and /tf_static: the rig's cameras, and the joints of the hands."""

from collections.abc import Iterable

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray

from hand_pose_ros.geometry.transforms import from_quaternion
from hand_pose_ros.hand_model.hand_frames import joint_rotations, quaternions
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.skeleton import JOINT_NAMES, SIDES, Side

Array = NDArray[np.float64]

_ORIGIN = [0.0, 0.0, 0.0]
_IDENTITY = [0.0, 0.0, 0.0, 1.0]


def joint_frame(side: Side, joint: str) -> str:
    """Return the name of a joint's frame, for example ``left_hand/index_tip``."""
    return f'{side}_hand/{joint}'


class HandTransforms:
    """The frames of all joints; the messages are kept, since making them costs most of the time."""

    def __init__(self) -> None:
        """Make the messages of both hands."""
        self._messages = {
            side: [
                TransformStamped(
                    child_frame_id=joint_frame(side, name), transform=_transform(_ORIGIN, _IDENTITY)
                )
                for name in JOINT_NAMES
            ]
            for side in SIDES
        }

    def messages(
        self, hands: Iterable[HandPose], stamp: int, frame_id: str
    ) -> list[TransformStamped]:
        """Return the joints' frames as children of the results' optical frame.

        They are valid until the next call. Hands without joints (lost, or 2D only) have none.
        """
        transforms: list[TransformStamped] = []
        head = header(stamp, frame_id)
        for hand in hands:
            rotations = None if hand.joints is None else joint_rotations(hand.joints, hand.side)
            if hand.joints is None or rotations is None:
                continue
            rows = zip(hand.joints.tolist(), quaternions(rotations).tolist(), strict=True)
            for message, (position, quaternion) in zip(
                self._messages[hand.side], rows, strict=True
            ):
                message.header = head
                translation, rotation = message.transform.translation, message.transform.rotation
                translation.x, translation.y, translation.z = position
                rotation.x, rotation.y, rotation.z, rotation.w = quaternion
            transforms += self._messages[hand.side]
        return transforms


def camera_transform(camera: CameraDescription, rig_frame: str, stamp: int) -> TransformStamped:
    """Return where a camera sits on its rig or other body, for /tf_static."""
    quaternion = quaternions(camera.T_rig_cam[None, :3, :3])[0]
    return TransformStamped(
        header=header(stamp, camera.body or rig_frame),
        child_frame_id=camera.frame_id,
        transform=_transform(camera.T_rig_cam[:3, 3].tolist(), quaternion.tolist()),
    )


def matrix(transform: Transform) -> Array:
    """Return a transform message as a 4x4 matrix that maps child points into the parent."""
    rotation, translation = transform.rotation, transform.translation
    return from_quaternion(
        np.array([rotation.x, rotation.y, rotation.z, rotation.w]),
        np.array([translation.x, translation.y, translation.z]),
    )


def _transform(position: list[float], quaternion: list[float]) -> Transform:
    x, y, z, w = quaternion
    return Transform(
        translation=Vector3(x=position[0], y=position[1], z=position[2]),
        rotation=Quaternion(x=x, y=y, z=z, w=w),
    )
