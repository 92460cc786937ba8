"""Depth value conventions: REP-117 and REP-118."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hand_pose_ros.errors import ImageError, RigError
from hand_pose_ros.rig.depth import DepthValues, metres


@given(hnp.arrays(np.uint16, (3, 4)), st.sampled_from([0.001, 0.000125, 0.0005]))
def test_counts_become_metres_and_zero_becomes_nan(counts, scale):
    depth = metres(counts, '16UC1', scale)
    assert depth.dtype == np.float32
    assert (np.isnan(depth) == (counts == 0)).all()
    np.testing.assert_allclose(depth[counts > 0], counts[counts > 0] * scale, rtol=1e-6)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(width=32)))
def test_only_real_distances_survive(image):
    depth = metres(image, '32FC1')
    with np.errstate(invalid='ignore'):
        valid = np.isfinite(image) & (image > 0)
    assert (np.isfinite(depth) == valid).all()
    np.testing.assert_array_equal(depth[valid], image[valid])


def test_the_input_is_left_alone():
    image = np.array([[0.0, np.inf, -np.inf, np.nan, 0.5]], np.float32)
    before = image.copy()
    metres(image, '32FC1')
    np.testing.assert_array_equal(image, before)


def test_both_encodings_give_the_same_depth():
    counts = np.array([[0, 350, 1200]], np.uint16)
    floats = (counts * np.float32(0.001)).astype(np.float32)
    np.testing.assert_array_equal(metres(counts, '16UC1'), metres(floats, '32FC1'))


def test_what_lies_outside_the_trusted_range_is_invalid():
    depth = metres(np.array([[99, 100, 900, 901]], np.uint16), '16UC1', 0.001, 0.0999, 0.9001)
    assert np.isfinite(depth).tolist() == [[False, True, True, False]]


def test_real_hand_is_at_arm_length(test_data):
    import cv2

    file = test_data / 'depth_hands' / '20210326-230536' / '90.png'
    depth = metres(cv2.imread(str(file), cv2.IMREAD_UNCHANGED), '16UC1', 0.000125)
    assert 0.2 < np.nanmin(depth) < 1.0


@pytest.mark.parametrize(
    ('image', 'encoding', 'message'),
    [
        (np.zeros((2, 2), np.uint16), 'rgb8', "'rgb8' is unknown: use 16UC1"),
        (np.zeros((2, 2), np.uint8), '16UC1', 'uint16 of shape'),
        (np.zeros((2, 2), np.float64), '32FC1', 'float32 of shape'),
        (np.zeros((2, 2, 1), np.uint16), '16UC1', 'of shape'),
    ],
)
def test_wrong_layout_is_refused(image, encoding, message):
    with pytest.raises(ImageError, match=message):
        metres(image, encoding)


@pytest.mark.parametrize(
    'limits',
    [{'scale': 0.0}, {'scale': math.inf}, {'minimum': 2.0, 'maximum': 1.0}, {'minimum': -1.0}],
)
def test_impossible_values_are_refused(limits):
    with pytest.raises(RigError, match='depth'):
        DepthValues(**limits)
