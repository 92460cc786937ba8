"""Hand poses as messages, and messages as hand poses."""

import array
import math
from collections.abc import Sequence

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion
from numpy.typing import NDArray

from hand_pose_ros.hand_model.hand_frames import quaternions, wrist_rotation
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose, State
from hand_pose_ros.msg import HandPose3D, HandPose3DArray, HandTopology
from hand_pose_ros.ros.stamps import header
from hand_pose_ros.skeleton import JOINT_COUNT, JOINT_NAMES, PARENTS, WRIST, Side

Array = NDArray[np.float64]

_SIDES: dict[Side, int] = {'left': HandPose3D.LEFT, 'right': HandPose3D.RIGHT}
_STATES: dict[State, int] = {
    'tracked': HandPose3D.TRACKED,
    'predicted': HandPose3D.PREDICTED,
    'lost': HandPose3D.LOST,
}
_SIDE_NAMES = {value: name for name, value in _SIDES.items()}
_STATE_NAMES = {value: name for name, value in _STATES.items()}
# Characters of the model hash that are published.
_HASH_LENGTH = 16
_ABSENT_POINT = (math.nan, math.nan, math.nan)
_NO_COVARIANCE = np.full(9 * JOINT_COUNT, np.nan, np.float32)


def hand_message(hand: HandPose, stamp: int, frame_id: str) -> HandPose3D:
    """Return one hand as a message; what the hand does not have is marked absent.

    Args:
        hand: the hand, expressed in ``frame_id``.
        stamp: acquisition time of the reference image in nanoseconds.
        frame_id: optical frame of the results.
    """
    message = HandPose3D(
        header=header(stamp, frame_id),
        side=_SIDES[hand.side],
        track_id=hand.track_id,
        state=_STATES[hand.state],
        score=float(hand.score),
        joints=_points(hand.joints),
        joints_raw=_points(hand.joints_raw),
        confidence=np.asarray(hand.confidence, np.float32),
        covariance=_covariance(hand.covariance),
        wrist=_wrist(hand.joints, hand.side),
        sources=list(hand.sources),
    )
    if hand.parameters is not None:
        message.has_parameters = True
        message.global_orient = _flat(hand.parameters.global_orient)
        message.hand_pose = _flat(hand.parameters.hand_pose)
        message.betas = _flat(hand.parameters.betas)
        message.translation = _flat(hand.parameters.translation)
    if hand.vertices is not None:
        message.vertices = array.array('f', _flat(hand.vertices).tobytes())
    return message


def hands_message(
    hands: Sequence[HandPose3D],
    stamp: int,
    frame_id: str,
    *,
    streams: Sequence[str],
    spread: int = 0,
    estimator: str,
    model_hash: str = '',
    timings: dict[str, float] | None = None,
) -> HandPose3DArray:
    """Return all hands of one set of images as a message.

    Args:
        hands: messages of the hands.
        stamp: acquisition time of the reference image in nanoseconds.
        frame_id: optical frame of the results.
        streams: streams present in the set.
        spread: largest difference between two stamps of the set in nanoseconds.
        estimator: name of the estimator.
        model_hash: hash over its model files.
        timings: seconds per stage.
    """
    timings = timings or {}
    return HandPose3DArray(
        header=header(stamp, frame_id),
        hands=list(hands),
        streams=list(streams),
        synchronization_spread=spread * 1e-9,
        estimator=estimator,
        model_hash=model_hash[:_HASH_LENGTH],
        stage_names=list(timings),
        stage_seconds=array.array('f', timings.values()),
    )


def hand_pose(message: HandPose3D) -> HandPose:
    """Return the hand a message describes; fields marked absent become None.

    The 2D joints are not part of the message.
    """
    parameters = None
    if message.has_parameters:
        parameters = HandModelParameters(
            global_orient=np.array(message.global_orient, np.float64),
            hand_pose=np.array(message.hand_pose, np.float64).reshape(15, 3),
            betas=np.array(message.betas, np.float64),
            translation=np.array(message.translation, np.float64),
        )
    covariance = np.array(message.covariance, np.float64).reshape(JOINT_COUNT, 3, 3)
    vertices = np.frombuffer(message.vertices, np.float32).astype(np.float64).reshape(-1, 3)
    return HandPose(
        side=_SIDE_NAMES[message.side],
        track_id=message.track_id,
        state=_STATE_NAMES[message.state],
        score=message.score,
        joints=_joints(message.joints),
        joints_raw=_joints(message.joints_raw),
        confidence=np.array(message.confidence, np.float64),
        covariance=None if np.isnan(covariance).all() else covariance,
        sources=tuple(message.sources),
        parameters=parameters,
        vertices=vertices if vertices.size else None,
    )


def topology_message(
    vertex_count: int = 0,
    left_faces: NDArray[np.integer] | None = None,
    right_faces: NDArray[np.integer] | None = None,
) -> HandTopology:
    """Return the joint names and, when a hand model is loaded, its faces (F, 3)."""
    return HandTopology(
        joint_names=list(JOINT_NAMES),
        joint_parents=array.array('b', PARENTS),
        vertex_count=vertex_count,
        left_triangles=_indices(left_faces),
        right_triangles=_indices(right_faces),
    )


def pose_message(position: Array, quaternion: Array) -> Pose:
    """Return a pose from (3,) metres and a quaternion (x, y, z, w)."""
    x, y, z, w = quaternion.tolist()
    return Pose(position=Point(**_xyz(position)), orientation=Quaternion(x=x, y=y, z=z, w=w))


def _xyz(position: Array) -> dict[str, float]:
    x, y, z = position.tolist()
    return {'x': x, 'y': y, 'z': z}


def _points(joints: Array | None) -> list[Point]:
    rows = [_ABSENT_POINT] * JOINT_COUNT if joints is None else np.asarray(joints).tolist()
    return [Point(x=x, y=y, z=z) for x, y, z in rows]


def _joints(points: Sequence[Point]) -> Array | None:
    joints = np.array([(point.x, point.y, point.z) for point in points])
    return None if np.isnan(joints).all() else joints


def _flat(values: Array) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32).ravel()


def _covariance(covariance: Array | None) -> NDArray[np.float32]:
    return _NO_COVARIANCE if covariance is None else _flat(covariance)


def _indices(faces: NDArray[np.integer] | None) -> array.array:
    flat = np.empty(0) if faces is None else faces
    return array.array('I', np.ascontiguousarray(flat, np.uint32).tobytes())


def _wrist(joints: Array | None, side: Side) -> Pose:
    if joints is None:
        return pose_message(np.full(3, np.nan), np.zeros(4))
    rotation = wrist_rotation(joints, side)
    quaternion = np.zeros(4) if rotation is None else quaternions(rotation[None])[0]
    return pose_message(np.asarray(joints[WRIST]), quaternion)
