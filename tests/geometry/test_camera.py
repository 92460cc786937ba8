"""The pinhole camera with lens distortion."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera

BOSON = {'k': (409.538, 409.9164, 323.1047, 253.5884), 'd': (-0.3755301, 0.103669, 0, 0, 0)}


def camera(k=(400.0, 410.0, 320.0, 250.0), d=(), width=640, height=512, model='plumb_bob'):
    fx, fy, cx, cy = k
    intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    return Camera(
        width=width,
        height=height,
        intrinsics=intrinsics,
        distortion=np.array(d, float),
        distortion_model=model,
    )


CAMERAS = {
    'pinhole': camera(),
    'boson': camera(BOSON['k'], BOSON['d']),
    'rgb': camera((1357.5, 1354.9, 977.4, 555.8), (0.11145, -0.193, 0, 0, 0), 1920, 1080),
    'exo': camera(
        (632.2, 631.6, 642.2, 367.3), (-0.05703, 0.06612, -0.00069, 0.00016, -0.0208), 1280, 720
    ),
    'rational': camera(
        d=(0.2, -0.1, 0.001, -0.001, 0.01, 0.25, -0.05, 0.02), model='rational_polynomial'
    ),
    'fisheye': camera(d=(-0.02, 0.01, -0.003, 0.001), model='equidistant'),
}


def grid(cam, step=37):
    u, v = np.meshgrid(np.arange(0, cam.width, step), np.arange(0, cam.height, step))
    return np.column_stack([u.ravel(), v.ravel()]).astype(float)


@pytest.mark.parametrize('name', CAMERAS)
def test_undistort_then_project_hits_every_pixel(name):
    cam = CAMERAS[name]
    pixels = grid(cam)
    ideal = cam.undistort(pixels)
    np.testing.assert_allclose(cam.distort(ideal), pixels, atol=1e-3)


@pytest.mark.parametrize('name', CAMERAS)
@given(depth=st.floats(0.1, 5.0))
def test_unproject_then_project_hits_every_pixel(name, depth):
    cam = CAMERAS[name]
    pixels = grid(cam, 90)
    points = cam.unproject(pixels, np.full(len(pixels), depth))
    np.testing.assert_allclose(points[:, 2], depth)
    np.testing.assert_allclose(cam.project(points), pixels, atol=1e-3)


def test_boson_lens_pulls_the_corner_in_by_many_pixels():
    straight, bent = camera(BOSON['k']), CAMERAS['boson']
    corner = np.array([[0.6, 0.5, 1.0]])
    shift = np.linalg.norm(straight.project(corner) - bent.project(corner))
    # r^2 = 0.61: 1 - 0.3755 r^2 + 0.1037 r^4 = 0.8095, so a fifth of 0.781 * 409.7 px.
    assert shift == pytest.approx(0.1905 * 0.781 * 409.7, rel=0.01)


def test_distortion_agrees_with_opencv():
    points = np.array([[0.1, -0.2, 0.5], [0.3, 0.2, 0.9]])
    cam = CAMERAS['rational']
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), cam.intrinsics, cam.distortion
    )
    np.testing.assert_allclose(cam.project(points), expected[:, 0], atol=1e-9)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(-1, 1).map(lambda value: round(value, 6))))
def test_points_behind_the_camera_have_no_pixel(points):
    pixels = CAMERAS['boson'].project(points)
    behind = points[:, 2] <= 1e-6
    assert np.isnan(pixels[behind]).all()
    assert np.isfinite(pixels[~behind]).all()


def test_points_far_off_the_axis_are_not_folded_into_the_image():
    cam = CAMERAS['rgb']
    # The polynomial maps radius 1.5 to 0.41, well inside; the lens model ends at radius 1.1.
    inside, outside = cam.project(np.array([[0.5, 0.3, 1.0], [1.5, 0.0, 1.0]]))
    assert 0 < inside[0] < cam.width
    assert np.isnan(outside).all()
    assert np.isfinite(CAMERAS['boson'].project(np.array([[1.5, 0.0, 1.0]]))).all()


def test_no_points_are_no_problem():
    for cam in CAMERAS.values():
        assert cam.project(np.zeros((0, 3))).shape == (0, 2)
        assert cam.undistort(np.zeros((0, 2))).shape == (0, 2)
        assert cam.unproject(np.zeros((0, 2)), np.zeros(0)).shape == (0, 3)


@pytest.mark.parametrize('name', CAMERAS)
def test_scaled_camera_sees_the_same_rays(name):
    cam = CAMERAS[name]
    half = cam.scaled(cam.width // 2, cam.height // 2)
    assert (half.width, half.height) == (cam.width // 2, cam.height // 2)
    pixels = grid(half)
    # Pixel (0, 0) of the half image covers (0, 0) to (1, 1) of the full one: its centre is 0.5.
    np.testing.assert_allclose(half.undistort(pixels), cam.undistort(2 * pixels + 0.5), atol=1e-6)


def test_scaling_there_and_back_is_the_identity():
    cam = CAMERAS['boson']
    back = cam.scaled(320, 256).scaled(640, 512)
    np.testing.assert_allclose(back.intrinsics, cam.intrinsics, atol=1e-9)


def test_scaling_agrees_with_area_averaging():
    cam = camera(width=64, height=48, k=(50.0, 50.0, 31.5, 23.5))
    image = np.zeros((48, 64), np.float32)
    image[10:12, 20:22] = 1
    small = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
    peak = np.argwhere(small == small.max())[0][::-1].astype(float)
    ray_full = cam.undistort(np.array([[20.5, 10.5]]))
    np.testing.assert_allclose(cam.scaled(32, 24).undistort(peak[None]), ray_full, atol=1e-9)


def test_uncalibrated_camera_is_refused_with_the_remedy():
    with pytest.raises(RigError, match='not calibrated.*chequerboard'):
        Camera(width=640, height=480, intrinsics=np.zeros((3, 3)), distortion=np.zeros(5))


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'distortion': np.array([np.nan] * 5)}, 'NaN'),
        ({'distortion': np.zeros(3)}, 'coefficients, got 3'),
        ({'distortion_model': 'kannala'}, "'kannala' is unknown"),
        ({'intrinsics': np.full((3, 3), np.inf)}, 'NaN or Inf'),
    ],
)
def test_bad_calibration_is_refused(change, message):
    good = {
        'width': 640,
        'height': 480,
        'intrinsics': np.array([[400.0, 0, 320], [0, 400, 240], [0, 0, 1]]),
        'distortion': np.zeros(5),
    }
    with pytest.raises(RigError, match=message):
        Camera(**(good | change))


def test_an_image_contains_its_outermost_pixels_and_no_unknown_ones():
    pixels = np.array([[[0.0, 0.0], [639.0, 511.0]], [[-0.1, 5.0], [5.0, 511.1]]])
    assert camera().contains(pixels).tolist() == [[True, True], [False, False]]
    assert not camera().contains(np.array([np.nan, 5.0]))
