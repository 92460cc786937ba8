"""The measured surface of the hands as a point cloud."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2

from hand_pose_ros.estimators.hand_surface import bone_points, own_points, points_near
from hand_pose_ros.estimators.rig_views import views_of
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import RigFrame
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.skeleton import SIDES

FIELDS = [
    PointField(name='x', offset=0, datatype=PointField.FLOAT32, count=1),
    PointField(name='y', offset=4, datatype=PointField.FLOAT32, count=1),
    PointField(name='z', offset=8, datatype=PointField.FLOAT32, count=1),
    PointField(name='side', offset=12, datatype=PointField.FLOAT32, count=1),
]


def hand_points(hands: list[HandPose], frame: RigFrame) -> NDArray[np.float32]:
    """Return the depth points on the hands; each belongs to the nearest one.

    Returns:
        (N, 4) x, y, z in metres in ``frame.frame_id`` and the side (0 left, 1 right); empty
        without hands or without a calibrated depth stream.
    """
    placed = [(SIDES.index(hand.side), hand.joints) for hand in hands if hand.joints is not None]
    trees = [cKDTree(bone_points(joints)) for _, joints in placed]
    found = [np.empty((0, 4), np.float32)]
    for view in views_of(frame).values():
        if view.stream.image.dtype != np.float32:
            continue
        for row, (side, joints) in enumerate(placed):
            near = points_near(view, joints, most=None)
            points = own_points(near, trees[row], trees[:row] + trees[row + 1 :])
            found.append(np.insert(points, 3, side, axis=1).astype(np.float32))
    return np.concatenate(found)


def points_message(points: NDArray[np.float32], stamp: int, frame_id: str) -> PointCloud2:
    """Return points (N, 4) as a message with the fields x, y, z and side."""
    return point_cloud2.create_cloud(header(stamp, frame_id), FIELDS, points)
