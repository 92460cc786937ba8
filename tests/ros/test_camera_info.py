"""CameraInfo and cameras."""

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, RegionOfInterest

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.ros.camera_info import camera_from_info, camera_info

CAMERA = Camera(
    width=640,
    height=512,
    intrinsics=np.array([[400.0, 0, 321.5], [0, 410.0, 250.25], [0, 0, 1]]),
    distortion=np.array([-0.38, 0.1, 0.001, -0.002, 0.01]),
)


@pytest.mark.parametrize(
    ('model', 'count'), [('plumb_bob', 5), ('rational_polynomial', 8), ('equidistant', 4)]
)
def test_round_trip(model, count):
    camera = Camera(
        width=640,
        height=512,
        intrinsics=CAMERA.intrinsics,
        distortion=np.linspace(-0.1, 0.1, count),
        distortion_model=model,
    )
    message = camera_info(camera, (640, 512), 7, 'thermal_optical_frame')
    assert message.header.frame_id == 'thermal_optical_frame'
    assert message.header.stamp.nanosec == 7
    found = camera_from_info(message, '/thermal/camera_info')
    assert (found.width, found.height, found.distortion_model) == (640, 512, model)
    np.testing.assert_array_equal(found.intrinsics, camera.intrinsics)
    np.testing.assert_array_equal(found.distortion, camera.distortion)


def test_no_distortion_is_five_zeros():
    plain = Camera(width=4, height=4, intrinsics=CAMERA.intrinsics, distortion=np.zeros(0))
    message = camera_info(plain, (4, 4), 0, 'x')
    assert list(message.d) == [0.0] * 5
    assert message.distortion_model == 'plumb_bob'


def test_uncalibrated_cameras_say_so_and_are_refused():
    message = camera_info(None, (640, 512), 0, 'x')
    assert not np.any(message.k)
    with pytest.raises(RigError, match=r'/nir/camera_info: .*not calibrated.*calibration'):
        camera_from_info(message, '/nir/camera_info')


def test_an_unknown_distortion_model_is_refused():
    message = camera_info(CAMERA, (640, 512), 0, 'x')
    message.distortion_model = 'wavy'
    with pytest.raises(RigError, match='wavy'):
        camera_from_info(message, '/nir/camera_info')


def test_a_region_and_binning_describe_the_delivered_pixels():
    message = camera_info(CAMERA, (640, 512), 0, 'x')
    message.roi = RegionOfInterest(x_offset=100, y_offset=50, width=320, height=200)
    message.binning_x = message.binning_y = 2
    found = camera_from_info(message, '/x')
    assert (found.width, found.height) == (160, 100)
    point = np.array([[0.02, -0.01, 0.5]])
    whole = CAMERA.project(point)[0]
    # The middle of a 2x2 block of pixels is the middle of the binned pixel.
    expected = (whole - (100, 50) + 0.5) / 2 - 0.5
    np.testing.assert_allclose(found.project(point)[0], expected, atol=1e-9)


def test_an_empty_message_is_uncalibrated():
    with pytest.raises(RigError, match='not calibrated'):
        camera_from_info(CameraInfo(), '/x')
