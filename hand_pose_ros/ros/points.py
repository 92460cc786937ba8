"""The measured surface of the hands as a point cloud."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2

from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.skeleton import BONES, SIDES

Array = NDArray[np.float64]

# Depth points this close to a bone, in metres, belong to the hand.
REACH = 0.03
_SAMPLES_PER_BONE = 4

FIELDS = [
    PointField(name='x', offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name='y', offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name='z', offset=8, datatype=PointField.FLOAT32, count=1),
    PointField(name='side', offset=12, datatype=PointField.FLOAT32, count=1),
]


def hand_points(hands: list[HandPose], frame: RigFrame) -> NDArray[np.float32]:
    """Return depth points within ``REACH`` of a hand's bones.

    Returns:
        (N, 4) x, y, z in metres in ``frame.frame_id`` and the side (0 left, 1 right); empty
        without hands or without a calibrated depth stream.
    """
    found = [np.empty((0, 4), np.float32)]
    for stream in frame.streams.values():
        if stream.image.dtype != np.float32 or stream.camera is None:
            continue
        T_frame_cam = inverse(frame.T_rig_frame) @ stream.T_rig_cam
        for hand in hands:
            if hand.joints is not None:
                points = _near(hand.joints, stream, T_frame_cam)
                side = np.full((len(points), 1), SIDES.index(hand.side))
                found.append(np.hstack([points, side]).astype(np.float32))
    return np.concatenate(found)


def points_message(points: NDArray[np.float32], stamp: int, frame_id: str) -> PointCloud2:
    """Return points (N, 4) as a message with the fields x, y, z and side."""
    return point_cloud2.create_cloud(header(stamp, frame_id), FIELDS, points)


def _near(joints: Array, stream: StreamImage, T_frame_cam: Array) -> Array:
    """Return the depth points near a skeleton (21, 3), in the frame of the skeleton."""
    camera = stream.camera
    assert camera is not None
    along = np.linspace(0, 1, _SAMPLES_PER_BONE)[:, None]
    bones = [joints[a] + along * (joints[b] - joints[a]) for a, b in BONES]
    skeleton = apply(inverse(T_frame_cam), np.concatenate(bones))
    pixels = camera.project(skeleton)
    depth = skeleton[:, 2]
    if not np.isfinite(pixels).all() or depth.min() <= 0:
        return np.empty((0, 3))
    margin = REACH * camera.intrinsics[0, 0] / depth.min()
    low = np.clip(np.floor(pixels.min(0) - margin), 0, (camera.width, camera.height)).astype(int)
    high = np.clip(np.ceil(pixels.max(0) + margin), 0, (camera.width, camera.height)).astype(int)
    window = stream.image[low[1] : high[1], low[0] : high[0]]
    with np.errstate(invalid='ignore'):
        mask = (window > depth.min() - REACH) & (window < depth.max() + REACH)
    found = cv2.findNonZero(mask.astype(np.uint8))
    if found is None:
        return np.empty((0, 3))
    found = found.reshape(-1, 2)
    points = camera.unproject(found + low, window[found[:, 1], found[:, 0]])
    distance, _ = cKDTree(skeleton).query(points, distance_upper_bound=REACH)
    return apply(T_frame_cam, points[np.isfinite(distance)])
