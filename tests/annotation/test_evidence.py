"""Evidence: points on its masks, where there are any."""

from dataclasses import replace

import numpy as np

from hand_pose_ros.annotation.silhouettes import inside_points
from tests.annotation.sessions import exact

MOST = 50


def test_points_on_masks_are_those_of_each_silhouette():
    evidence = exact().evidence
    points, spacing = evidence.mask_points(1, MOST)
    assert points.shape == (*evidence.lag.shape, MOST, 2)
    for view, row in np.ndindex(evidence.lag.shape):
        where = view, row, 1
        found, apart = inside_points(
            evidence.mask[where], evidence.mask_corner[where], evidence.mask_step[where], MOST
        )
        assert np.array_equal(points[view, row, : len(found)], found)
        assert np.isnan(points[view, row, len(found) :]).all() and spacing[view, row] == apart


def test_without_masks_there_are_none():
    evidence = exact().evidence
    bare = replace(evidence, mask_step=np.full_like(evidence.mask_step, np.nan))
    points, spacing = bare.mask_points(0, MOST)
    assert np.isnan(points).all() and (spacing == 0).all()
