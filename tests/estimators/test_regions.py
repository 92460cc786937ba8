"""Regions: maps, rotation sign, overlap, and the figures of MediaPipe's graph."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.estimators.regions import (
    Region,
    distinct,
    iou,
    region_from_landmarks,
    region_from_palm,
)

COORDINATES = st.floats(-500, 1500)
REGIONS = st.builds(
    lambda x, y, size, angle: Region(center=np.array([x, y]), size=size, angle=angle),
    COORDINATES,
    COORDINATES,
    st.floats(2, 800),
    st.floats(-np.pi, np.pi),
)


def upright_hand() -> np.ndarray:
    """Wrist at the bottom, fingers up: x spreads by finger, y rises by joint."""
    points = [(0.0, 0.0)]
    for finger in range(5):
        points += [(20.0 * (finger - 2), -40.0 - 15.0 * joint) for joint in range(4)]
    return np.array(points) + np.array((300.0, 400.0))


def rotated(points: np.ndarray, angle: float, about: np.ndarray) -> np.ndarray:
    """Turn clockwise as seen in an image (y down)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return (points - about) @ np.array([[cosine, sine], [-sine, cosine]]) + about


@given(REGIONS, st.lists(st.tuples(COORDINATES, COORDINATES), min_size=1, max_size=5))
def test_crop_and_image_maps_are_inverse(region, points):
    pixels = np.array(points)
    back = region.to_image(region.to_crop(pixels, 224), 224)
    np.testing.assert_allclose(back, pixels, atol=1e-6)


@given(REGIONS)
def test_centre_maps_to_the_middle_of_the_crop(region):
    np.testing.assert_allclose(region.to_crop(region.center[None], 192), [[96, 96]], atol=1e-6)


def test_up_of_a_region_turned_clockwise_by_a_quarter_is_right():
    region = Region(center=np.array([100.0, 50.0]), size=10.0, angle=np.pi / 2)
    np.testing.assert_allclose(region.to_image(np.array([[5.0, 0.0]]), 10), [[105, 50]], atol=1e-9)


@pytest.mark.parametrize('angle', [0.0, 0.7, -1.3, 2.8])
def test_a_turned_hand_lies_upright_in_its_region(angle):
    hand = upright_hand()
    region = region_from_landmarks(rotated(hand, angle, hand.mean(axis=0)))
    assert region.angle == pytest.approx(angle)
    upright = region.to_crop(rotated(hand, angle, hand.mean(axis=0)), 224)
    assert upright[0, 1] > upright[9, 1]
    assert abs(upright[0, 0] - upright[9, 0]) < 1e-6
    assert upright.min() > 0
    assert upright.max() < 224


def test_landmark_region_has_the_published_scale_and_shift():
    hand = upright_hand()
    stable = hand[[0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]]
    extent = np.ptp(stable, axis=0)
    region = region_from_landmarks(hand)
    assert region.size == pytest.approx(2.0 * extent.max())
    middle = (stable.min(axis=0) + stable.max(axis=0)) / 2
    np.testing.assert_allclose(region.center, middle - [0, 0.1 * extent[1]])


def test_palm_region_has_the_published_scale_and_shift():
    keypoints = np.zeros((7, 2))
    keypoints[0], keypoints[2] = (120, 260), (120, 200)
    region = region_from_palm(np.array([100.0, 180.0, 140.0, 260.0]), keypoints)
    assert region.angle == pytest.approx(0.0)
    assert region.size == pytest.approx(2.6 * 80)
    np.testing.assert_allclose(region.center, [120, 220 - 40])


@given(REGIONS, REGIONS)
def test_overlap_is_symmetric_and_bounded(first, second):
    value = iou(first, second)
    assert 0.0 <= value <= 1.0
    assert value == pytest.approx(iou(second, first), abs=1e-9)


@given(REGIONS)
def test_a_region_overlaps_itself_fully(region):
    assert iou(region, region) == pytest.approx(1.0)


def test_overlap_of_upright_squares_is_the_analytic_one():
    first = Region(center=np.array([50.0, 50.0]), size=20.0, angle=0.0)
    second = Region(center=np.array([60.0, 50.0]), size=20.0, angle=0.0)
    assert iou(first, second) == pytest.approx(200 / 600)


def test_nearly_equal_squares_overlap_nearly_fully():
    """OpenCV's intersection of these two is empty."""
    first = Region(center=np.array([127.0, 0.0]), size=2.0, angle=1.0)
    second = Region(center=np.array([127.0, 0.0]), size=2.00001, angle=1.0)
    assert iou(first, second) == pytest.approx(1.0, abs=1e-4)


def test_distinct_keeps_the_first_of_overlapping_regions():
    near = [Region(center=np.array([x, 50.0]), size=20.0, angle=0.0) for x in (50.0, 52.0, 90.0)]
    assert distinct(near, 0.5) == [near[0], near[2]]


@pytest.mark.parametrize(('center', 'size'), [((np.nan, 1), 10), ((1, 1), np.inf), ((1, 1), 0.5)])
def test_a_region_without_area_or_place_is_not_usable(center, size):
    assert not Region(center=np.array(center, float), size=size, angle=0.0).is_usable
