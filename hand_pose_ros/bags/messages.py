"""ROS messages without ROS: made, serialised and read by rosbags, also those of this package."""

from functools import cache
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Typestore
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hand_pose_ros.bags.schemas import message_text
from hand_pose_ros.errors import BagError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import to_quaternion

Array = NDArray[np.float64]

IMAGE = 'sensor_msgs/msg/Image'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
STRING = 'std_msgs/msg/String'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'
HANDS = 'hand_pose_ros/msg/HandPose3DArray'

# Parameters of a distortion model in a CameraInfo, by its number of coefficients.
_LEAST_PLUMB_BOB = 5


@cache
def typestore() -> Typestore:
    """Return the message types of ROS and of this package."""
    store = get_typestore(Stores.ROS2_KILTED)
    own = get_types_from_msg(message_text(HANDS), HANDS)
    store.register({name: fields for name, fields in own.items() if name.startswith('hand_pose')})
    return store


def message(type_name: str, *values: Any, **fields: Any) -> Any:
    """Return a new message of a type, for example ``std_msgs/msg/String``.

    Raises:
        BagError: if the type is not known.
    """
    try:
        return typestore().types[type_name](*values, **fields)
    except KeyError:
        raise BagError(
            f'message type {type_name} is not known: use a common ROS type or one of this package.'
        ) from None


def serialised(content: Any) -> bytes:
    """Return the CDR bytes of a message, its four-byte header included."""
    return bytes(typestore().serialize_cdr(content, content.__msgtype__))


def deserialised(data: bytes, type_name: str) -> Any:
    """Return the message that CDR bytes hold.

    Raises:
        BagError: if they are no message of that type.
    """
    try:
        return typestore().deserialize_cdr(data, type_name)
    except Exception as error:
        raise BagError(f'{len(data)} bytes are no {type_name} ({error}).') from None


def header(stamp: int, frame_id: str) -> Any:
    """Return a std_msgs/Header of a stamp in nanoseconds."""
    time = message('builtin_interfaces/msg/Time', sec=stamp // 10**9, nanosec=stamp % 10**9)
    return message('std_msgs/msg/Header', stamp=time, frame_id=frame_id)


def image(pixels: NDArray[Any], encoding: str, stamp: int, frame_id: str) -> Any:
    """Return a sensor_msgs/Image of native pixels (H, W) or (H, W, C)."""
    rows = np.ascontiguousarray(pixels)
    return message(
        IMAGE, header=header(stamp, frame_id), height=rows.shape[0], width=rows.shape[1],
        encoding=encoding, is_bigendian=0, step=rows.nbytes // rows.shape[0],
        data=rows.reshape(-1).view(np.uint8),
    )  # fmt: skip


def camera_info(camera: Camera | None, size: tuple[int, int], stamp: int, frame_id: str) -> Any:
    """Return the sensor_msgs/CameraInfo of a camera; without one K is zero: not calibrated."""
    intrinsics = np.zeros((3, 3)) if camera is None else camera.intrinsics
    distortion = np.zeros(0) if camera is None else camera.distortion
    model = '' if camera is None else camera.distortion_model
    if model == 'plumb_bob':
        distortion = np.pad(distortion, (0, max(0, _LEAST_PLUMB_BOB - len(distortion))))
    roi = message(
        'sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0, width=0,
        do_rectify=False,
    )  # fmt: skip
    return message(
        CAMERA_INFO, header=header(stamp, frame_id), height=size[1], width=size[0],
        distortion_model=model, d=np.asarray(distortion, np.float64),
        k=np.asarray(intrinsics, np.float64).ravel(), r=np.eye(3).ravel(),
        p=np.column_stack([intrinsics, np.zeros(3)]).ravel(), binning_x=0, binning_y=0, roi=roi,
    )  # fmt: skip


def text(content: str) -> Any:
    """Return a std_msgs/String."""
    return message(STRING, data=content)


def transform(T_parent_child: Array, parent: str, child: str, stamp: int) -> Any:
    """Return a geometry_msgs/TransformStamped of a (4, 4) transform."""
    x, y, z = (float(value) for value in T_parent_child[:3, 3])
    rotation = dict(zip('xyzw', map(float, to_quaternion(T_parent_child)), strict=True))
    return message(
        'geometry_msgs/msg/TransformStamped', header=header(stamp, parent), child_frame_id=child,
        transform=message(
            'geometry_msgs/msg/Transform',
            translation=message('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
            rotation=message('geometry_msgs/msg/Quaternion', **rotation),
        ),
    )  # fmt: skip


def transforms(entries: list[Any]) -> Any:
    """Return a tf2_msgs/TFMessage of stamped transforms."""
    return message(TRANSFORMS, transforms=entries)


def stamp_of(content: Any) -> int:
    """Return the header stamp of a message in nanoseconds."""
    stamp = content.header.stamp
    return cast(int, stamp.sec * 10**9 + stamp.nanosec)
