"""Pictures of streams, and hands with points that cannot be drawn."""

import numpy as np
import pytest

from hand_pose_ros.estimators.drawing import (
    DrawnHand,
    draw_hands,
    draw_truth,
    enlarge,
    picture,
    scaled_points,
)
from hand_pose_ros.rig.frame import StreamImage


@pytest.mark.parametrize(
    ('modality', 'image'),
    [
        ('thermal', np.arange(3000, dtype=np.uint16).reshape(50, 60) + 7000),
        ('thermal', np.arange(3000, dtype=np.float64).reshape(50, 60).astype(np.uint8)),
        ('nir', np.arange(3000, dtype=np.float64).reshape(50, 60).astype(np.uint8)),
        ('nir', np.arange(3000, dtype=np.uint16).reshape(50, 60)),
        ('rgb', np.zeros((50, 60, 3), np.uint8)),
        ('depth', np.linspace(0.3, 1.0, 3000, dtype=np.float32).reshape(50, 60)),
        ('depth', np.full((50, 60), np.nan, np.float32)),
    ],
)
def test_every_stream_gives_an_rgb_picture(modality, image):
    made = picture(StreamImage(image=image, stamp=0), modality)
    assert made.shape == (50, 60, 3) and made.dtype == np.uint8


def test_black_hot_is_shown_white_hot():
    counts = np.arange(3000, dtype=np.uint16).reshape(50, 60)
    white = picture(StreamImage(image=counts, stamp=0), 'thermal')
    black = picture(StreamImage(image=counts, stamp=0, white_hot=False), 'thermal')
    assert white[-1, -1, 0] > white[0, 0, 0] and black[-1, -1, 0] < black[0, 0, 0]


def test_near_is_yellow_far_is_violet_and_invalid_is_dark():
    depth = np.full((20, 20), 0.8, np.float32)
    depth[:10] = 0.4
    depth[0, 0] = np.nan
    made = picture(StreamImage(image=depth, stamp=0), 'depth').astype(int)
    assert made[5, 5, 0] > made[5, 5, 2] and made[15, 5, 2] >= made[15, 5, 0]
    assert made[0, 0].tolist() == [24, 24, 24]


def test_missing_and_far_points_are_left_out():
    points = np.full((21, 2), 30.0)
    points[4] = np.nan
    points[8] = 1e12
    image = np.zeros((60, 60, 3), np.uint8)
    draw_hands(image, [DrawnHand(side='left', points=points, label='left')])
    assert image.any()
    blank = np.zeros((60, 60, 3), np.uint8)
    draw_hands(blank, [DrawnHand(side='right', points=np.full((21, 2), np.nan), label='right')])
    draw_truth(blank, np.full((21, 2), np.inf))
    assert not blank.any()


def test_enlarging_keeps_pixel_centres():
    image = np.zeros((10, 20, 3), np.uint8)
    image[4, 7] = 255
    large, factor = enlarge(image, 60)
    assert factor == 3 and large.shape == (30, 60, 3)
    u, v = scaled_points(np.array([[7.0, 4.0]]), factor)[0]
    assert np.unravel_index(large[..., 0].argmax(), (30, 60)) == (round(v), round(u))
    assert enlarge(image, 20)[1] == 1
