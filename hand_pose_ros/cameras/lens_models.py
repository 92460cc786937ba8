"""Lens models of camera makers as the models that rig files and camera_info have."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import DISTORTION_MODELS, Camera

Array = NDArray[np.float64]

# Names of the same models, in the spelling of librealsense and ROS, lower case.
_SAME = {
    '': 'plumb_bob',
    'none': 'plumb_bob',
    'brown conrady': 'plumb_bob',
    'kannala brandt4': 'equidistant',
    'fisheye': 'equidistant',
}
_INVERSE = 'inverse brown conrady'
_GRID = 25


def made_camera(
    size: tuple[int, int], intrinsics: ArrayLike, model: str, coefficients: ArrayLike
) -> Camera | None:
    """Return a camera from what a device or a recording says of it; None when uncalibrated.

    Args:
        size: (width, height) of the images.
        intrinsics: K, nine numbers in rows.
        model: of the lens, as ROS or librealsense call it.
        coefficients: of the lens.

    Raises:
        CameraError: the lens model is not known here, or the numbers make no camera.
    """
    K = np.asarray(intrinsics, np.float64).reshape(3, 3)
    distortion = np.asarray(coefficients, np.float64).ravel()
    if not K[0, 0]:
        return None
    name = model.lower().replace('_', ' ').strip()
    if not distortion.any():
        name, distortion = '', np.zeros(0)
    elif name == _INVERSE:
        name, distortion = '', forward_coefficients(size, K, distortion)
    kind = _SAME.get(name, name.replace(' ', '_'))
    if kind not in DISTORTION_MODELS:
        raise CameraError(
            f'lens model {model!r} is not known here: calibrate the camera and write intrinsics '
            'and distortion into the rig file'
        )
    if kind == 'equidistant':
        distortion = distortion[:4]
    width, height = size
    return Camera(
        width=width, height=height, intrinsics=K, distortion=distortion, distortion_model=kind
    )


def forward_coefficients(size: tuple[int, int], K: Array, inverse: Array) -> Array:
    """Return the plumb_bob coefficients (5,) of a lens given by its inverse Brown-Conrady ones.

    librealsense's inverse model maps distorted to ideal points. The forward model is linear in its
    coefficients, so they follow from a grid over the image by least squares: to 0.3 px in the
    corners of strongly distorted images.
    """
    width, height = size
    u, v = np.meshgrid(np.linspace(0, width - 1, _GRID), np.linspace(0, height - 1, _GRID))
    distorted = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]], -1).reshape(-1, 2)
    ideal = distorted + _displacement(distorted) @ inverse
    terms = _displacement(ideal).reshape(-1, 5)
    solution = np.linalg.lstsq(terms, (distorted - ideal).ravel(), rcond=None)[0]
    return np.asarray(solution, np.float64)


def _displacement(points: Array) -> Array:
    """What k1, k2, p1, p2, k3 move points (N, 2) by: (N, 2, 5)."""
    x, y = points.T
    square = x**2 + y**2
    rows = [
        [x * square, x * square**2, 2 * x * y, square + 2 * x**2, x * square**3],
        [y * square, y * square**2, square + 2 * y**2, 2 * x * y, y * square**3],
    ]
    return np.transpose(np.array(rows), (2, 0, 1))
