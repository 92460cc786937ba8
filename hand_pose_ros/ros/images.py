"""Image messages to numpy arrays without a copy, and back with one.

Raw encodings need nothing but numpy. Bayer, YUV and compressed images go through cv_bridge, which
is imported only when one arrives: a cv_bridge that does not fit the installed numpy or OpenCV then
costs those images and not the node.
"""

import array
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CompressedImage, Image

from hand_pose_ros.errors import ImageError
from hand_pose_ros.ros.stamps import header

# Encoding -> type of one value, values per pixel.
RAW_ENCODINGS: dict[str, tuple[type[np.generic], int]] = {
    'mono8': (np.uint8, 1),
    '8UC1': (np.uint8, 1),
    'mono16': (np.uint16, 1),
    '16UC1': (np.uint16, 1),
    '32FC1': (np.float32, 1),
    'rgb8': (np.uint8, 3),
    'bgr8': (np.uint8, 3),
    'rgba8': (np.uint8, 4),
    'bgra8': (np.uint8, 4),
}

# Encodings that cv_bridge turns into rgb8.
_CONVERTED_TO_RGB = ('bayer_', 'yuv', 'nv', 'uyvy')

_LITTLE = sys.byteorder == 'little'


def image_array(message: Image, topic: str) -> tuple[NDArray[Any], str]:
    """Return the pixels of an image message and their encoding.

    Raw encodings come as a view of the message's own memory, (H, W) or (H, W, channels), in native
    byte order; Bayer and YUV images are converted to ``rgb8``.

    Args:
        message: the image.
        topic: where it came from, for the text of errors.

    Raises:
        ImageError: the encoding cannot be read here, or sizes in the message disagree.
    """
    layout = RAW_ENCODINGS.get(message.encoding)
    if layout is None:
        return _through_cv_bridge(message, topic)
    height, width, step = message.height, message.width, message.step
    dtype, channels = np.dtype(layout[0]), layout[1]
    row = width * channels * dtype.itemsize
    if not height or not width or step < row or len(message.data) < step * (height - 1) + row:
        raise ImageError(
            f'{topic}: a {width}x{height} {message.encoding} image needs rows of {row} bytes, but '
            f'step is {step} and there are {len(message.data)} bytes: correct the publisher'
        )
    if message.is_bigendian == _LITTLE and dtype.itemsize > 1:
        dtype = dtype.newbyteorder()
    strides: tuple[int, ...] = (step, channels * dtype.itemsize)
    shape: tuple[int, ...] = (height, width)
    if channels > 1:
        shape, strides = (*shape, channels), (*strides, dtype.itemsize)
    pixels: NDArray[Any] = np.ndarray(shape, dtype, buffer=message.data, strides=strides)
    if not dtype.isnative:
        pixels = pixels.astype(dtype.newbyteorder('='))
    return pixels, message.encoding


def compressed_array(message: CompressedImage, topic: str) -> tuple[NDArray[Any], str]:
    """Return the pixels of a compressed image message and their encoding.

    Raises:
        ImageError: cv_bridge is not there, or cannot decode the message.
    """
    bridge = _cv_bridge(f'format {message.format!r}', topic)
    try:
        pixels = np.asarray(bridge.compressed_imgmsg_to_cv2(message, 'passthrough'))
    except Exception as error:
        raise ImageError(
            f'{topic}: image of format {message.format!r} is broken: {error}'
        ) from error
    if pixels.ndim == 3:
        return pixels, 'bgr8' if pixels.shape[2] == 3 else 'bgra8'
    return pixels, 'mono16' if pixels.dtype == np.uint16 else 'mono8'


def image_message(pixels: NDArray[Any], encoding: str, stamp: int, frame_id: str) -> Image:
    """Return an image message with a copy of the pixels.

    Args:
        pixels: (H, W) or (H, W, channels), as the encoding asks.
        encoding: one of ``RAW_ENCODINGS``.
        stamp: acquisition time in nanoseconds.
        frame_id: optical frame of the camera.

    Raises:
        ImageError: the pixels do not fit the encoding.
    """
    layout = RAW_ENCODINGS.get(encoding)
    if layout is None:
        known = ', '.join(RAW_ENCODINGS)
        raise ImageError(f'{frame_id}: cannot publish encoding {encoding!r}, use one of {known}')
    dtype, channels = layout
    found = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.dtype != dtype or found != channels or pixels.ndim not in (2, 3) or not pixels.size:
        raise ImageError(
            f'{frame_id}: {pixels.dtype} pixels of shape {pixels.shape} are no {encoding} image, '
            f'which has {channels} channel(s) of {np.dtype(dtype)}'
        )
    height, width = pixels.shape[:2]
    # Anything but an array.array is checked or copied value by value by the message class.
    data = array.array('B')
    data.frombytes(np.ascontiguousarray(pixels).data.cast('B'))
    return Image(
        header=header(stamp, frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=not _LITTLE,
        step=width * channels * pixels.itemsize,
        data=data,
    )


def _through_cv_bridge(message: Image, topic: str) -> tuple[NDArray[Any], str]:
    encoding = message.encoding
    if not encoding.lower().startswith(_CONVERTED_TO_RGB):
        known = ', '.join(RAW_ENCODINGS)
        raise ImageError(
            f'{topic}: encoding {encoding!r} is unknown, publish one of {known}, or Bayer or YUV'
        )
    bridge = _cv_bridge(f'encoding {encoding!r}', topic)
    try:
        return np.asarray(bridge.imgmsg_to_cv2(message, 'rgb8')), 'rgb8'
    except Exception as error:
        raise ImageError(f'{topic}: cv_bridge cannot convert {encoding!r}: {error}') from error


def _cv_bridge(what: str, topic: str) -> Any:
    try:
        from cv_bridge import CvBridge

        return CvBridge()
    # Built against another numpy or OpenCV it fails with whatever comes first.
    except Exception as error:
        raise ImageError(
            f'{topic}: {what} needs cv_bridge, which cannot be imported here ({error}): install '
            f'ros-<distro>-cv-bridge or publish a raw encoding'
        ) from error
