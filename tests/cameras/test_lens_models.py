"""Lens models of camera makers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.cameras.lens_models import made_camera
from hand_pose_ros.errors import CameraError

SIZE = (640, 480)
K = np.array([[613.2, 0, 319.9], [0, 613.4, 239.2], [0, 0, 1]])


def librealsense_deprojection(pixel, coefficients):
    """A pixel to its ray at z = 1, as the inverse Brown-Conrady model is defined."""
    k1, k2, c2, c3, k3 = coefficients
    x, y = (pixel[0] - K[0, 2]) / K[0, 0], (pixel[1] - K[1, 2]) / K[1, 1]
    r2 = x * x + y * y
    f = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    return x * f + 2 * c2 * x * y + c3 * (r2 + 2 * x * x), y * f + 2 * c3 * x * y + c2 * (
        r2 + 2 * y * y
    )


@given(
    st.lists(st.floats(-0.06, 0.06), min_size=2, max_size=2),
    st.lists(st.floats(-0.002, 0.002), min_size=2, max_size=2),
    st.floats(-0.02, 0.02),
    st.tuples(st.floats(0, 639), st.floats(0, 479)),
)
def test_the_inverse_model_becomes_the_forward_one(radial, tangential, third, pixel):
    coefficients = [*radial, *tangential, third]
    camera = made_camera(SIZE, K, 'Inverse Brown Conrady', coefficients)
    ray = librealsense_deprojection(pixel, coefficients)
    seen = camera.project(np.array([[*ray, 1.0]]))[0]
    np.testing.assert_allclose(seen, pixel, atol=0.3)


@pytest.mark.parametrize(
    ('name', 'numbers', 'model', 'count'),
    [
        ('Brown Conrady', [0.1, 0, 0, 0, 0.01], 'plumb_bob', 5),
        ('distortion.inverse_brown_conrady', [0] * 5, 'plumb_bob', 0),
        ('', [0.1, 0, 0, 0, 0], 'plumb_bob', 5),
        ('Kannala Brandt4', [0.1, 0.01, 0.001, 0, 0], 'equidistant', 4),
        ('rational_polynomial', [0.1] * 8, 'rational_polynomial', 8),
        ('F-Theta', [0] * 5, 'plumb_bob', 0),
    ],
)
def test_names_of_makers(name, numbers, model, count):
    camera = made_camera(SIZE, K, name, numbers)
    assert (camera.distortion_model, camera.distortion.size) == (model, count)


def test_an_unknown_lens_is_refused_and_an_uncalibrated_camera_is_none():
    with pytest.raises(CameraError, match="'F-Theta' is not known here"):
        made_camera(SIZE, K, 'F-Theta', [0.1, 0, 0, 0, 0])
    assert made_camera(SIZE, np.zeros((3, 3)), '', []) is None
