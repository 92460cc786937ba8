"""A calibrated pinhole camera with lens distortion; optical axes: x right, y down, z forward."""

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import RigError

Array = NDArray[np.float64]

# CameraInfo's names, and how many coefficients each carries.
DISTORTION_MODELS = {'plumb_bob': (0, 4, 5), 'rational_polynomial': (8,), 'equidistant': (4,)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Camera:
    """Intrinsics of one camera.

    Attributes:
        width, height: image size in pixels.
        intrinsics: K (3, 3) in pixels, pixel centres at integer coordinates.
        distortion: coefficients in OpenCV order (k1, k2, p1, p2, k3, ...); empty means none.
        distortion_model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
    """

    width: int
    height: int
    intrinsics: Array
    distortion: Array
    distortion_model: str = 'plumb_bob'

    def __post_init__(self) -> None:
        """Normalise the arrays and refuse what no projection can be made of."""
        intrinsics = np.asarray(self.intrinsics, dtype=np.float64).reshape(3, 3)
        distortion = np.asarray(self.distortion, dtype=np.float64).ravel()
        object.__setattr__(self, 'intrinsics', intrinsics)
        object.__setattr__(self, 'distortion', distortion)
        if intrinsics[0, 0] == 0 or intrinsics[1, 1] == 0:
            raise RigError(
                'the camera is not calibrated (K[0] == 0): run a chequerboard calibration '
                '(for example ROS camera_calibration, or hand-pose calibrate) and put fx, fy, '
                'cx, cy into the rig file'
            )
        if not (np.isfinite(intrinsics).all() and np.isfinite(distortion).all()):
            raise RigError('intrinsics or distortion contain NaN or Inf: calibrate again')
        sizes = DISTORTION_MODELS.get(self.distortion_model)
        if sizes is None:
            known = ', '.join(DISTORTION_MODELS)
            raise RigError(f'distortion model {self.distortion_model!r} is unknown: use {known}')
        if distortion.size not in sizes:
            raise RigError(
                f'{self.distortion_model} takes {" or ".join(map(str, sizes))} coefficients, '
                f'got {distortion.size}'
            )

    @cached_property
    def is_distorted(self) -> bool:
        """Whether any distortion coefficient is non-zero."""
        return bool(np.any(self.distortion))

    @cached_property
    def _largest_radius(self) -> float:
        """Distance from the axis, at z = 1, beyond which the distortion is no longer monotonic."""
        if not self.is_distorted or self.distortion_model == 'equidistant':
            return np.inf
        k1, k2, _, _, k3, k4, k5, k6 = np.pad(self.distortion, (0, 8 - self.distortion.size))
        radius = np.linspace(0, 5, 5001)
        square = radius**2
        bottom = 1 + square * (k4 + square * (k5 + square * k6))
        bent = radius * (1 + square * (k1 + square * (k2 + square * k3))) / bottom
        falling = np.flatnonzero(np.diff(bent) <= 0)
        return float(radius[falling[0]]) if falling.size else np.inf

    def project(self, points: Array) -> Array:
        """Project points (N, 3), metres in the camera frame, to pixels (N, 2).

        Points at or behind the camera plane give NaN, and so do points so far off the axis that
        the lens model, which holds only inside the image, would fold them back into it.
        """
        points = np.asarray(points, dtype=np.float64).reshape(-1, 3)
        depth = np.where(points[:, 2:] > 1e-6, points[:, 2:], np.nan)
        normalised = points[:, :2] / depth
        if np.isfinite(self._largest_radius):
            outside = np.hypot(normalised[:, 0], normalised[:, 1]) > self._largest_radius
            normalised[outside] = np.nan
        return self.distort(normalised)

    def distort(self, normalised: Array) -> Array:
        """Map ideal image-plane coordinates (N, 2) at z = 1 to pixels (N, 2), lens included."""
        normalised = np.asarray(normalised, dtype=np.float64).reshape(-1, 2)
        if not self.is_distorted or not len(normalised):
            return normalised @ self.intrinsics[:2, :2].T + self.intrinsics[:2, 2]
        points = np.column_stack([normalised, np.ones(len(normalised))])
        origin = np.zeros(3)
        if self.distortion_model == 'equidistant':
            pixels, _ = cv2.fisheye.projectPoints(
                points[:, None], origin, origin, self.intrinsics, self.distortion
            )
        else:
            pixels, _ = cv2.projectPoints(points, origin, origin, self.intrinsics, self.distortion)
        return pixels.reshape(-1, 2)

    def undistort(self, pixels: Array) -> Array:
        """Map pixels (N, 2) to ideal image-plane coordinates (N, 2) at z = 1, lens removed."""
        pixels = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        if not self.is_distorted or not len(pixels):
            inverse = np.linalg.inv(self.intrinsics)
            return pixels @ inverse[:2, :2].T + inverse[:2, 2]
        if self.distortion_model == 'equidistant':
            ideal = cv2.fisheye.undistortPoints(pixels[:, None], self.intrinsics, self.distortion)
        else:
            criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-9)
            ideal = cv2.undistortPointsIter(
                pixels[:, None], self.intrinsics, self.distortion, None, None, criteria
            )
        return ideal.reshape(-1, 2)

    def unproject(self, pixels: Array, depth: Array) -> Array:
        """Lift pixels (N, 2) with depth z (N,) in metres to camera-frame points (N, 3)."""
        normalised = self.undistort(pixels)
        depth = np.asarray(depth, dtype=np.float64).reshape(-1, 1)
        return np.column_stack([normalised * depth, depth])

    def contains(self, pixels: Array) -> NDArray[np.bool_]:
        """Say which pixels (..., 2) lie in the image: (...); NaN does not."""
        with np.errstate(invalid='ignore'):
            inside = (pixels >= 0) & (pixels <= (self.width - 1, self.height - 1))
        return np.asarray(inside.all(axis=-1))

    def scaled(self, width: int, height: int) -> 'Camera':
        """Return this camera for the same view resampled to another size.

        Pixel centres sit at integer coordinates, so the principal point moves by the half-pixel
        rule ``c' = (c + 0.5) s - 0.5``.
        """
        ratio = np.array([width / self.width, height / self.height])
        intrinsics = self.intrinsics.copy()
        intrinsics[:2, :2] *= ratio[:, None]
        intrinsics[:2, 2] = (intrinsics[:2, 2] + 0.5) * ratio - 0.5
        return replace(self, width=width, height=height, intrinsics=intrinsics)
