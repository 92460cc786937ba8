"""Pixels of recorded sensor_msgs/Image messages."""

from typing import Any

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
