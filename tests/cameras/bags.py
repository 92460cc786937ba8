"""Small bags of every kind, as tests want them."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter

COMPRESSED = 'sensor_msgs/msg/CompressedImage'
KINDS = ('mcap', 'sqlite3', 'ros1')


def write_bag(folder: Path, kind: str, content: list) -> Path:
    """Write (topic, message, time of reception) entries; returns the path of the bag."""
    if kind == 'mcap':
        with BagWriter(folder) as writer:
            for topic, message, received in content:
                writer.add_topic(topic, message.__msgtype__)
                writer.write(topic, messages.serialised(message), received)
        return folder
    if kind == 'sqlite3':
        store, writer = (
            get_typestore(Stores.ROS2_KILTED),
            Writer2(folder, version=9, storage_plugin=StoragePlugin.SQLITE3),
        )
        serialise = store.serialize_cdr
    else:
        folder = folder.with_suffix('.bag')
        store, writer = get_typestore(Stores.ROS1_NOETIC), Writer1(folder)
        serialise = store.serialize_ros1
    connections = {}
    with writer:
        for topic, message, received in content:
            name = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, name, typestore=store)
            message = as_ros1(message, store) if kind == 'ros1' else message
            writer.write(connections[topic], received, serialise(message, name))
    return folder


def as_ros1(message, store):
    """The message as ROS 1 has it: a sequence number in the header, capitals in camera_info."""
    header = store.types['std_msgs/msg/Header'](seq=0, **vars(message.header))
    fields = {name: value for name, value in vars(message).items() if name != 'header'}
    if message.__msgtype__ == messages.CAMERA_INFO:
        fields = {name.upper() if len(name) == 1 else name: v for name, v in fields.items()}
    return store.types[message.__msgtype__](header=header, **fields)


def image(pixels, encoding, stamp):
    return messages.image(np.asarray(pixels), encoding, stamp, 'camera')


def compressed(data, kind, stamp):
    return messages.message(
        COMPRESSED, header=messages.header(stamp, 'camera'), format=kind,
        data=np.frombuffer(bytes(data), np.uint8),
    )  # fmt: skip


def info(size, stamp, **fields):
    camera = SimpleNamespace(
        intrinsics=np.array([[100.0, 0, 4], [0, 101.0, 3], [0, 0, 1]]),
        distortion=np.array([0.1, -0.02, 0.001, 0.002, 0.003]),
        distortion_model='plumb_bob',
    )
    vars(camera).update(fields)
    return messages.camera_info(camera, size, stamp, 'camera')
