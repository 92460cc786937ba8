"""Views: hands on the image plane are where a camera would project them, at its own stamp."""

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.views import projected
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.hand_model.residuals import JOINTS
from tests.annotation.sessions import exact
from tests.annotation.test_terms import model, prepared

__all__ = ['model']


@pytest.mark.parametrize('lag', (0.0, 0.02))
def test_joints_are_where_the_camera_has_them(model, lag):
    evidence = exact().evidence
    chain, state = prepared(model, 1)
    posed = chain.poser.pose(state)
    velocity = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64)
    speed = velocity[:, None].expand(posed.points.shape)
    chain.lag[:] = lag
    for view in range(len(evidence.views)):
        seen = projected(posed, speed, chain, view, JOINTS)
        for row in range(len(state.wrist)):
            points = posed.points[row][:, JOINTS].T + lag * velocity
            expected = apply(evidence.T_cam_world[view, row], points.numpy())
            plane = seen.plane[row].T.numpy()
            assert plane == pytest.approx(expected[:, :2] / expected[:, 2:], abs=1e-9)
            assert seen.depth[row].numpy() == pytest.approx(expected[:, 2], abs=1e-9)


def test_what_is_behind_a_camera_stays_finite(model):
    chain, state = prepared(model, 1)
    posed = chain.poser.pose(state)
    chain.translation[:] = torch.tensor([0.0, 0.0, -5.0], dtype=torch.float64)
    seen = projected(posed, torch.zeros_like(posed.points), chain, 0, JOINTS)
    assert torch.isfinite(seen.plane).all() and np.allclose(seen.depth.numpy(), 0.05)
