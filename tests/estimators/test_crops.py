"""Crops: stretching, polarity, and where each crop pixel comes from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.crops import Stretch, cut, stretch_of
from hand_pose_ros.estimators.palm_search import whole_image
from hand_pose_ros.estimators.regions import Region
from hand_pose_ros.rig.frame import StreamImage

UNIT = Stretch(black=0.0, white=255.0)


def ramp(height: int = 256, width: int = 320) -> np.ndarray:
    return np.tile(np.linspace(7000, 9000, width).astype(np.uint16), (height, 1))


def stream(image: np.ndarray, white_hot: bool = True) -> StreamImage:
    return StreamImage(image=image, stamp=0, white_hot=white_hot)


def test_thermal_is_stretched_between_its_percentiles():
    stretch = stretch_of(stream(ramp()), 'thermal')
    assert stretch.black == pytest.approx(np.percentile(ramp(), 1), abs=20)
    assert stretch.white == pytest.approx(np.percentile(ramp(), 99.8), abs=20)


def test_black_hot_thermal_becomes_white_hot():
    region = whole_image(ramp())
    white = cut(ramp(), region, 64, stretch_of(stream(ramp()), 'thermal'))
    inverted = (16000 - ramp()).astype(np.uint16)
    black = cut(inverted, region, 64, stretch_of(stream(inverted, white_hot=False), 'thermal'))
    np.testing.assert_allclose(black[20:40], white[20:40], atol=0.03)
    assert black[0].max() == 0.0


def test_black_hot_means_nothing_for_nir():
    stretch = stretch_of(stream(ramp(), white_hot=False), 'nir')
    assert stretch.black < stretch.white


def test_rgb_keeps_its_range_and_a_flat_image_does_not_divide_by_zero():
    assert stretch_of(stream(np.zeros((4, 4, 3), np.uint8)), 'rgb') == UNIT
    flat = np.full((40, 40), 3000, np.uint16)
    assert np.isfinite(cut(flat, whole_image(flat), 32, stretch_of(stream(flat), 'nir'))).all()


@pytest.mark.parametrize(
    ('modality', 'image'),
    [
        ('thermal', np.zeros((4, 4), np.float32)),
        ('thermal', np.zeros((4, 4, 3), np.uint8)),
        ('nir', np.zeros((4, 4), np.int16)),
        ('rgb', np.zeros((4, 4), np.uint8)),
        ('rgb', np.zeros((4, 4, 3), np.uint16)),
        ('depth', np.zeros((4, 4), np.float32)),
        ('thermal', np.zeros((0, 4), np.uint8)),
        ('thermal', np.zeros(4, np.uint8)),
    ],
)
def test_an_image_that_does_not_fit_is_refused(modality, image):
    with pytest.raises(ImageError, match=modality):
        stretch_of(stream(image), modality)


@pytest.mark.parametrize('shape', [(256, 320), (512, 640), (720, 1280), (640, 480)])
def test_the_letterbox_keeps_the_aspect_and_is_black_outside(shape):
    image = np.full(shape, 200, np.uint8)
    crop = cut(image, whole_image(image), 192, UNIT)
    assert crop.shape == (192, 192, 3)
    covered = (crop[..., 0] > 0.39).sum() / 192**2
    assert covered == pytest.approx(min(shape) / max(shape), abs=0.02)


@given(st.floats(60, 260), st.floats(60, 190), st.floats(40, 700), st.floats(-3, 3))
def test_a_bright_spot_lands_where_the_map_says(x, y, size, angle):
    columns, rows = np.meshgrid(np.arange(320), np.arange(256))
    spread = max(3.0, size / 40)
    image = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * spread**2))
    region = Region(center=np.array([x + size / 10, y - size / 8]), size=size, angle=angle)
    grey = cut(image.astype(np.uint8), region, 224, UNIT)[..., 0].astype(np.float64)
    grey[grey < 0.5] = 0.0
    down, across = np.indices(grey.shape)
    found = np.array([(grey * across).sum(), (grey * down).sum()]) / grey.sum()
    inside = region.to_crop(np.array([[x, y]]), 224)[0]
    clipped = min(x, 319 - x, y, 255 - y) < 2 * spread
    np.testing.assert_allclose(found, inside, atol=4.0 if clipped else 1.0)


def test_strong_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((960, 960), np.uint8)
    stripes[:, ::5] = 255
    crop = cut(stripes, whole_image(stripes), 192, UNIT)
    assert crop[8:-8, 8:-8].std() < 0.02
    assert crop[8:-8, 8:-8].mean() == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize('factor', [3, 5])
def test_shrinking_does_not_shift_the_image(factor):
    size = 48 * factor
    image = np.tile(np.arange(size, dtype=np.uint16) * 100, (size, 1))
    crop = cut(image, whole_image(image), 48, Stretch(black=0.0, white=100.0 * size))
    pixels = whole_image(image).to_image(np.column_stack([np.arange(48), np.zeros(48)]), 48)[:, 0]
    np.testing.assert_allclose(crop[24, 2:-2, 0] * size, pixels[2:-2], atol=0.1)
