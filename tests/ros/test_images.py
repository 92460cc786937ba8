"""Image messages and arrays."""

import array
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import CompressedImage, Image

from hand_pose_ros.errors import ImageError
from hand_pose_ros.ros.images import (
    RAW_ENCODINGS,
    compressed_array,
    image_array,
    image_message,
)


def picture(encoding, width=7, height=5, seed=0):
    dtype, channels = RAW_ENCODINGS[encoding]
    shape = (height, width) if channels == 1 else (height, width, channels)
    values = np.random.default_rng(seed).integers(0, 256, shape)
    return (values * (1 if dtype == np.uint8 else 3)).astype(dtype)


def with_step(message, padding, fill=171):
    """The same image with padding at the end of each row."""
    rows = np.frombuffer(message.data, np.uint8).reshape(message.height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=fill)
    message.step += padding
    message.data = array.array('B', padded.tobytes())
    return message


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(RAW_ENCODINGS)), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5)
)
def test_round_trip_of_all_raw_encodings(encoding, width, height, padding):
    image = picture(encoding, width, height)
    message = with_step(image_message(image, encoding, 5, 'x_optical_frame'), padding)
    found, name = image_array(message, '/topic')
    assert name == encoding
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize('encoding', ['mono16', '16UC1', '32FC1'])
def test_other_byte_order_is_honoured(encoding):
    image = picture(encoding)
    message = image_message(image, encoding, 0, 'x')
    message.is_bigendian = sys.byteorder == 'little'
    message.data = array.array('B', image.byteswap().tobytes())
    found, _ = image_array(message, '/topic')
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, image)


def test_reading_does_not_copy():
    message = image_message(picture('rgb8'), 'rgb8', 0, 'x')
    found, _ = image_array(message, '/topic')
    message.data[0] ^= 255
    assert found[0, 0, 0] == message.data[0]


def test_message_fields():
    message = image_message(picture('mono16'), 'mono16', 12_000_000_034, 'nir_optical_frame')
    assert isinstance(message.data, array.array)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (12, 34)
    assert (message.width, message.height, message.step) == (7, 5, 14)
    assert message.header.frame_id == 'nir_optical_frame'
    assert bool(message.is_bigendian) == (sys.byteorder == 'big')


def test_non_contiguous_images_can_be_published():
    image = picture('rgb8', 8, 8)[::2, ::-1]
    found, _ = image_array(image_message(image, 'rgb8', 0, 'x'), '/topic')
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    ('pixels', 'encoding'),
    [
        (np.zeros((4, 4), np.float32), 'mono16'),
        (np.zeros((4, 4), np.uint8), 'rgb8'),
        (np.zeros((4, 4, 4), np.uint8), 'rgb8'),
        (np.zeros((0, 4), np.uint8), 'mono8'),
        (np.zeros((4, 4), np.uint8), 'yuv422'),
    ],
)
def test_what_does_not_fit_its_encoding_is_refused(pixels, encoding):
    with pytest.raises(ImageError, match='x_optical_frame'):
        image_message(pixels, encoding, 0, 'x_optical_frame')


@pytest.mark.parametrize(
    'changes',
    [{'step': 3}, {'height': 6}, {'width': 8}, {'height': 0}, {'data': array.array('B', [1])}],
)
def test_sizes_that_disagree_are_refused(changes):
    message = image_message(picture('mono8'), 'mono8', 0, 'x')
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(ImageError, match='/thermal/image_raw'):
        image_array(message, '/thermal/image_raw')


def test_an_unknown_encoding_is_named():
    message = image_message(picture('mono8'), 'mono8', 0, 'x')
    message.encoding = 'pink8'
    with pytest.raises(ImageError, match=r"/rgb/image_raw: encoding 'pink8' is unknown"):
        image_array(message, '/rgb/image_raw')


@pytest.mark.parametrize('encoding', ['bayer_rggb8', 'yuv422_yuy2', 'nv21'])
def test_without_cv_bridge_one_line_names_encoding_and_topic(encoding, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    message = Image(encoding=encoding, width=4, height=4, step=4, data=array.array('B', bytes(16)))
    with pytest.raises(ImageError) as caught:
        image_array(message, '/rgb/image_raw')
    text = str(caught.value)
    assert '/rgb/image_raw' in text
    assert encoding in text
    assert 'cv_bridge' in text
    assert '\n' not in text


def test_without_cv_bridge_compressed_images_are_refused_too(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    with pytest.raises(ImageError, match=r"format 'jpeg' needs cv_bridge"):
        compressed_array(CompressedImage(format='jpeg'), '/rgb/image_raw/compressed')


class TestWithCvBridge:
    """Equality with cv_bridge, bit for bit; where it is installed and fits numpy."""

    @pytest.fixture
    def bridge(self):
        try:
            from cv_bridge import CvBridge
        except Exception as error:
            pytest.skip(f'no usable cv_bridge: {error}')
        return CvBridge()

    @pytest.mark.parametrize('encoding', sorted(RAW_ENCODINGS))
    def test_reading(self, bridge, encoding):
        message = with_step(image_message(picture(encoding), encoding, 0, 'x'), 4)
        found, _ = image_array(message, '/topic')
        np.testing.assert_array_equal(found, bridge.imgmsg_to_cv2(message, 'passthrough'))

    @pytest.mark.parametrize('encoding', sorted(RAW_ENCODINGS))
    def test_writing(self, bridge, encoding):
        image = picture(encoding)
        ours, theirs = image_message(image, encoding, 0, 'x'), bridge.cv2_to_imgmsg(image, encoding)
        assert ours.data.tobytes() == bytes(theirs.data)
        assert (ours.step, ours.encoding) == (theirs.step, theirs.encoding)

    def test_bayer(self, bridge):
        data = array.array('B', picture('mono8', 8, 8).tobytes())
        message = Image(encoding='bayer_rggb8', width=8, height=8, step=8, data=data)
        found, encoding = image_array(message, '/topic')
        assert encoding == 'rgb8'
        np.testing.assert_array_equal(found, bridge.imgmsg_to_cv2(message, 'rgb8'))
