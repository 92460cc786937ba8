"""Depth value conventions (REP-117, REP-118): any depth image to metres with NaN for invalid."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ImageError, RigError

DEPTH_ENCODINGS = ('16UC1', 'mono16', '32FC1')


@dataclass(frozen=True, kw_only=True)
class DepthValues:
    """What the values of a depth camera mean.

    Attributes:
        scale: metres per count of integer images (0.001 for 16UC1 in millimetres).
        minimum, maximum: trusted range in metres; what lies outside is invalid.
    """

    scale: float = 0.001
    minimum: float = 0.0
    maximum: float = math.inf

    def __post_init__(self) -> None:
        """Refuse ranges that hold nothing."""
        if not (self.scale > 0 and math.isfinite(self.scale)):
            raise RigError(f'depth scale must be above 0 metres per count, got {self.scale}')
        if not 0 <= self.minimum < self.maximum:
            raise RigError(
                f'depth range {self.minimum} .. {self.maximum} m is empty: give minimum < maximum'
            )


def metres(
    image: NDArray[Any],
    encoding: str,
    scale: float = 0.001,
    minimum: float = 0.0,
    maximum: float = math.inf,
) -> NDArray[np.float32]:
    """Convert a depth image (H, W) to float32 metres.

    Zero, negative, NaN and both infinities are invalid and become NaN, as does everything outside
    ``[minimum, maximum]``.

    Args:
        image: uint16 counts (``16UC1``, ``mono16``) or float metres (``32FC1``).
        encoding: ROS encoding name.
        scale: metres per count of integer images; float images are metres already (REP-118).
        minimum, maximum: trusted range in metres.
    """
    if encoding not in DEPTH_ENCODINGS:
        raise ImageError(
            f'depth encoding {encoding!r} is unknown: use {", ".join(DEPTH_ENCODINGS)}'
        )
    expected = np.float32 if encoding == '32FC1' else np.uint16
    if image.ndim != 2 or image.dtype != expected:
        raise ImageError(
            f'a {encoding} image is {np.dtype(expected)} of shape (H, W), '
            f'got {image.dtype} {image.shape}'
        )
    if expected is np.uint16:
        depth = np.multiply(image, np.float32(scale), dtype=np.float32)
    else:
        depth = np.array(image, dtype=np.float32)
    with np.errstate(invalid='ignore'):
        valid = (depth > 0) & (depth >= minimum) & (depth <= min(maximum, np.finfo(np.float32).max))
    depth[~valid] = np.nan
    return depth
