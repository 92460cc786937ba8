"""Views: one stream's cameras of a batch, each at its place, with its K, through its lens."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.lens import lens_reach, rational_coefficients

Array = NDArray[np.float64]

NEAR = 0.05  # metres; nothing nearer to a camera's plane is drawn
_FOCAL, _CENTRE = (0.85, 1.2), 0.03  # range of the factor on f, share of the size that c moves


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """N cameras of one stream.

    Attributes:
        camera: what they are of one make; each has its own K.
        rectified: whether the images are free of the lens's distortion.
        intrinsics: (N, 3, 3) float32.
        T_scene_cam: (N, 4, 4) float64 on the CPU.
        rays: (N, H, W, 2) or (1, H, W, 2) ideal coordinates at z = 1 of the pixels.
    """

    camera: Camera
    rectified: bool
    intrinsics: Tensor
    T_scene_cam: Array
    rays: Tensor

    def project(self, points: Tensor) -> Tensor:
        """Project points (N, V, 3) of the cameras' frames to pixels (N, V, 2), NaN if unusable."""
        depth = points[..., 2:]
        ideal = points[..., :2] / torch.where(depth > NEAR, depth, torch.nan)
        if not self.rectified:
            reach = _lens(self.camera).reach
            ideal = torch.where(ideal.square().sum(-1, keepdim=True) < reach**2, ideal, torch.nan)
            ideal = _bend(ideal, self.camera)
        K = self.intrinsics[:, None]
        x = K[..., 0, 0] * ideal[..., 0] + K[..., 0, 1] * ideal[..., 1] + K[..., 0, 2]
        return torch.stack([x, K[..., 1, 1] * ideal[..., 1] + K[..., 1, 2]], -1)


def make_views(
    camera: Camera, intrinsics: Array, T_scene_cam: Array, rectified: bool, device: torch.device
) -> Views:
    """Put N cameras up.

    Args:
        camera: size and lens.
        intrinsics: (N, 3, 3), all alike unless ``rectified``.
        T_scene_cam: (N, 4, 4).
        rectified: leave the lens's distortion out.
        device: where images are rendered.
    """
    plane = rectified or not camera.is_distorted
    return Views(
        camera=camera,
        rectified=plane,
        intrinsics=put(intrinsics.astype(np.float32), device),
        T_scene_cam=T_scene_cam,
        rays=_plane_rays(camera, intrinsics, device) if plane else put(_lens(camera).rays, device),
    )


def varied_intrinsics(generator: np.random.Generator, camera: Camera) -> Array:
    """Draw a K (3, 3) about the camera's: other focal length and principal point."""
    K = camera.intrinsics.copy()
    K[[0, 1], [0, 1]] *= generator.uniform(*_FOCAL)
    K[:2, 2] += generator.uniform(-_CENTRE, _CENTRE, 2) * (camera.width, camera.height)
    return K


def _plane_rays(camera: Camera, intrinsics: Array, device: torch.device) -> Tensor:
    kinds, which = np.unique(intrinsics, axis=0, return_inverse=True)
    K = put(kinds.astype(np.float32), device)[..., None]
    columns = torch.arange(camera.width, dtype=torch.float32, device=device)
    rows = torch.arange(camera.height, dtype=torch.float32, device=device)
    rays = torch.empty((len(kinds), camera.height, camera.width, 2), device=device)
    y = (rows - K[:, 1, 2]) / K[:, 1, 1]  # (B, H)
    x = (columns - K[:, 0, 2]) / K[:, 0, 0]  # (B, W)
    rays[..., 0] = x[:, None] - (K[:, 0, 1] / K[:, 0, 0] * y)[..., None]
    rays[..., 1] = y[..., None]
    return rays if len(kinds) == 1 else rays[put(np.ravel(which), device)]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Lens:
    """What takes long to find out about a lens: rays (1, H, W, 2) of the pixels, and reach."""

    rays: Tensor
    reach: float


def _lens(camera: Camera) -> _Lens:
    return _lens_of(
        camera.width, camera.height, camera.distortion_model, camera.intrinsics.tobytes(),
        camera.distortion.tobytes(),
    )  # fmt: skip


@lru_cache(maxsize=16)
def _lens_of(width: int, height: int, model: str, intrinsics: bytes, distortion: bytes) -> _Lens:
    camera = Camera(
        width=width, height=height, intrinsics=np.frombuffer(intrinsics),
        distortion=np.frombuffer(distortion), distortion_model=model,
    )  # fmt: skip
    rows, columns = np.mgrid[:height, :width]
    pixels = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
    rays = camera.undistort(pixels).reshape(1, height, width, 2)
    return _Lens(rays=torch.from_numpy(rays.astype(np.float32)), reach=lens_reach(camera))


def _bend(ideal: Tensor, camera: Camera) -> Tensor:
    """Apply a lens to ideal coordinates (..., 2)."""
    x, y = ideal[..., 0], ideal[..., 1]
    square = x * x + y * y
    if camera.distortion_model == 'equidistant':
        radius = square.sqrt().clamp(min=1e-9)
        angle = torch.atan(radius)
        s = angle * angle
        k1, k2, k3, k4 = (float(k) for k in camera.distortion)
        bent = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))
        return ideal * (bent / radius)[..., None]
    k1, k2, p1, p2, k3, k4, k5, k6 = (float(k) for k in rational_coefficients(camera))
    radial = (1 + square * (k1 + square * (k2 + square * k3))) / (
        1 + square * (k4 + square * (k5 + square * k6))
    )
    return torch.stack([
        x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    ], -1)  # fmt: skip
