"""What picture files may hold for which camera."""

import numpy as np
import pytest

from hand_pose_ros.cameras.image_pixels import convert
from hand_pose_ros.errors import CameraError

GREY8 = np.arange(12, dtype=np.uint8).reshape(3, 4)
GREY16 = GREY8.astype(np.uint16) * 1000
COLOUR = np.dstack([GREY8, GREY8 + 50, GREY8 + 100])
FLOAT = GREY8.astype(np.float32)


def with_alpha(grey):
    return np.dstack([grey, grey, grey, np.full_like(grey, 255)])


@pytest.mark.parametrize(
    ('image', 'modality', 'wanted', 'encoding', 'expected'),
    [
        (with_alpha(GREY8), 'thermal', None, 'mono8', GREY8),
        (np.dstack([GREY8] * 3), 'nir', 'mono8', 'mono8', GREY8),
        (GREY16, 'thermal', 'mono16', 'mono16', GREY16),
        (GREY16, 'depth', '16UC1', '16UC1', GREY16),
        (FLOAT, 'depth', None, '32FC1', FLOAT),
        (COLOUR, 'rgb', None, 'rgb8', COLOUR[..., ::-1]),
        (COLOUR, 'rgb', 'bgr8', 'bgr8', COLOUR),
        (GREY8, 'rgb', 'rgb8', 'rgb8', np.dstack([GREY8] * 3)),
        (COLOUR, None, None, 'rgb8', COLOUR[..., ::-1]),
        (GREY16, None, None, 'mono16', GREY16),
    ],
)
def test_pictures_are_understood(image, modality, wanted, encoding, expected):
    pixels, found = convert(image, 'a.png', modality, wanted)
    assert found == encoding
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == expected.dtype
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ('image', 'modality', 'wanted', 'message'),
    [
        (COLOUR, 'thermal', None, 'holds rgb8 pixels but a thermal camera gives mono8 or mono16'),
        (GREY8, 'depth', None, 'holds mono8 pixels but a depth camera gives 16UC1 or 32FC1'),
        (GREY8, 'thermal', 'mono16', 'holds mono8 pixels but the rig file says mono16'),
        (GREY16, 'rgb', None, 'holds mono16 pixels but a rgb camera'),
        (COLOUR.astype(np.uint16), None, None, r'has 3 channel\(s\) of uint16'),
        (FLOAT.astype(np.float64), None, None, r'has 1 channel\(s\) of float64'),
    ],
)
def test_other_pictures_are_refused(image, modality, wanted, message):
    with pytest.raises(CameraError, match=f'a.png: {message}'):
        convert(image, 'a.png', modality, wanted)
