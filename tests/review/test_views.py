"""Labels as they lie in images."""

import cv2
import numpy as np
import pytest

from hand_pose_ros.review.views import joints_at, listed, picture
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.sessions.labels import SessionLabels

PERIOD = 33_000_000


@pytest.fixture
def labels():
    """A left hand that moves 10 mm a frame; no right hand."""
    made = SessionLabels.empty(np.arange(3) * PERIOD, np.arange(3), 'thermal_optical_frame')
    made.joints[:, 0] = (np.arange(3) * 0.01)[:, None, None]
    return made


@pytest.mark.parametrize(('late', 'moved'), [(0, 0.01), (11, 0.0133333), (-16.5, 0.005)])
def test_joints_are_moved_to_the_stamp_of_the_image(labels, late, moved):
    joints = joints_at(labels, 1, PERIOD + int(late * 1e6))
    np.testing.assert_allclose(joints[0], moved, atol=1e-6)
    assert np.isnan(joints[1]).all()


def test_joints_at_the_ends_and_before_a_gap_stay(labels):
    assert joints_at(labels, 2, 2 * PERIOD + 5_000_000)[0] == pytest.approx(0.02)
    labels.joints[2] = np.nan
    assert joints_at(labels, 1, PERIOD + 5_000_000)[0] == pytest.approx(0.01)
    labels.stamps[2] += 10**9
    assert joints_at(labels, 1, PERIOD + 5_000_000)[0] == pytest.approx(0.01)


def test_points_that_are_not_finite_are_left_out():
    assert listed(np.array([[1.0, 2.0], [np.nan, 0.0]])) == [[1.0, 2.0], None]
    assert listed(np.full((2, 2), np.nan)) is None


def decoded(image, modality, **changes):
    stream = StreamImage(image=image, stamp=0, **changes)
    return cv2.imdecode(np.frombuffer(picture(stream, modality), np.uint8), cv2.IMREAD_UNCHANGED)


def test_warm_is_bright_whichever_way_the_camera_counts():
    ramp = np.tile(np.arange(3000, 3064, dtype=np.uint16), (48, 1))
    hot, cold = decoded(ramp, 'thermal'), decoded(ramp, 'thermal', white_hot=False)
    assert hot[:, -8:].mean() > 200 > 50 > hot[:, :8].mean()
    assert cold[:, :8].mean() > 200 > 50 > cold[:, -8:].mean()


def test_depth_is_coloured_and_what_is_unknown_is_black():
    depth = np.full((48, 64), np.nan, np.float32)
    depth[:, :32] = 0.3
    shown = decoded(depth, 'depth')
    assert shown[:, 40:].max() < 30
    assert shown[:, :24].max() > 150


def test_colours_keep_their_places():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    blue_green_red = decoded(red, 'rgb').mean(axis=(0, 1))
    assert blue_green_red[2] > 180 > 40 > blue_green_red[0]
