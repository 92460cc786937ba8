"""Pixels of recorded images."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hand_pose_ros.bags.images import compressed_array, image_array
from hand_pose_ros.errors import BagError


def message(pixels: np.ndarray, encoding: str, padding: int = 0, big: bool = False):
    rows = pixels.reshape(pixels.shape[0], -1)
    raw = rows.astype(rows.dtype.newbyteorder('>')) if big else rows
    data = raw.view(np.uint8).reshape(pixels.shape[0], -1)
    data = np.pad(data, ((0, 0), (0, padding)))
    return SimpleNamespace(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(big),
        step=data.shape[1],
        data=data.ravel(),
    )


@pytest.mark.parametrize(
    ('encoding', 'dtype', 'shape'),
    [
        ('mono8', np.uint8, (4, 5)),
        ('mono16', np.uint16, (4, 5)),
        ('16UC1', np.uint16, (4, 5)),
        ('32FC1', np.float32, (4, 5)),
        ('rgb8', np.uint8, (4, 5, 3)),
        ('bgra8', np.uint8, (4, 5, 4)),
    ],
)
@pytest.mark.parametrize('padding', [0, 3])
@pytest.mark.parametrize('big', [False, True])
def test_every_layout_comes_back(encoding, dtype, shape, padding, big):
    pixels = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    assert np.array_equal(image_array(message(pixels, encoding, padding, big)), pixels)


def test_what_cannot_be_read_is_a_sentence():
    with pytest.raises(BagError, match='not raw'):
        image_array(message(np.zeros((2, 2), np.uint8), 'bayer_rggb8'))
    short = message(np.zeros((2, 2), np.uint8), 'mono8')
    short.data = short.data[:-1]
    with pytest.raises(BagError, match='3 bytes'):
        image_array(short)


def compressed(data, kind):
    return SimpleNamespace(data=np.frombuffer(bytes(data), np.uint8), format=kind)


def test_float_depth_is_unpacked_from_its_inverse():
    """compressed_depth keeps 1 / depth in 16 bits: counts = A / depth + B."""
    depth = np.array([[0.4, 0.8], [2.5, np.nan]], np.float32)
    A, B = 2000.0, 7.0
    counts = np.where(np.isnan(depth), 0, np.round(A / depth + B)).astype(np.uint16)
    data = struct.pack('<iff', 0, A, B) + cv2.imencode('.png', counts)[1].tobytes()
    found = compressed_array(compressed(data, '32FC1; compressedDepth png'))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, depth, rtol=1e-3)


@pytest.mark.parametrize(
    ('data', 'kind', 'text'),
    [
        (b'', 'jpeg', '0 bytes cannot be decoded'),
        (b'no picture', 'png', '10 bytes cannot be decoded'),
        (b'short', '16UC1; compressedDepth', 'has 5 bytes'),
        (bytes(20), '16UC1; compressedDepth', '8 bytes cannot be decoded'),
        (bytes(20), '16UC1; compressedDepth rvl', 'record it as png'),
    ],
)
def test_compressed_data_that_cannot_be_read_is_a_sentence(data, kind, text):
    with pytest.raises(BagError, match=text):
        compressed_array(compressed(data, kind))
