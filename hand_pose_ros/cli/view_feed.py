"""Turns messages into what the browser page shows: everything in the rig frame."""

from collections import deque
from typing import Any

import numpy as np

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.cli.viewer import ViewedHand, ViewedStatus, Viewer
from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators.drawing import picture
from hand_pose_ros.evaluation.live_run import RecordedHand, recorded_hand
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.rig.description import RigDescription
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.sessions.hand_messages import STATES
from hand_pose_ros.skeleton import SIDES

_STATE_NAMES = {number: name for name, number in STATES.items()}
# Results the rate is averaged over.
_WINDOW = 60


class ViewFeed:
    """Feeds a page from messages; its methods are the subscriber's callbacks."""

    def __init__(self, rig: RigDescription, viewer: Viewer) -> None:
        """Show a rig's messages on a page."""
        self._rig = rig
        self._viewer = viewer
        self._stamps: deque[int] = deque(maxlen=_WINDOW)
        self._frames = {camera.frame_id: camera.T_rig_cam for camera in rig.cameras.values()}
        self.refused: set[str] = set()

    def topology(self, message: Any) -> None:
        """Take the faces of the meshes from a HandTopology."""
        triangles = (message.left_triangles, message.right_triangles)
        faces = {
            side: np.array(flat, dtype=np.uint32).reshape(-1, 3)
            for side, flat in zip(SIDES, triangles, strict=True)
            if len(flat)
        }
        self._viewer.set_topology(faces)

    def image(self, camera: str, message: Any) -> None:
        """Show an Image; one that does not fit the rig is remembered and left out."""
        description = self._rig.cameras[camera]
        try:
            stream = stream_image(image_array(message), message.encoding, 0, description)
        except HandPoseError as error:
            self.refused.add(str(error))
            return
        self._viewer.show_image(camera, picture(stream, description.modality))

    def hands(self, message: Any, received: int) -> None:
        """Show a HandPose3DArray received at a time in nanoseconds."""
        stamp = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        if self._stamps and stamp < self._stamps[-1]:
            self._stamps.clear()
        self._stamps.append(stamp)
        seconds = (self._stamps[-1] - self._stamps[0]) / 1e9
        status = ViewedStatus(
            rate=(len(self._stamps) - 1) / seconds if seconds > 0 else 0.0,
            latency=(received - stamp) / 1e9,
            spread=float(message.synchronization_spread),
            streams=tuple(message.streams),
        )
        T_rig_frame = self._frames.get(message.header.frame_id)
        if T_rig_frame is None:
            self.refused.add(
                f'hands are in frame {message.header.frame_id!r}, which the rig '
                f'{self._rig.name} does not have: start the view with the rig that runs.'
            )
            return
        hands = [self._hand(hand, T_rig_frame) for hand in message.hands]
        self._viewer.show_hands(hands, status)

    def _hand(self, message: Any, T_rig_frame: np.ndarray) -> ViewedHand:
        hand = recorded_hand(message)
        vertices = np.array(message.vertices, dtype=np.float64).reshape(-1, 3)
        known = bool(np.isfinite(hand.joints).all())
        return ViewedHand(
            side=SIDES[message.side],
            state=_STATE_NAMES.get(hand.state, 'lost'),
            score=hand.score,
            joints=apply(T_rig_frame, hand.joints) if known else None,
            vertices=apply(T_rig_frame, vertices) if len(vertices) else None,
            sigma=_largest_sigma(hand),
        )


def _largest_sigma(hand: RecordedHand) -> float | None:
    variances = np.diagonal(hand.covariance, axis1=1, axis2=2)
    return float(np.sqrt(variances.max())) if np.isfinite(variances).all() else None
