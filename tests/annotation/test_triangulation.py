"""Triangulation: exact rays meet exactly, wrong ones are outvoted, narrow ones say nothing."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation.triangulation import triangulate
from tests.annotation.sessions import exact


def joined(evidence, **changes):
    return replace(evidence, **changes)


@pytest.fixture
def evidence():
    return exact().evidence


def test_exact_landmarks_meet_in_the_joints(evidence):
    joints, sigma = triangulate(evidence)
    known = np.isfinite(joints).all(axis=3)
    assert known.mean() > 0.9
    assert np.abs(joints - exact().joints)[known].max() < 1e-6
    assert (sigma[known] < 0.01).all() and np.isinf(sigma[~known]).all()


def test_distances_are_less_certain_without_the_view_from_the_front(evidence):
    both, sigma = triangulate(evidence)
    ego, ego_sigma = triangulate(evidence.seen_by(['thermal', 'nir', 'rgb']), 1.0)
    known = np.isfinite(both).all(axis=3) & np.isfinite(ego).all(axis=3)
    assert known.any()
    assert np.median(ego_sigma[known] / sigma[known]) > 2


def test_one_view_alone_says_nothing(evidence):
    joints, sigma = triangulate(evidence.seen_by(['rgb']))
    assert np.isnan(joints).all() and np.isinf(sigma).all()


def test_views_too_close_together_say_nothing(evidence):
    close = evidence.seen_by(['nir', 'rgb'])
    assert np.isnan(triangulate(close, largest_sigma=0.002)[0]).all()


def test_a_landmark_far_off_is_outvoted(evidence):
    wrong = evidence.points.copy()
    place = list(evidence.views).index('thermal')
    wrong[place, :, :, 8] += 0.2
    joints, _ = triangulate(joined(evidence, points=wrong))
    known = np.isfinite(joints[:, :, 8]).all(axis=2)
    three = (np.isfinite(evidence.points[:, :, :, 8]).all(axis=3).sum(axis=0) == 4) & known
    assert three.any()
    error = np.linalg.norm(joints[:, :, 8] - exact().joints[:, :, 8], axis=2)
    assert error[three].max() < 0.004


def test_unplaced_views_and_zero_confidence_are_left_out(evidence):
    placeless = evidence.T_cam_world.copy()
    placeless[list(evidence.views).index('exo_rgb')] = np.nan
    without = triangulate(evidence.seen_by(['thermal', 'nir', 'rgb']), 1.0)[0]
    assert np.allclose(
        triangulate(joined(evidence, T_cam_world=placeless), 1.0)[0], without, equal_nan=True
    )
    unsure = evidence.sigma.copy()
    unsure[list(evidence.views).index('exo_rgb')] = np.inf
    assert np.allclose(triangulate(joined(evidence, sigma=unsure), 1.0)[0], without, equal_nan=True)


def test_joints_behind_a_camera_are_refused(evidence):
    turned = evidence.T_cam_world.copy()
    turned[..., :3, :] *= -1  # points now lie behind every camera, on the same rays
    joints, _ = triangulate(joined(evidence, T_cam_world=turned))
    assert np.isnan(joints).all()
