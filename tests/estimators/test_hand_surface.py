"""Hand surface: measured points are the hand's, not its arm's and not the other hand's."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hand_pose_ros.estimators.hand_surface import bone_points, hand_clouds, spread_out
from hand_pose_ros.estimators.rig_views import views_of
from tests.estimators.network_fakes import TRUTH, dark, frame


@pytest.fixture
def view():
    return views_of(frame(0))['depth']


@pytest.fixture
def joints():
    return np.stack([TRUTH[side].joints for side in (0, 1)])


def known(cloud):
    return cloud[np.isfinite(cloud).all(axis=1)]


def test_points_lie_near_the_bones_and_not_on_the_arm(view, joints):
    for hand, cloud in zip(joints, hand_clouds(view, joints, 150), strict=True):
        points = known(cloud)
        assert len(points) > 60
        distance, _ = cKDTree(bone_points(hand)).query(points)
        assert distance.max() < 0.026
        outward = hand[[5, 9, 13, 17]].mean(axis=0) - hand[0]
        assert np.all((points - hand[0]) @ outward > 0)


def test_each_point_belongs_to_the_nearest_hand_only(view, joints):
    beside = joints[1] + [0.02, 0.0, 0.0]
    alone = known(hand_clouds(view, joints[1:], 4000)[0])
    both = [known(cloud) for cloud in hand_clouds(view, np.stack([joints[1], beside]), 4000)]
    assert 0 < len(both[0]) < len(alone)
    assert cKDTree(both[0]).query(both[1])[0].min() > 1e-6


def test_without_depth_or_behind_the_camera_there_are_no_points(view, joints):
    nothing = views_of(frame(0, depth=dark('depth')))['depth']
    assert not np.isfinite(hand_clouds(nothing, joints, 50)).any()
    assert not np.isfinite(hand_clouds(view, joints * [1, 1, -1], 50)).any()


def test_points_are_thinned_evenly_and_filled_up():
    points = np.arange(30.0).reshape(10, 3)
    np.testing.assert_array_equal(spread_out(points, 4)[:, 0], [0, 9, 18, 27])
    filled = spread_out(points, 12)
    assert np.isfinite(filled[:10]).all() and np.isnan(filled[10:]).all()
