"""Publishing hand poses in all their forms, the costly ones only to those who listen."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image, PointCloud2
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.estimators.drawing import DrawnHand, draw_hands, picture
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.msg import HandPose3D, HandPose3DArray, HandTopology
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.ros import qos
from hand_pose_ros.ros.images import image_message
from hand_pose_ros.ros.markers import MeshMarkers, deletion, skeleton_markers
from hand_pose_ros.ros.messages import hand_message, hands_message, topology_message
from hand_pose_ros.ros.points import hand_points, points_message
from hand_pose_ros.ros.transforms import HandTransforms
from hand_pose_ros.skeleton import SIDES, Side

# How long a marker stays without a successor, in periods of the reference camera.
_MARKER_PERIODS = 3.0
_OVERLAY_WIDTH = 640.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Results:
    """What one set of images gave.

    Attributes:
        frame: the images.
        hands: what the estimator found in them.
        estimator: its name.
        model_hash: hash of its model files.
        timings: seconds by stage.
    """

    frame: RigFrame
    hands: list[HandPose]
    estimator: str
    model_hash: str
    timings: dict[str, float]


class ResultPublisher:
    """All publishers of the inference node; used by its worker thread only, after construction."""

    def __init__(self, node: Node, rig: RigDescription, faces: dict[Side, Any]) -> None:
        """Make the publishers and send the latched topology.

        Args:
            node: the node.
            rig: the rig; names the reference camera.
            faces: (F, 3) vertex indices of the mesh by side; empty without a hand model.
        """
        self._node = node
        self._rig = rig
        self._mesh_markers = MeshMarkers(faces)
        self._shown: dict[Side, bool] = dict.fromkeys(SIDES, False)
        self._lifetime = _MARKER_PERIODS / rig.reference_camera.rate
        self._publishers: list[Publisher] = []
        self._hands = self._publisher(HandPose3DArray, 'hand_pose/hands')
        self._sides = {side: self._publisher(HandPose3D, f'hand_pose/{side}') for side in SIDES}
        self._mesh = self._publisher(Marker, 'hand_pose/mesh')
        self._skeleton = self._publisher(MarkerArray, 'hand_pose/skeleton')
        self._points = self._publisher(PointCloud2, 'hand_pose/points')
        self._overlay = self._publisher(Image, 'hand_pose/overlay/image_raw')
        self._topology = qos.publisher(node, HandTopology, 'hand_pose/topology', qos.LATCHED)
        self._publishers.append(self._topology)
        self._broadcaster = TransformBroadcaster(node)
        self._transforms = HandTransforms()
        self._publishers.append(self._broadcaster.pub_tf)
        vertices = max((int(f.max()) + 1 for f in faces.values()), default=0)
        topology = topology_message(vertices, faces.get('left'), faces.get('right'))
        self._topology.publish(topology)

    def publish(self, results: Results, *, transforms: bool, overlay_stream: str) -> float:
        """Publish the results of one set.

        Args:
            results: the hands and where they come from.
            transforms: whether to send the joints on /tf.
            overlay_stream: stream under the overlay; empty for the reference.

        Returns:
            Seconds from the start of this call to when ``hand_pose/hands`` was published.
        """
        started = time.perf_counter()
        frame, hands = results.frame, results.hands
        messages = [hand_message(hand, frame.stamp, frame.frame_id) for hand in hands]
        self._hands.publish(
            hands_message(
                messages,
                frame.stamp,
                frame.frame_id,
                streams=list(frame.streams),
                spread=frame.spread,
                estimator=results.estimator,
                model_hash=results.model_hash,
                timings=results.timings,
            )
        )
        elapsed = time.perf_counter() - started
        for hand, message in zip(hands, messages, strict=True):
            if _wanted(self._sides[hand.side]):
                self._sides[hand.side].publish(message)
        if transforms and _wanted(self._broadcaster.pub_tf):
            frames = self._transforms.messages(hands, frame.stamp, frame.frame_id)
            if frames:
                self._broadcaster.sendTransform(frames)
        self._publish_markers(frame, hands)
        if _wanted(self._points):
            points = hand_points(hands, frame)
            self._points.publish(points_message(points, frame.stamp, frame.frame_id))
        if _wanted(self._overlay):
            self._publish_overlay(results, overlay_stream)
        return elapsed

    def stop(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def _publisher(self, message: type, topic: str) -> Publisher:
        publisher = qos.publisher(self._node, message, topic, qos.RESULT)
        self._publishers.append(publisher)
        return publisher

    def _publish_markers(self, frame: RigFrame, hands: list[HandPose]) -> None:
        if _wanted(self._skeleton):
            self._skeleton.publish(
                skeleton_markers(hands, frame.stamp, frame.frame_id, self._lifetime)
            )
        if not _wanted(self._mesh):
            return
        for side in SIDES:
            hand = next((h for h in hands if h.side == side), None)
            marker = hand and self._mesh_markers.marker(
                hand, frame.stamp, frame.frame_id, self._lifetime
            )
            if marker:
                self._mesh.publish(marker)
            elif self._shown[side]:
                self._mesh.publish(deletion(side, 0, frame.stamp, frame.frame_id))
            self._shown[side] = bool(marker)

    def _publish_overlay(self, results: Results, name: str) -> None:
        frame = results.frame
        name = name or frame.reference
        stream = frame.streams.get(name)
        if stream is None:
            return
        modality = self._rig.cameras[name].modality
        image = picture(stream, modality).copy()
        drawn = [_drawn(hand, name, stream, frame) for hand in results.hands]
        draw_hands(image, [hand for hand in drawn if hand], scale=image.shape[1] / _OVERLAY_WIDTH)
        self._overlay.publish(image_message(image, 'rgb8', stream.stamp, stream.frame_id))


def _wanted(publisher: Publisher) -> bool:
    return publisher.get_subscription_count() > 0


def _drawn(hand: HandPose, name: str, stream: StreamImage, frame: RigFrame) -> DrawnHand | None:
    """Return a hand in the pixels of a stream: its metric joints, else what was seen there."""
    points: NDArray[np.float64] | None = hand.joints_2d.get(name)
    if hand.joints is not None and stream.camera is not None:
        T_cam_frame = inverse(stream.T_rig_cam) @ frame.T_rig_frame
        points = stream.camera.project(apply(T_cam_frame, hand.joints))
    if points is None:
        return None
    label = f'{hand.side} {hand.score:.2f}'
    return DrawnHand(side=hand.side, points=points, confidence=hand.confidence, label=label)
