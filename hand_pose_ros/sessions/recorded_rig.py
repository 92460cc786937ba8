"""The rig a bag was recorded with, and its cameras' images, from the bag itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.bags.messages import (
    CAMERA_INFO,
    IMAGE,
    STRING,
    TRANSFORMS,
    deserialised,
    stamp_of,
)
from hand_pose_ros.bags.reader import BagReader, header_stamp
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import from_quaternion
from hand_pose_ros.rig.description import load_rig
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import parse_yaml
from hand_pose_ros.rig.rig_file import parse_rig
from hand_pose_ros.sessions.trajectory import Trajectory

Array = NDArray[np.float64]

RIG_TOPIC = '/rig_description'


def image_topic(camera: str) -> str:
    """Return the topic of a camera's images."""
    return f'/{camera}/image_raw'


def info_topic(camera: str) -> str:
    """Return the topic of a camera's intrinsics."""
    return f'/{camera}/camera_info'


def recorded_image(data: bytes, camera: CameraDescription) -> StreamImage:
    """Return the image in an Image message of a camera in the form estimators take."""
    content = deserialised(data, IMAGE)
    return stream_image(image_array(content), content.encoding, header_stamp(data), camera)


def recorded_rig(reader: BagReader, rig: RigDescription | Path | None = None) -> RigDescription:
    """Return the rig of a bag, with what the rig leaves to ``camera_info`` and TF filled in.

    Args:
        reader: the open bag.
        rig: the rig or its file; None takes the one recorded on ``/rig_description``.

    Raises:
        RigError: if the bag holds no rig and none was given.
    """
    if isinstance(rig, Path):
        rig = load_rig(rig)
    described = rig or _described_rig(reader)
    cameras = {
        name: _with_pose(_with_intrinsics(camera, reader), described, reader)
        for name, camera in described.cameras.items()
    }
    return replace(described, cameras=cameras)


def _described_rig(reader: BagReader) -> RigDescription:
    data = _first(reader, RIG_TOPIC)
    if data is None:
        raise RigError(
            f'bag {reader.folder} holds no {RIG_TOPIC}: name the rig it was recorded with (--rig).'
        )
    source = f'{reader.folder} {RIG_TOPIC}'
    return parse_rig(parse_yaml(deserialised(data, STRING).data, source), source)


def _with_intrinsics(camera: CameraDescription, reader: BagReader) -> CameraDescription:
    if camera.camera is not None:
        return camera
    data = _first(reader, info_topic(camera.name))
    info: Any = None if data is None else deserialised(data, CAMERA_INFO)
    if info is None or info.k[0] == 0:
        return camera
    try:
        intrinsics = Camera(
            width=info.width, height=info.height, intrinsics=np.reshape(info.k, (3, 3)),
            distortion=np.asarray(info.d), distortion_model=info.distortion_model or 'plumb_bob',
        )  # fmt: skip
        return replace(camera, camera=intrinsics, size=(info.width, info.height))
    except RigError as error:
        raise RigError(f'{reader.folder} {info_topic(camera.name)}: {error}') from None


def _with_pose(
    camera: CameraDescription, rig: RigDescription, reader: BagReader
) -> CameraDescription:
    """Replace a pose that the rig leaves to TF by the one recorded on /tf_static."""
    if not camera.extrinsics_from_tf:
        return camera
    parent = camera.body or rig.rig_frame
    for entry in reader.messages('/tf_static'):
        for stamped in deserialised(entry.data, TRANSFORMS).transforms:
            if (stamped.header.frame_id, stamped.child_frame_id) == (parent, camera.frame_id):
                pose = _matrix(stamped.transform)
                return replace(camera, T_rig_cam=pose, extrinsics_from_tf=False)
    raise RigError(
        f'bag {reader.folder}: /tf_static has no transform from {parent} to {camera.frame_id}, '
        'which the rig file leaves to TF: write T_rig_cam into the rig file and name it (--rig).'
    )


def recorded_trajectories(reader: BagReader, rig: RigDescription) -> dict[str, Trajectory]:
    """Return how the bodies of the rig's exo cameras moved, as /tf tells it, by name."""
    bodies = {camera.body for camera in rig.cameras.values() if camera.body}
    poses: dict[str, dict[int, Array]] = {}
    if not bodies:
        return {}
    for entry in reader.messages('/tf'):
        for stamped in deserialised(entry.data, TRANSFORMS).transforms:
            if stamped.header.frame_id == rig.rig_frame and stamped.child_frame_id in bodies:
                track = poses.setdefault(stamped.child_frame_id, {})
                track[stamp_of(stamped)] = _matrix(stamped.transform)
    return {
        body: Trajectory(
            body=body,
            stamps=np.array(sorted(track), np.int64),
            T_rig_body=np.array([track[stamp] for stamp in sorted(track)]),
        )
        for body, track in poses.items()
    }


def _matrix(transform: Any) -> Array:
    """Return a transform message as a (4, 4) matrix."""
    position, turn = transform.translation, transform.rotation
    return from_quaternion(
        np.array([turn.x, turn.y, turn.z, turn.w]), np.array([position.x, position.y, position.z])
    )


def _first(reader: BagReader, topic: str) -> bytes | None:
    return next((entry.data for entry in reader.messages(topic)), None)
