"""Pixels of recorded sensor_msgs/Image and CompressedImage messages."""

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import BagError

# Encoding -> bytes a channel and channels; the byte order is the message's.
_LAYOUTS: dict[str, tuple[str, int]] = {
    'mono8': ('u1', 1),
    '8UC1': ('u1', 1),
    'mono16': ('u2', 1),
    '16UC1': ('u2', 1),
    '32FC1': ('f4', 1),
    'rgb8': ('u1', 3),
    'bgr8': ('u1', 3),
    'rgba8': ('u1', 4),
    'bgra8': ('u1', 4),
}

# Number of the format, then two parameters of the quantisation of depth.
_DEPTH_HEADER = struct.Struct('<iff')


def image_array(message: Any) -> NDArray[Any]:
    """Return the pixels of an Image message as (H, W) or (H, W, C) in their native type.

    Row padding is left out without a copy where there is none.

    Raises:
        BagError: for an encoding that is not a raw one, or data of the wrong length.
    """
    layout = _LAYOUTS.get(message.encoding)
    if layout is None:
        known = ', '.join(_LAYOUTS)
        raise BagError(f'image encoding {message.encoding!r} is not raw: record one of {known}.')
    dtype = np.dtype(('>' if message.is_bigendian else '<') + layout[0])
    row = message.width * layout[1] * dtype.itemsize
    data = np.frombuffer(message.data, dtype=np.uint8)
    if message.step < row or data.size != message.step * message.height:
        raise BagError(
            f'an image of {message.width}x{message.height} {message.encoding} has {data.size} '
            f'bytes in rows of {message.step}: record it again with a correct driver.'
        )
    rows = np.ascontiguousarray(data.reshape(message.height, message.step)[:, :row])
    pixels = rows.view(dtype).astype(dtype.newbyteorder('='), copy=False)
    if layout[1] == 1:
        return pixels
    return pixels.reshape(message.height, message.width, layout[1])


def compressed_array(message: Any) -> NDArray[Any]:
    """Return the pixels of a CompressedImage as (H, W) or, blue first, (H, W, C).

    JPEG and PNG are decoded as they are; ``compressedDepth`` gives uint16 counts, or float32
    metres with NaN for invalid where the recorded image was ``32FC1``.

    Raises:
        BagError: for a format that is not known here, or broken data.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    if 'compressedDepth' in message.format:
        return _compressed_depth(data, message.format)
    pixels = _picture(data, message.format)
    # image_transport names the order of channels that went into the encoder, bgr8 by default.
    if pixels.ndim == 3 and message.format.rstrip().endswith('compressed rgb8'):
        return np.ascontiguousarray(pixels[..., ::-1])
    return pixels


def _compressed_depth(data: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    """Decode what image_transport's compressed_depth writes: parameters, then a PNG."""
    if kind.rstrip().endswith('rvl'):
        raise BagError(f'image format {kind!r} is not known here: record it as png.')
    if data.size < _DEPTH_HEADER.size:
        raise BagError(f'an image of format {kind!r} has {data.size} bytes: record it again.')
    _, near, far = _DEPTH_HEADER.unpack_from(data.tobytes())
    counts = _picture(data[_DEPTH_HEADER.size :], kind)
    if not kind.startswith('32FC1'):
        return counts
    # Inverse depth was quantised; 0 is invalid.
    with np.errstate(divide='ignore'):
        depth = near / (counts.astype(np.float32) - np.float32(far))
    return np.where(counts > 0, depth, np.nan).astype(np.float32)


def _picture(data: NDArray[np.uint8], kind: str) -> NDArray[Any]:
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if pixels is None:
        raise BagError(
            f'an image of format {kind!r} and {data.size} bytes cannot be decoded: record jpeg or '
            'png.'
        )
    return pixels
