"""Camera drivers by name."""

from importlib import import_module
from typing import cast

from hand_pose_ros.cameras.driver import CameraDriver
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.model import EXTERNAL_DRIVER, CameraDescription, RigDescription

# Driver name -> module with ``create(description, rig) -> CameraDriver``, imported when asked for.
DRIVERS = {
    'bag': 'hand_pose_ros.cameras.bag',
    'image_folder': 'hand_pose_ros.cameras.image_folder',
    'realsense': 'hand_pose_ros.cameras.realsense',
    'simulated': 'hand_pose_ros.cameras.simulated',
    'v4l2': 'hand_pose_ros.cameras.v4l2',
}


def create(description: CameraDescription, rig: RigDescription) -> CameraDriver:
    """Make the driver that a camera of a rig asks for.

    Raises:
        CameraError: for an unknown driver (listing those that exist), for ``external``, and for
            options the driver does not take.
    """
    name = description.driver
    if name == EXTERNAL_DRIVER:
        raise CameraError(
            f'{description.name}: driver {name!r} means that another ROS node publishes this '
            f'camera, use one of {", ".join(DRIVERS)} to open it here'
        )
    if name not in DRIVERS:
        raise CameraError(
            f'{description.name}: driver {name!r} does not exist, use one of '
            f'{", ".join(DRIVERS)}, or {EXTERNAL_DRIVER} when another node publishes the images'
        )
    return cast(CameraDriver, import_module(DRIVERS[name]).create(description, rig))
