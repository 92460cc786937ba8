"""Lenses as the renderers take them: how far off the axis they hold, and their coefficients."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera

Array = NDArray[np.float64]


def lens_reach(camera: Camera) -> float:
    """Return the largest distance from the axis at z = 1 that is worth projecting.

    Half as far again as the image's corners, and never where the lens polynomial folds back.
    """
    right, bottom = camera.width - 1.0, camera.height - 1.0
    corners = np.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], dtype=np.float64)
    ideal = np.linalg.norm(camera.undistort(corners), axis=1).max()
    radii = np.linspace(0, 1.5 * ideal, 400)
    along = camera.distort(np.column_stack([radii, np.zeros_like(radii)]))[:, 0]
    folds = np.flatnonzero(np.diff(along) <= 0)
    return float(radii[folds[0]] if len(folds) else radii[-1])


def rational_coefficients(camera: Camera) -> Array:
    """Return distortion as k1, k2, p1, p2, k3, k4, k5, k6; zeros for another lens model."""
    coefficients = np.zeros(8)
    if camera.distortion_model != 'equidistant':
        coefficients[: camera.distortion.size] = camera.distortion
    return coefficients
