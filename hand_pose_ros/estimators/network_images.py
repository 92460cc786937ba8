"""Network images: a stream's image without lens distortion, at the size a network wants."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.crops import stretch_of
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.rig.thermal import agc

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]

# Bilinear sampling skips pixels when an image shrinks by more than this: average them first.
_ALIASING_RATIO = 2.0


@dataclass(frozen=True, kw_only=True, eq=False)
class PinholeImage:
    """One image without lens distortion.

    Attributes:
        pixels: (H, W) or (H, W, 3) float32 in 0..1, or (H, W) metres with 0 where there is no
            measurement.
        camera: its intrinsics; no distortion.
    """

    pixels: Pixels
    camera: Camera


def pinhole_camera(camera: Camera, size: tuple[int, int]) -> Camera:
    """Return the distortion-free camera of an image of another size with the same optical axis.

    Pixels stay square: what does not fit the shape of the new image is filled up, so that the
    whole view is kept.

    Args:
        camera: the real camera.
        size: (width, height) in pixels.
    """
    width, height = size
    ratio = min(width / camera.width, height / camera.height)
    inner = round(camera.width * ratio), round(camera.height * ratio)
    scaled = camera.scaled(*inner)
    intrinsics = scaled.intrinsics.copy()
    intrinsics[0, 2] += (width - inner[0]) / 2
    intrinsics[1, 2] += (height - inner[1]) / 2
    return Camera(width=width, height=height, intrinsics=intrinsics, distortion=np.zeros(0))


class Rectifier:
    """Resamples the images of a camera to a network's size; maps are made once per camera."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Prepare for images of a size (width, height) in pixels."""
        self.size = size
        self._camera: Camera | None = None
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._pinhole: Camera | None = None

    def grey_values(self, view: View, modality: Modality) -> PinholeImage:
        """Return a thermal, NIR or RGB image with values in 0..1.

        Thermal is stretched as by ``rig.thermal.agc`` to white-hot, NIR between its percentiles.

        Raises:
            ImageError: the image is not one of the modality.
        """
        image = view.stream.image
        if modality == 'thermal':
            warm = agc(image, white_hot=view.stream.white_hot)
            return self._sampled(warm, view, 1.0 / 255.0)
        stretch = stretch_of(view.stream, modality)
        gain = 1.0 / (stretch.white - stretch.black)
        found = self._sampled(image, view, gain, stretch.black)
        return replace(found, pixels=np.clip(found.pixels, 0.0, 1.0))

    def metres(self, view: View) -> PinholeImage:
        """Return a depth image in metres, 0 where there is no measurement; nothing is mixed.

        Raises:
            ImageError: the image is not depth in metres.
        """
        image = view.stream.image
        if image.ndim != 2 or image.dtype.kind != 'f':
            raise ImageError(
                f'depth image of {image.dtype} {image.shape} is not in metres: give (H, W) float32'
            )
        first, second, camera = self._prepared(view.camera)
        pixels = cv2.remap(image, first, second, cv2.INTER_NEAREST, borderValue=float('nan'))
        return PinholeImage(pixels=np.nan_to_num(pixels, nan=0.0, posinf=0.0), camera=camera)

    def _sampled(self, image: NDArray, view: View, gain: float, black: float = 0.0) -> PinholeImage:
        first, second, camera = self._prepared(view.camera)
        factor = int(max(image.shape[1] / self.size[0], image.shape[0] / self.size[1]))
        if factor > _ALIASING_RATIO:
            image = cv2.blur(image, (factor, factor))
        pixels = cv2.remap(image, first, second, cv2.INTER_LINEAR, borderValue=(black,) * 3)
        values = (pixels.astype(np.float32) - np.float32(black)) * np.float32(gain)
        return PinholeImage(pixels=values, camera=camera)

    def _prepared(self, camera: Camera) -> tuple[NDArray[np.float32], NDArray[np.float32], Camera]:
        if camera is not self._camera or self._maps is None or self._pinhole is None:
            pinhole = pinhole_camera(camera, self.size)
            columns, rows = np.meshgrid(np.arange(self.size[0]), np.arange(self.size[1]))
            grid = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
            rays = np.column_stack([pinhole.undistort(grid), np.ones(len(grid))])
            native = np.nan_to_num(camera.project(rays), nan=-1e4)
            maps = native.astype(np.float32).reshape(self.size[1], self.size[0], 2)
            self._maps = np.ascontiguousarray(maps[..., 0]), np.ascontiguousarray(maps[..., 1])
            self._camera, self._pinhole = camera, pinhole
        return *self._maps, self._pinhole
