"""Looking back: hands are followed backwards to where they came into view."""

import numpy as np

from hand_pose_ros.annotation.looking_back import in_reverse, look_back
from hand_pose_ros.annotation.watching import follow
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from tests.annotation.test_poses import hand

PERIOD = 33_333_333


class Late:
    """Sees a right hand in some frames, but only after two images of it; time must not run back."""

    def __init__(self, first, last=99):
        self.first, self.last = first, last
        self.looked = []
        self.reset()

    def reset(self):
        self.seen, self.stamp = 0, None

    def estimate(self, frame):
        assert self.stamp is None or frame.stamp > self.stamp
        self.stamp = frame.stamp
        number = int(frame.streams['rgb'].image[0, 0])
        self.looked.append(number)
        visible = self.first <= number <= self.last
        self.seen = self.seen + 1 if visible else 0
        if self.seen <= 2:
            return []
        pose = hand(0.1, number / 100)
        pose.joints_2d['rgb'] = np.zeros((21, 2))
        return [pose]


def frame(row):
    image = np.full((2, 2), row, np.uint8)
    stream = StreamImage(image=image, stamp=10**9 + row * PERIOD)
    late = StreamImage(image=image, stamp=10**9 + row * PERIOD + 5_000_000)
    return RigFrame(streams={'rgb': stream, 'nir': late}, reference='rgb')


def test_frames_before_the_hand_was_found_are_filled(monkeypatch):
    estimator = Late(first=4)
    poses = follow(estimator, (frame(row) for row in range(20)))
    assert np.flatnonzero(poses.present[:, 1]).min() == 6
    found = look_back(poses, frame, estimator)
    assert np.flatnonzero(found.present[:, 1]).min() == 4
    np.testing.assert_allclose(found.translation[4:, 1, 0], np.arange(4, 20) / 100)


def test_it_gives_up_when_the_hand_is_gone():
    estimator = Late(first=60)
    poses = follow(estimator, (frame(row) for row in range(70)))
    estimator.looked.clear()
    look_back(poses, frame, estimator)
    assert min(estimator.looked) > 40


def test_a_hand_that_never_comes_back_is_not_looked_for():
    estimator = Late(first=0, last=5)
    poses = follow(estimator, (frame(row) for row in range(30)))
    before = poses.present.copy()
    before[:2, 1] = True  # the first two are found when looking back
    np.testing.assert_array_equal(look_back(poses, frame, estimator).present, before)


def test_reversed_frames_keep_their_lags_the_other_way_round():
    turned = in_reverse(frame(3), frame(5).stamp)
    assert turned.stamp == frame(7).stamp
    assert turned.streams['nir'].stamp - turned.stamp == -5_000_000
