"""From a camera's native image to the form estimators take, with every mismatch refused."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ImageError
from hand_pose_ros.rig.depth import DEPTH_ENCODINGS, DepthValues, metres
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.model import ENCODINGS, CameraDescription

# Names of the same pixels.
_ALIASES = {'8UC1': 'mono8', '16UC1': 'mono16', '8UC3': 'bgr8', '8UC4': 'bgra8'}

_LAYOUTS: dict[str, tuple[type, int]] = {
    'mono8': (np.uint8, 1),
    'mono16': (np.uint16, 1),
    'rgb8': (np.uint8, 3),
    'bgr8': (np.uint8, 3),
    'rgba8': (np.uint8, 4),
    'bgra8': (np.uint8, 4),
}

_TO_RGB = {
    'bgr8': cv2.COLOR_BGR2RGB,
    'rgba8': cv2.COLOR_RGBA2RGB,
    'bgra8': cv2.COLOR_BGRA2RGB,
}


def stream_image(
    image: NDArray[Any], encoding: str, stamp: int, description: CameraDescription
) -> StreamImage:
    """Convert one native image to a StreamImage.

    Colour becomes R, G, B; depth becomes metres with NaN for invalid; the camera's constant time
    offset is taken off the stamp. Mono images are passed on without a copy.

    Args:
        image: pixels as the driver or message holds them.
        encoding: their ROS encoding name.
        stamp: acquisition stamp in nanoseconds as the camera gave it.
        description: the camera they come from.

    Raises:
        ImageError: when size, layout or encoding do not fit the description.
    """
    width, height = description.size
    if description.size != (0, 0) and image.shape[:2] != (height, width):
        raise ImageError(
            f'{description.name}: image is {image.shape[1]}x{image.shape[0]} but the rig file '
            f'says {width}x{height}, correct size and intrinsics or the camera mode'
        )
    if description.modality == 'depth':
        pixels = _depth(image, encoding, description)
    else:
        pixels = _colour_or_mono(image, _ALIASES.get(encoding, encoding), description)
    return StreamImage(
        image=pixels,
        stamp=stamp - description.time_offset,
        camera=description.camera,
        T_rig_cam=description.T_rig_cam,
        frame_id=description.frame_id,
        white_hot=description.white_hot,
    )


def fit_size(description: CameraDescription, width: int, height: int) -> CameraDescription:
    """Return the description for images that are a whole fraction of the calibrated size.

    K is scaled with the image. Raises ImageError for any other size.
    """
    if description.size == (width, height):
        return description
    calibrated_width, calibrated_height = description.size
    factor = calibrated_width // max(width, 1)
    if factor < 1 or (width * factor, height * factor) != description.size:
        raise ImageError(
            f'{description.name}: image is {width}x{height}, which is no whole fraction of the '
            f'calibrated {calibrated_width}x{calibrated_height}, calibrate at this size'
        )
    camera = description.camera.scaled(width, height) if description.camera else None
    return replace(description, size=(width, height), camera=camera)


def _depth(
    image: NDArray[Any], encoding: str, description: CameraDescription
) -> NDArray[np.float32]:
    if encoding not in DEPTH_ENCODINGS:
        known = ', '.join(DEPTH_ENCODINGS)
        raise ImageError(f'{description.name}: encoding {encoding!r} is no depth, use {known}')
    values = description.values
    assert isinstance(values, DepthValues)
    try:
        return metres(image, encoding, values.scale, values.minimum, values.maximum)
    except ImageError as error:
        raise ImageError(f'{description.name}: {error}') from None


def _colour_or_mono(
    image: NDArray[Any], encoding: str, description: CameraDescription
) -> NDArray[Any]:
    known = ENCODINGS[description.modality]
    if encoding not in known:
        raise ImageError(
            f'{description.name}: encoding {encoding!r} does not fit a {description.modality} '
            f'camera, use {", ".join(known)}'
        )
    if description.modality != 'rgb' and encoding != description.encoding:
        raise ImageError(
            f'{description.name}: image is {encoding} but the rig file says '
            f'{description.encoding}, correct encoding there or the camera mode'
        )
    dtype, channels = _LAYOUTS[encoding]
    found = image.shape[2] if image.ndim == 3 else 1
    if image.dtype != dtype or found != channels or image.ndim not in (2, 3):
        raise ImageError(
            f'{description.name}: a {encoding} image has {channels} channel(s) of '
            f'{np.dtype(dtype)}, got {image.dtype} of shape {image.shape}'
        )
    if encoding in _TO_RGB:
        return cv2.cvtColor(image, _TO_RGB[encoding])
    return image[..., 0] if image.ndim == 3 and channels == 1 else image
