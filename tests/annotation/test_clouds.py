"""Clouds: surface points of the right hand, measured, and of nothing else."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from hand_pose_ros.annotation.clouds import MaskedView, hand_cloud
from hand_pose_ros.annotation.label_masks import LabelledMeshes
from hand_pose_ros.estimators.rig_views import views_of

ROW = 12


@pytest.fixture
def views(session):
    return views_of(session.frame(ROW))


def depths(views):
    return [views['depth'], views['exo_depth']]


def points_of(cloud):
    return cloud[np.isfinite(cloud).all(axis=1)]


@pytest.mark.parametrize('side', [0, 1])
def test_points_lie_on_the_hand(views, truth, side):
    cloud = hand_cloud(depths(views), truth.joints[ROW, side], truth.joints[ROW, 1 - side])
    surface = LabelledMeshes(truth).at(ROW, int(truth.stamps[ROW]))[side]
    distance, _ = cKDTree(surface).query(points_of(cloud))
    assert len(distance) > 200
    assert np.percentile(distance, 90) < 0.012


def test_both_depth_cameras_contribute(views, truth):
    joints = truth.joints[ROW, 1]
    counts = [len(points_of(hand_cloud([view], joints, None))) for view in depths(views)]
    assert min(counts) > 50


def test_missing_depth_gives_no_points(views, truth):
    view = views['depth']
    for nothing in (0.0, np.nan):
        view.stream.image[:] = nothing
        assert not len(points_of(hand_cloud([view], truth.joints[ROW, 1], None)))
    assert not len(points_of(hand_cloud([], truth.joints[ROW, 1], None)))


def test_a_hand_behind_the_camera_gives_no_points(views, truth):
    behind = truth.joints[ROW, 1] * [1, 1, -1]
    assert not len(points_of(hand_cloud([views['depth']], behind, None)))


def test_points_nearer_to_the_other_hand_are_left_out(views, truth):
    joints = truth.joints[ROW, 1]
    palm = joints[[0, 5, 9, 13, 17]].mean(axis=0)
    beside = joints + (palm - joints[4])
    every = points_of(hand_cloud([views['depth']], joints, None))
    some = points_of(hand_cloud([views['depth']], joints, beside))
    away = [np.linalg.norm(points - beside[4], axis=1).min() for points in (every, some)]
    assert away[0] < away[1]
    assert not len(points_of(hand_cloud([views['depth']], joints, joints)))


def test_what_a_mask_does_not_hold_is_left_out(views, truth):
    view, joints = views['depth'], truth.joints[ROW, 1]
    thermal = views['thermal']
    half = np.zeros(thermal.stream.image.shape, bool)
    middle = thermal.project(joints)[:, 0].mean()
    half[:, : int(middle)] = True
    masked = MaskedView(view=thermal, mask=half)
    every = points_of(hand_cloud([view], joints, None))
    some = points_of(hand_cloud([view], joints, None, [masked]))
    assert len(some) > 100
    assert (thermal.project(every.astype(float))[:, 0] > middle + 2).any()
    assert (thermal.project(some.astype(float))[:, 0] < middle + 2).all()


def test_points_outside_the_masks_image_are_kept(views, truth):
    thermal = views['thermal']
    nothing = MaskedView(view=thermal, mask=np.zeros(thermal.stream.image.shape, bool))
    points = np.array([[0.0, 0.0, -1.0], [9.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    in_view = points @ thermal.rotation - thermal.rotation.T @ thermal.translation
    assert nothing.holds(in_view).tolist() == [True, True, False]
