"""Projection of points with its derivatives, for both lens models."""

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.camera import Camera

Array = NDArray[np.float64]


def projected(camera: Camera, points: Array) -> tuple[Array, Array, Array]:
    """Project points (N, 3) of the camera's frame.

    Returns:
        Pixels (N, 2), their derivative by the points (N, 2, 3), and by fx, fy, cx, cy and then
        the distortion coefficients (N, 2, 4 + D).
    """
    origin, count = np.zeros(3), camera.distortion.size
    if camera.distortion_model == 'equidistant':
        pixels, jacobian = cv2.fisheye.projectPoints(
            points[None], origin, origin, camera.intrinsics, camera.distortion
        )
        jacobian = jacobian.reshape(-1, 2, 15)
        return pixels.reshape(-1, 2), jacobian[..., 11:14], jacobian[..., :8]
    pixels, jacobian = cv2.projectPoints(
        points, origin, origin, camera.intrinsics, camera.distortion
    )
    jacobian = jacobian.reshape(-1, 2, jacobian.shape[1])
    return pixels.reshape(-1, 2), jacobian[..., 3:6], jacobian[..., 6 : 10 + count]


def changed(camera: Camera, free: tuple[int, ...], step: Array) -> Camera:
    """Return the camera with some of fx, fy, cx, cy, distortion... changed by a step."""
    values = parameters(camera)
    values[list(free)] += step
    fx, fy, cx, cy = values[:4]
    return Camera(
        width=camera.width, height=camera.height, distortion=values[4:],
        intrinsics=np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]),
        distortion_model=camera.distortion_model,
    )  # fmt: skip


def parameters(camera: Camera) -> Array:
    """Return fx, fy, cx, cy and the distortion coefficients."""
    K = camera.intrinsics
    return np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2], *camera.distortion])


def skew(vectors: Array) -> Array:
    """Return cross-product matrices (N, 3, 3) of vectors (N, 3)."""
    matrices = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    matrices[:, 0, 1], matrices[:, 0, 2], matrices[:, 1, 2] = -z, y, -x
    matrices[:, 1, 0], matrices[:, 2, 0], matrices[:, 2, 1] = z, -y, x
    return matrices


def right_jacobian(turn: Array) -> Array:
    """Return the derivative (3, 3) of a rotation vector (3,) on the right, for small turns."""
    cross = skew(turn[None])[0]
    return np.eye(3) - cross / 2 + cross @ cross / 6


def turned(rotation: Array, step: Array) -> Array:
    """Return a rotation (3, 3) turned by a rotation vector (3,) in its own frame."""
    return rotation @ Rotation.from_rotvec(step).as_matrix()
