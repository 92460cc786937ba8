"""Crops: cuts a region out of an image of any stream, as the networks want to see it."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.regions import Region
from hand_pose_ros.rig.frame import Modality, StreamImage
from hand_pose_ros.rig.thermal import agc_limits

# A bilinear warp skips pixels when it shrinks by more than this: average them first.
_ALIASING_RATIO = 2.0


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The pixel values that become black (0.0) and white (1.0); black > white inverts."""

    black: float
    white: float


def stretch_of(stream: StreamImage, modality: Modality) -> Stretch:
    """Return how to bring one image to 0..1.

    Thermal and NIR are stretched between their 1st and 99.8th percentiles, thermal to white-hot;
    RGB keeps its range.

    Raises:
        ImageError: if the image is not one the networks can see.
    """
    image = stream.image
    channels = (3,) if modality == 'rgb' else ()
    depths = ('uint8',) if modality == 'rgb' else ('uint8', 'uint16')
    if modality == 'depth' or image.dtype not in depths or image.shape[2:] != channels:
        raise ImageError(
            f'{modality} image of {image.dtype} {image.shape} has no hand landmarks: give thermal '
            'or nir (H, W) uint8 or uint16, or rgb (H, W, 3) uint8'
        )
    if image.ndim < 2 or 0 in image.shape:
        raise ImageError(f'{modality} image of shape {image.shape} is empty: check the camera')
    if modality == 'rgb':
        return Stretch(black=0.0, white=255.0)
    low, high = agc_limits(image)
    high = max(high, low + 1.0)
    inverted = modality == 'thermal' and not stream.white_hot
    return Stretch(black=high, white=low) if inverted else Stretch(black=low, white=high)


def cut(image: NDArray[Any], region: Region, size: int, stretch: Stretch) -> NDArray[np.float32]:
    """Return a region as (size, size, 3) float32 in 0..1; black outside the image.

    Crop pixel i lies at i / size of the region's side (see ``Region.matrix``).
    """
    matrix = region.matrix(size)
    if region.size > _ALIASING_RATIO * size:
        image, matrix = _shrink(image, region, matrix, int(region.size // size))
    border = (stretch.black,) * 3
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    pixels = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderValue=border)
    gain = 1.0 / (stretch.white - stretch.black)
    values: NDArray[Any] = pixels.astype(np.float32)
    values -= np.float32(stretch.black)
    values *= np.float32(gain)
    if values.ndim == 2:
        np.clip(values, 0.0, 1.0, out=values)
        values = cv2.cvtColor(values, cv2.COLOR_GRAY2RGB)
    return values


def _shrink(
    image: NDArray[Any], region: Region, matrix: NDArray[np.float64], factor: int
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    # Only the part under the region is averaged; the crop's map is moved into its pixels.
    corners = region.corners()
    limit = np.array(image.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - factor, 0, limit)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + factor, 0, limit)
    high = low + (high - low) // factor * factor
    if (high <= low).any():
        return image, matrix
    part = image[low[1] : high[1], low[0] : high[0]]
    width, height = (high - low) // factor
    small = cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    moved = matrix / factor
    moved[:, 2] = (matrix[:, 2] - low - (factor - 1) / 2) / factor
    return small, moved
