"""Pixels as files hold them to pixels as a camera of some kind gives them."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.frame import Modality

_GREY = {'uint8': 'mono8', 'uint16': 'mono16', 'float32': '32FC1'}

# Mean difference of the channels up to which lossy compression explains colour in a grey image.
_GREY_TOLERANCE = 4.0

# What the files of each kind of camera may hold.
_EXPECTED: dict[Modality, tuple[str, ...]] = {
    'thermal': ('mono8', 'mono16'),
    'nir': ('mono8', 'mono16'),
    'depth': ('16UC1', '32FC1'),
    'rgb': ('rgb8',),
}


def convert(
    image: NDArray[Any], source: str, modality: Modality | None = None, wanted: str | None = None
) -> tuple[NDArray[Any], str]:
    """Return a decoded picture as an image of one kind of camera, with its ROS encoding.

    Colour with three equal channels (an opacity channel is ignored) is grey, and so is, where a
    grey camera is expected, colour that lossy compression explains; grey becomes colour where an
    RGB camera is expected; 16-bit grey is depth where a depth camera is.

    Args:
        image: as OpenCV decodes it, blue first.
        source: file name for messages.
        modality: kind of camera, or None for whatever the picture is.
        wanted: encoding it must have, or None.

    Raises:
        CameraError: when the picture is not what is expected.
    """
    image, encoding = _picture(image, source)
    if modality == 'rgb' and encoding == 'mono8':
        image, encoding = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), 'rgb8'
    elif modality == 'depth' and encoding == 'mono16':
        encoding = '16UC1'
    elif modality in ('thermal', 'nir') and encoding == 'rgb8' and _is_nearly_grey(image):
        image, encoding = np.ascontiguousarray(image[..., 1]), 'mono8'
    if modality is not None and encoding not in _EXPECTED[modality]:
        known = ' or '.join(_EXPECTED[modality])
        raise CameraError(
            f'{source}: holds {encoding} pixels but a {modality} camera gives {known}, is it the '
            'right folder?'
        )
    if wanted is None or encoding == wanted:
        return image, encoding
    if encoding == 'rgb8' and wanted in ('bgr8', 'rgba8', 'bgra8'):
        return (image[..., ::-1].copy(), 'bgr8') if wanted == 'bgr8' else (image, encoding)
    raise CameraError(
        f'{source}: holds {encoding} pixels but the rig file says {wanted}, correct encoding there '
        'or use another folder'
    )


def _is_nearly_grey(image: NDArray[np.uint8]) -> bool:
    channels = image.astype(np.int16)
    return float(np.abs(channels[..., 0] - channels[..., 2]).mean()) <= _GREY_TOLERANCE


def _picture(image: NDArray[Any], source: str) -> tuple[NDArray[Any], str]:
    channels = image.shape[2] if image.ndim == 3 else 1
    if channels == 1 and image.dtype.name in _GREY:
        return image, _GREY[image.dtype.name]
    if channels in (3, 4) and image.dtype == np.uint8:
        blue, green, red = image[..., 0], image[..., 1], image[..., 2]
        if np.array_equal(blue, green) and np.array_equal(green, red):
            return np.ascontiguousarray(blue), 'mono8'
        code = cv2.COLOR_BGR2RGB if channels == 3 else cv2.COLOR_BGRA2RGB
        return cv2.cvtColor(image, code), 'rgb8'
    raise CameraError(
        f'{source}: has {channels} channel(s) of {image.dtype}, use 8-bit grey or colour, 16-bit '
        'grey or 32-bit float grey'
    )
