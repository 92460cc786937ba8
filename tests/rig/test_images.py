"""Native images to stream images."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.errors import ImageError
from hand_pose_ros.rig.images import fit_size, stream_image
from hand_pose_ros.rig.rig_file import parse_rig


@pytest.fixture()
def rig(document):
    document['cameras']['nir'] = {
        'size': [8, 6],
        'intrinsics': [10, 10, 4, 3],
        'T_rig_cam': {'translation': [0, 0, 0], 'mounting_degrees': [0, 0, 0]},
    }
    return parse_rig(document, 'x.yaml')


def pixels(encoding, shape=(6, 8)):
    random = np.random.default_rng(0)
    channels = {'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4}.get(encoding)
    high = 65536 if '16' in encoding else 256
    dtype = np.uint16 if '16' in encoding else np.uint8
    return random.integers(0, high, (*shape, channels) if channels else shape, dtype=dtype)


def test_thermal_counts_pass_unchanged_and_uncopied(rig):
    counts = pixels('mono16')
    stream = stream_image(counts, 'mono16', 123, rig.cameras['thermal'])
    assert stream.image is counts
    assert stream.stamp == 123
    assert stream.camera is rig.cameras['thermal'].camera
    assert stream.frame_id == 'thermal_optical_frame'
    np.testing.assert_array_equal(stream.T_rig_cam, rig.cameras['thermal'].T_rig_cam)
    assert stream.white_hot


def test_a_read_only_image_is_accepted(rig):
    counts = np.frombuffer(pixels('mono16').tobytes(), np.uint16).reshape(6, 8)
    stream_image(counts, 'mono16', 0, rig.cameras['thermal'])
    depth = np.frombuffer(pixels('16UC1', (3, 4)).tobytes(), np.uint16).reshape(3, 4)
    stream_image(depth, '16UC1', 0, rig.cameras['depth'])


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'rgba8', 'bgra8'])
def test_colour_becomes_red_green_blue(rig, encoding):
    image = pixels(encoding)
    expected = image[..., :3] if encoding.startswith('rgb') else image[..., 2::-1]
    stream = stream_image(image, encoding, 0, rig.cameras['rgb'])
    np.testing.assert_array_equal(stream.image, expected)


def test_depth_becomes_metres_and_its_lateness_is_taken_off(rig):
    counts = np.full((3, 4), 8000, np.uint16)
    counts[0] = 0, 1, 65535, 799
    stream = stream_image(counts, '16UC1', 1_000_000_000, rig.cameras['depth'])
    assert stream.stamp == 992_000_000
    np.testing.assert_allclose(stream.image[1:], 1.0)
    assert np.isnan(stream.image[0]).all()  # invalid, too near, too far, too near


def test_depth_may_come_in_metres_whatever_the_rig_file_says(rig):
    image = np.full((3, 4), 0.5, np.float32)
    assert stream_image(image, '32FC1', 0, rig.cameras['depth']).image[0, 0] == 0.5


def test_names_of_the_same_pixels_are_the_same(rig):
    stream_image(pixels('mono16'), '16UC1', 0, rig.cameras['thermal'])
    stream_image(pixels('mono8'), '8UC1', 0, rig.cameras['nir'])
    single = pixels('mono8')[..., None]
    assert stream_image(single, 'mono8', 0, rig.cameras['nir']).image.shape == (6, 8)


@pytest.mark.parametrize(
    ('camera', 'image', 'encoding', 'message'),
    [
        (
            'thermal',
            np.zeros((5, 8), np.uint16),
            'mono16',
            'thermal: image is 8x5 but the rig file',
        ),
        ('thermal', np.zeros((6, 8), np.uint8), 'mono8', 'is mono8 but the rig file says mono16'),
        ('thermal', np.zeros((6, 8), np.uint8), 'mono16', '1 channel.*uint16, got uint8'),
        ('thermal', np.zeros((6, 8, 3), np.uint8), 'rgb8', "'rgb8' does not fit a thermal camera"),
        ('nir', np.zeros((6, 8), np.uint8), 'yuv422', "'yuv422' does not fit"),
        ('rgb', np.zeros((6, 8), np.uint8), 'rgb8', '3 channel'),
        ('rgb', np.zeros((6, 8), np.uint8), 'mono8', "'mono8' does not fit a rgb camera"),
        ('depth', np.zeros((3, 4), np.uint8), 'mono8', "depth: encoding 'mono8' is no depth"),
        ('depth', np.zeros((3, 4), np.float32), '16UC1', 'depth: a 16UC1 image is uint16'),
    ],
)
def test_what_does_not_fit_is_refused(rig, camera, image, encoding, message):
    with pytest.raises(ImageError, match=message):
        stream_image(image, encoding, 0, rig.cameras[camera])


def test_images_of_half_the_size_get_a_scaled_camera(rig):
    thermal = rig.cameras['thermal']
    half = fit_size(thermal, 4, 3)
    assert half.size == (4, 3)
    assert half.camera.intrinsics[0, 0] == 5
    assert half.camera.intrinsics[0, 2] == (3.5 + 0.5) / 2 - 0.5
    assert fit_size(thermal, 8, 6) is thermal
    assert fit_size(replace(thermal, camera=None), 4, 3).camera is None


@pytest.mark.parametrize('size', [(4, 6), (16, 12), (3, 2), (5, 4), (0, 0)])
def test_other_sizes_need_another_calibration(rig, size):
    with pytest.raises(ImageError, match=f'{size[0]}x{size[1]}, which is no whole fraction'):
        fit_size(rig.cameras['thermal'], *size)
