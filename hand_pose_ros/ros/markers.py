"""Hands for RViz: a mesh marker per hand and its skeleton as balls and lines."""

import numpy as np
from geometry_msgs.msg import Point, Vector3
from numpy.typing import NDArray
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.skeleton import BONES, SIDES, Side

COLOURS: dict[Side, tuple[float, float, float]] = {
    'left': (0.34, 0.71, 1.0),
    'right': (1.0, 0.59, 0.16),
}
_JOINT_DIAMETER = 0.008
_BONE_WIDTH = 0.004


class MeshMarkers:
    """Mesh markers; the point objects are kept, since making thousands a frame costs too much."""

    def __init__(self, faces: dict[Side, NDArray[np.integer]]) -> None:
        """Take the faces (F, 3) by side."""
        self._points: dict[Side, list[Point]] = {}
        self._corners: dict[Side, list[Point]] = {}
        for side, indices in faces.items():
            points = [Point() for _ in range(int(indices.max()) + 1)]
            self._points[side] = points
            self._corners[side] = [points[index] for index in indices.ravel().tolist()]

    def marker(self, hand: HandPose, stamp: int, frame_id: str, lifetime: float) -> Marker | None:
        """Return the mesh of a hand, valid until the next call for that side.

        None when the hand has no vertices or they do not fit the faces.
        """
        points = self._points.get(hand.side, [])
        if hand.vertices is None or len(hand.vertices) < len(points) or not points:
            return None
        for point, (x, y, z) in zip(points, hand.vertices.tolist(), strict=False):
            point.x, point.y, point.z = x, y, z
        marker = _marker(hand.side, 0, Marker.TRIANGLE_LIST, stamp, frame_id, lifetime)
        marker.scale = Vector3(x=1.0, y=1.0, z=1.0)
        marker.points = self._corners[hand.side]
        return marker


def skeleton_markers(
    hands: list[HandPose], stamp: int, frame_id: str, lifetime: float
) -> MarkerArray:
    """Return joints and bones of the hands, and deletions of the sides that are not there."""
    markers: list[Marker] = []
    for side in SIDES:
        hand = next((h for h in hands if h.side == side and h.joints is not None), None)
        if hand is None or hand.joints is None:
            markers += [deletion(side, number, stamp, frame_id) for number in (0, 1)]
            continue
        points = [Point(x=x, y=y, z=z) for x, y, z in hand.joints.tolist()]
        joints = _marker(side, 0, Marker.SPHERE_LIST, stamp, frame_id, lifetime)
        joints.scale = Vector3(x=_JOINT_DIAMETER, y=_JOINT_DIAMETER, z=_JOINT_DIAMETER)
        joints.points = points
        bones = _marker(side, 1, Marker.LINE_LIST, stamp, frame_id, lifetime)
        bones.scale = Vector3(x=_BONE_WIDTH)
        bones.points = [points[joint] for bone in BONES for joint in bone]
        markers += [joints, bones]
    return MarkerArray(markers=markers)


def deletion(side: Side, number: int, stamp: int, frame_id: str) -> Marker:
    """Return the marker that removes an earlier one."""
    return Marker(
        header=header(stamp, frame_id), ns=f'{side}_hand', id=number, action=Marker.DELETE
    )


def _marker(
    side: Side, number: int, kind: int, stamp: int, frame_id: str, lifetime: float
) -> Marker:
    red, green, blue = COLOURS[side]
    marker = Marker(
        header=header(stamp, frame_id),
        ns=f'{side}_hand',
        id=number,
        type=kind,
        action=Marker.ADD,
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=Duration(seconds=lifetime).to_msg(),
    )
    marker.pose.orientation.w = 1.0
    return marker
