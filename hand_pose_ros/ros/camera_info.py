"""Between ``sensor_msgs/CameraInfo`` and cameras."""

import numpy as np
from sensor_msgs.msg import CameraInfo

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.ros.stamps import header


def camera_from_info(message: CameraInfo, topic: str) -> Camera:
    """Return the intrinsics of the images that go with a ``camera_info``.

    Region of interest and binning are applied, so that the size is that of the delivered images.

    Raises:
        RigError: the camera is not calibrated (K[0] == 0) or the message makes no sense.
    """
    try:
        camera = Camera(
            width=message.width,
            height=message.height,
            intrinsics=np.array(message.k).reshape(3, 3),
            distortion=np.array(message.d),
            distortion_model=message.distortion_model or 'plumb_bob',
        )
    except RigError as error:
        raise RigError(f'{topic}: {error}') from None
    roi = message.roi
    if roi.width and roi.height:
        intrinsics = camera.intrinsics.copy()
        intrinsics[:2, 2] -= (roi.x_offset, roi.y_offset)
        camera = Camera(
            width=roi.width,
            height=roi.height,
            intrinsics=intrinsics,
            distortion=camera.distortion,
            distortion_model=camera.distortion_model,
        )
    binning = max(message.binning_x, 1), max(message.binning_y, 1)
    if binning == (1, 1):
        return camera
    return camera.scaled(camera.width // binning[0], camera.height // binning[1])


def camera_info(
    camera: Camera | None, size: tuple[int, int], stamp: int, frame_id: str
) -> CameraInfo:
    """Return the message that goes with an image of a camera.

    Args:
        camera: intrinsics; None gives the all-zero K that means "not calibrated".
        size: (width, height) of the images.
        stamp: stamp of the image in nanoseconds.
        frame_id: optical frame of the camera.
    """
    message = CameraInfo(header=header(stamp, frame_id), width=size[0], height=size[1])
    if camera is None:
        return message
    distortion = camera.distortion
    if not distortion.size:
        distortion = np.zeros(5)
    projection = np.zeros((3, 4))
    projection[:, :3] = camera.intrinsics
    message.distortion_model = camera.distortion_model
    message.d = distortion.tolist()
    message.k = camera.intrinsics.ravel()
    message.r = np.eye(3).ravel()
    message.p = projection.ravel()
    return message
