"""Flat tracking: two dimensions, lasting identities, sides by votes."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.estimators.flat_tracking import FlatTracker
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.rig.frame import RigFrame, StreamImage

MODALITIES = {'thermal': 'thermal', 'depth': 'depth'}


@pytest.fixture
def tracker(networks) -> FlatTracker:
    return FlatTracker(networks, MODALITIES, LandmarksConfig())


def frame(stream: StreamImage) -> RigFrame:
    return RigFrame(streams={'thermal': stream}, reference='thermal')


def test_real_thermal_hands_keep_side_and_identity(tracker, thermal_frames):
    seen = [tracker.estimate(frame(stream)) for stream in thermal_frames[:5]]
    for poses in seen:
        by_side = {pose.side: pose for pose in poses}
        assert set(by_side) == {'left', 'right'}
        left, right = (by_side[side].joints_2d['thermal'][:, 0].mean() for side in by_side)
        if list(by_side) == ['right', 'left']:
            left, right = right, left
        assert left < right
    first = {pose.side: pose.track_id for pose in seen[0]}
    assert all({pose.side: pose.track_id for pose in poses} == first for poses in seen)


def test_nothing_is_metric(tracker, thermal_frames):
    for pose in tracker.estimate(frame(thermal_frames[0])):
        assert pose.joints is None and pose.joints_raw is None
        assert pose.covariance is None and pose.parameters is None and pose.vertices is None
        assert pose.sources == ('thermal',)
        assert np.all(pose.confidence == pose.score)


def test_hands_that_go_and_come_back_are_others(tracker, thermal_frames):
    before = {pose.track_id for pose in tracker.estimate(frame(thermal_frames[0]))}
    noise = np.random.default_rng(0).integers(0, 30, thermal_frames[0].image.shape)
    blank = replace(thermal_frames[1], image=noise.astype(np.uint8))
    tracker.estimate(frame(blank))
    after = {pose.track_id for pose in tracker.estimate(frame(thermal_frames[5]))}
    assert after and not before & after


def test_depth_alone_has_no_landmarks(tracker):
    depth = StreamImage(image=np.ones((48, 64), np.float32), stamp=0)
    assert tracker.estimate(RigFrame(streams={'depth': depth}, reference='depth')) == []
