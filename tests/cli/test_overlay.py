"""Overlays show the hands where they are."""

import cv2
import numpy as np
import pytest

from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.cli.overlay import label, overlay, points_in_stream, save_picture
from hand_pose_ros.estimators.drawing import SIDE_COLOURS
from tests.cli import hands


def test_the_skeleton_is_at_the_projected_joints():
    frame, hand = hands.frame(), hands.hand()
    image = overlay(frame, 'thermal', 'thermal', [hand])
    assert image.shape == (512, 640, 3) and image.dtype == np.uint8
    points = 2 * points_in_stream(hand, 'thermal', frame.streams['thermal'], frame)
    marked = image.astype(int).sum(axis=2) > 60
    for u, v in points:
        assert marked[round(v) - 3 : round(v) + 4, round(u) - 3 : round(u) + 4].any()
    blue = (np.abs(image.astype(int) - SIDE_COLOURS['left']).sum(axis=2) < 30).sum()
    assert blue > 200


def test_without_3d_the_2d_joints_are_drawn():
    flat = hands.hand()
    flat = type(flat)(**{**flat.__dict__, 'joints': None})
    points = points_in_stream(flat, 'thermal', hands.frame().streams['thermal'], hands.frame())
    assert np.array_equal(points, flat.joints_2d['thermal'])
    assert points_in_stream(flat, 'rgb', hands.frame().streams['thermal'], hands.frame()) is None


def test_no_hand_leaves_the_picture_alone():
    assert not overlay(hands.frame(), 'thermal', 'thermal', [hands.hand(state='lost')]).any()


def test_labels_say_what_is_not_seen_now():
    assert label(hands.hand()) == 'left 0.91'
    assert label(hands.hand(state='predicted')) == 'left 0.91 predicted'


def test_colours_survive_the_file(tmp_path):
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0] = 200
    save_picture(tmp_path / 'new' / 'a.png', image)
    assert cv2.imread(str(tmp_path / 'new' / 'a.png'))[0, 0].tolist() == [0, 0, 200]
    with pytest.raises(CommandError, match='cannot be written'):
        save_picture(tmp_path / 'new' / 'a.png' / 'b.png', image)
