"""What a bag says of its rig: topics, and images as estimators take them."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.bags import messages
from hand_pose_ros.errors import ImageError
from hand_pose_ros.sessions.recorded_rig import image_topic, info_topic, recorded_image
from tests.sessions.recorded import START, pixels, rig


def told(camera, encoding):
    image = messages.image(pixels(camera, 3), encoding, START, camera.frame_id)
    return messages.serialised(image)


def test_topics_are_named_after_the_camera():
    assert image_topic('nir') == '/nir/image_raw'
    assert info_topic('nir') == '/nir/camera_info'


def test_a_recorded_image_has_its_values_and_its_stamp_without_the_offset():
    camera = replace(rig().cameras['depth'], time_offset=2_000_000)
    image = recorded_image(told(camera, '16UC1'), camera)
    assert image.stamp == START - 2_000_000
    assert (image.camera, image.frame_id) == (camera.camera, camera.frame_id)
    np.testing.assert_allclose(image.image[0, 0], 0.203)


def test_an_image_that_is_not_the_cameras_is_refused():
    cameras = rig().cameras
    with pytest.raises(ImageError, match='depth: image is 32x24 but the rig file says 40x30'):
        recorded_image(told(cameras['thermal'], 'mono16'), cameras['depth'])
