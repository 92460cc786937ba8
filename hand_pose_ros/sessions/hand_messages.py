"""HandPose3DArray messages from hand poses, and into labels, without ROS."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.messages import HANDS, header, message
from hand_pose_ros.hand_model.hand_frames import quaternions, wrist_rotation
from hand_pose_ros.hand_model.hand_pose import HandPose, State
from hand_pose_ros.sessions.labels import SessionLabels
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES

Array = NDArray[np.float64]

RESULTS_TOPIC = '/hand_pose/hands'
STATES: dict[State, int] = {'tracked': 1, 'predicted': 2, 'lost': 3}


def hands_message(
    hands: Sequence[HandPose], stamp: int, frame_id: str, *, streams: Sequence[str], estimator: str
) -> Any:
    """Return the message of all hands at a stamp (ns); what a hand does not have is absent.

    Args:
        hands: expressed in ``frame_id``.
        stamp: of the reference image.
        frame_id: optical frame of the reference camera.
        streams: cameras they were seen by.
        estimator: what made them.
    """
    return message(
        HANDS, header=header(stamp, frame_id),
        hands=[_hand(hand, stamp, frame_id) for hand in hands], streams=list(streams),
        synchronization_spread=0.0, estimator=estimator, model_hash='', stage_names=[],
        stage_seconds=np.zeros(0, np.float32),
    )  # fmt: skip


def enter_hand(labels: SessionLabels, row: int, hand: Any, *, quality: float, origin: int) -> None:
    """Fill a row of labels with the joints and parameters of a HandPose3D message."""
    side = hand.side
    labels.joints[row, side] = [(point.x, point.y, point.z) for point in hand.joints]
    labels.global_orient[row, side] = hand.global_orient
    labels.hand_pose[row, side] = np.reshape(hand.hand_pose, (15, 3))
    labels.betas[row, side] = hand.betas
    labels.translation[row, side] = hand.translation
    labels.quality[row, side] = quality
    labels.origin[row, side] = origin


def _hand(hand: HandPose, stamp: int, frame_id: str) -> Any:
    parameters = hand.parameters
    covariance = np.full((JOINT_COUNT, 3, 3), np.nan)
    if hand.covariance is not None:
        covariance = hand.covariance
    vertices = np.zeros(0) if hand.vertices is None else hand.vertices
    raw = hand.joints if hand.joints_raw is None else hand.joints_raw
    return message(
        'hand_pose_ros/msg/HandPose3D', header=header(stamp, frame_id),
        side=SIDES.index(hand.side), track_id=hand.track_id, state=STATES[hand.state],
        score=float(hand.score), joints=_points(hand.joints), joints_raw=_points(raw),
        confidence=_flat(hand.confidence), covariance=_flat(covariance), wrist=_wrist(hand),
        has_parameters=parameters is not None,
        global_orient=_flat(parameters.global_orient if parameters else np.zeros(3)),
        hand_pose=_flat(parameters.hand_pose if parameters else np.zeros(45)),
        betas=_flat(parameters.betas if parameters else np.zeros(10)),
        translation=_flat(parameters.translation if parameters else np.zeros(3)),
        vertices=_flat(vertices), sources=list(hand.sources),
    )  # fmt: skip


def _wrist(hand: HandPose) -> Any:
    position, turn = np.full(3, np.nan), np.zeros(4)
    if hand.joints is not None:
        position = hand.joints[0]
        rotation = wrist_rotation(hand.joints, hand.side)
        turn = turn if rotation is None else quaternions(rotation[None])[0]
    x, y, z, w = (float(value) for value in turn)
    return message(
        'geometry_msgs/msg/Pose', position=_point(position),
        orientation=message('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )  # fmt: skip


def _points(joints: Array | None) -> list[Any]:
    rows = np.full((JOINT_COUNT, 3), np.nan) if joints is None else joints
    return [_point(row) for row in rows]


def _point(position: Array) -> Any:
    x, y, z = (float(value) for value in position)
    return message('geometry_msgs/msg/Point', x=x, y=y, z=z)


def _flat(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32).ravel()
