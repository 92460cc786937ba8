"""Transforms on /tf and /tf_static: the rig's cameras, and the joints of the hands."""

from collections.abc import Iterable

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from numpy.typing import NDArray

from hand_pose_ros.estimators.hand_pose import HandPose
from hand_pose_ros.geometry.transforms import from_quaternion
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.ros.hand_frames import joint_rotations, quaternions
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.skeleton import JOINT_NAMES, Side

Array = NDArray[np.float64]


def joint_frame(side: Side, joint: str) -> str:
    """Return the name of a joint's frame, for example ``left_hand/index_tip``."""
    return f'{side}_hand/{joint}'


def hand_transforms(hands: Iterable[HandPose], stamp: int, frame_id: str) -> list[TransformStamped]:
    """Return the frames of all joints of the hands as children of the results' optical frame.

    Hands without joints (lost, or 2D only) have none.
    """
    transforms: list[TransformStamped] = []
    for hand in hands:
        rotations = None if hand.joints is None else joint_rotations(hand.joints, hand.side)
        if hand.joints is None or rotations is None:
            continue
        head = header(stamp, frame_id)
        rows = zip(JOINT_NAMES, hand.joints.tolist(), quaternions(rotations).tolist(), strict=True)
        transforms += [
            TransformStamped(
                header=head,
                child_frame_id=joint_frame(hand.side, name),
                transform=_transform(position, quaternion),
            )
            for name, position, quaternion in rows
        ]
    return transforms


def camera_transform(camera: CameraDescription, rig_frame: str, stamp: int) -> TransformStamped:
    """Return where a camera sits on its rig, for /tf_static."""
    quaternion = quaternions(camera.T_rig_cam[None, :3, :3])[0]
    return TransformStamped(
        header=header(stamp, rig_frame),
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
