"""Bags of made-up results and truth, for tests."""

from pathlib import Path

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hand_pose_ros.bags.schemas import message_text
from hand_pose_ros.bags.writer import BagWriter

ARRAY = 'hand_pose_ros/msg/HandPose3DArray'
PERIOD = 33_333_333
START = 1_700_000_000_000_000_000


def typestore():
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(message_text(ARRAY), ARRAY))
    return store


STORE = None


def store():
    global STORE
    STORE = STORE or typestore()
    return STORE


def hand_message(side, joints, state=1, confidence=1.0, sigma=0.005):
    types = store().types
    point, pose = types['geometry_msgs/msg/Point'], types['geometry_msgs/msg/Pose']
    points = [point(*map(float, row)) for row in joints]
    return types['hand_pose_ros/msg/HandPose3D'](
        header=header(0),
        side={'left': 0, 'right': 1}[side],
        track_id=1,
        state=state,
        score=0.9,
        joints=points,
        joints_raw=points,
        confidence=np.full(21, confidence, np.float32),
        covariance=np.tile(np.eye(3).ravel() * sigma**2, 21).astype(np.float32),
        wrist=pose(points[0], types['geometry_msgs/msg/Quaternion'](0.0, 0.0, 0.0, 1.0)),
        has_parameters=False,
        global_orient=np.zeros(3, np.float32),
        hand_pose=np.zeros(45, np.float32),
        betas=np.zeros(10, np.float32),
        translation=np.zeros(3, np.float32),
        vertices=np.zeros(0, np.float32),
        sources=['thermal'],
    )


def header(stamp, frame_id='thermal_optical_frame'):
    types = store().types
    time = types['builtin_interfaces/msg/Time'](stamp // 10**9, stamp % 10**9)
    return types['std_msgs/msg/Header'](time, frame_id)


def array_message(stamp, hands, frame_id='thermal_optical_frame', spread=0.004):
    return store().types[ARRAY](
        header=header(stamp, frame_id),
        hands=hands,
        streams=['thermal', 'depth'],
        synchronization_spread=spread,
        estimator='landmarks',
        model_hash='',
        stage_names=['landmarks', 'fit'],
        stage_seconds=np.array([0.01, 0.005], np.float32),
    )


def serialised(message):
    return bytes(store().serialize_cdr(message, ARRAY))


def joints_at(stamp, offset=0.0):
    seconds = (stamp - START) / 1e9
    base = np.random.default_rng(0).normal(0.0, 0.03, (21, 3))
    return base + [0.1 * seconds + offset, 0.0, 0.5]  # noqa: RUF005


def write_run(folder: Path, *, offset=0.010, frames=30, latency=30_000_000, result_frame=None):
    """Left hand moving at 0.1 m/s, estimated ``offset`` m aside, between two truth stamps."""
    with BagWriter(folder) as bag:
        bag.add_topic('/hand_pose/hands', ARRAY)
        bag.add_topic('/thermal/ground_truth', ARRAY)
        for index in range(frames):
            stamp = START + index * PERIOD
            truth = array_message(stamp, [hand_message('left', joints_at(stamp))])
            bag.write('/thermal/ground_truth', serialised(truth), stamp)
            between = stamp + PERIOD // 2
            found = [hand_message('left', joints_at(between, offset))]
            result = array_message(between, found, result_frame or 'thermal_optical_frame')
            bag.write('/hand_pose/hands', serialised(result), between + latency)
    return folder
