"""Network images: pixels and K stay consistent through lens, size and shape."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.network_images import Rectifier, pinhole_camera
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.frame import StreamImage


def camera(width=640, height=512, distortion=(-0.3755, 0.15, 0.0, 0.0, 0.0)) -> Camera:
    intrinsics = np.array([[510.0, 0, width / 2 + 9], [0, 512.0, height / 2 - 7], [0, 0, 1]])
    return Camera(width=width, height=height, intrinsics=intrinsics, distortion=distortion)


def view(image, of: Camera, **changes) -> View:
    return View(
        name='x', stream=StreamImage(image=image, stamp=0, camera=of, **changes), camera=of,
        rotation=np.eye(3), translation=np.zeros(3), lag=0.0,
    )  # fmt: skip


def spot(of: Camera, point, dtype=np.uint8) -> np.ndarray:
    """A bright Gaussian where a point is seen."""
    u, v = of.project(np.array([point]))[0]
    rows, columns = np.mgrid[: of.height, : of.width]
    values = np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 5.0**2))
    return (20 + 200 * values).astype(dtype)


def middle_of(pixels: np.ndarray) -> np.ndarray:
    weights = np.clip(pixels - pixels.max() / 2, 0, None)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    return np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()


@given(
    x=st.floats(-0.12, 0.12), y=st.floats(-0.1, 0.1),
    size=st.sampled_from([(320, 256), (320, 240), (200, 200)]),
)  # fmt: skip
def test_a_point_is_seen_where_the_new_camera_projects_it(x, y, size):
    of = camera()
    point = np.array([x, y, 0.4])
    seen = Rectifier(size).grey_values(view(spot(of, point), of), 'nir')
    assert not seen.camera.is_distorted
    assert seen.pixels.shape == (size[1], size[0])
    np.testing.assert_allclose(
        middle_of(seen.pixels), seen.camera.project(point[None])[0], atol=0.35
    )


def test_half_the_size_is_the_scaled_camera_without_its_lens():
    of = camera()
    np.testing.assert_allclose(
        pinhole_camera(of, (320, 256)).intrinsics, of.scaled(320, 256).intrinsics
    )


def test_another_shape_keeps_square_pixels_and_the_whole_view():
    wide = camera(1280, 720, ())
    fitted = pinhole_camera(wide, (320, 240))
    assert fitted.intrinsics[1, 1] / fitted.intrinsics[0, 0] == pytest.approx(512 / 510)
    corners = np.array([[0.0, 0.0], [1279.0, 719.0]])
    seen = fitted.project(np.column_stack([wide.undistort(corners), np.ones(2)]))
    assert np.all(seen > -0.6) and np.all(seen < np.array([319.6, 239.6]))


def test_thermal_counts_are_stretched_white_hot():
    of = camera()
    counts = spot(of, (0.0, 0.0, 0.4), np.uint16) * 10 + 5000
    white = Rectifier((320, 256)).grey_values(view(counts, of), 'thermal')
    black = Rectifier((320, 256)).grey_values(view(65535 - counts, of, white_hot=False), 'thermal')
    assert white.pixels.dtype == np.float32
    assert white.pixels.min() >= 0 and 0.9 < white.pixels.max() <= 1
    np.testing.assert_allclose(middle_of(black.pixels), middle_of(white.pixels), atol=0.1)


def test_colour_keeps_its_channels_and_range():
    of = camera(640, 480, ())
    image = np.zeros((480, 640, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 51
    seen = Rectifier((320, 240)).grey_values(view(image, of), 'rgb')
    np.testing.assert_allclose(seen.pixels[120, 160], [1.0, 0.0, 0.2], atol=1e-6)


def test_depth_is_never_mixed():
    of = camera(640, 480)
    image = np.full((480, 640), 0.4, np.float32)
    image[:, 320:] = 1.0
    image[:200] = np.nan
    seen = Rectifier((320, 240)).metres(view(image, of))
    assert set(np.unique(seen.pixels)) <= {np.float32(0.0), np.float32(0.4), np.float32(1.0)}


def test_shrinking_does_not_alias():
    of = camera(1280, 1024, ())
    stripes = np.zeros((1024, 1280), np.uint8)
    stripes[:, ::2] = 255
    seen = Rectifier((160, 128)).grey_values(view(stripes, of), 'nir')
    assert np.ptp(seen.pixels[8:-8, 8:-8]) < 0.15


def test_maps_are_made_once_per_camera():
    of, rectifier = camera(), Rectifier((320, 256))
    image = spot(of, (0.05, 0.0, 0.4))
    first = rectifier.grey_values(view(image, of), 'nir')
    assert rectifier.grey_values(view(image, of), 'nir').camera is first.camera
    other = camera(distortion=())
    assert rectifier.grey_values(view(image, other), 'nir').camera is not first.camera


@pytest.mark.parametrize(
    ('modality', 'image'),
    [
        ('thermal', np.zeros((512, 640), np.float32)),
        ('rgb', np.zeros((512, 640), np.uint8)),
        ('nir', np.zeros((512, 640, 3), np.uint8)),
        ('depth', np.zeros((512, 640), np.float32)),
    ],
)
def test_images_of_another_kind_are_refused(modality, image):
    with pytest.raises(ImageError):
        Rectifier((320, 256)).grey_values(view(image, camera()), modality)


def test_the_fisheye_model_is_rectified_too():
    of = Camera(
        width=640, height=512, intrinsics=camera().intrinsics,
        distortion=(0.02, -0.01, 0.0, 0.0), distortion_model='equidistant',
    )  # fmt: skip
    point = np.array([0.1, -0.08, 0.4])
    seen = Rectifier((320, 256)).grey_values(view(spot(of, point), of), 'nir')
    np.testing.assert_allclose(
        middle_of(seen.pixels), seen.camera.project(point[None])[0], atol=0.35
    )
    assert cv2.countNonZero(seen.pixels) > 0


def test_depth_that_is_not_in_metres_is_refused():
    with pytest.raises(ImageError, match='not in metres'):
        Rectifier((320, 240)).metres(view(np.zeros((512, 640), np.uint16), camera()))
