"""Batched cameras project as the cameras of the rig do, with and without their lens."""

import numpy as np
import pytest
import torch

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_views import make_views, varied_intrinsics

CPU = torch.device('cpu')
K = np.array([[200.0, 0, 161], [0, 205.0, 127], [0, 0, 1]])
LENSES = {
    'none': ('plumb_bob', []),
    'barrel': ('plumb_bob', [-0.37, 0.1, 0.001, -0.002, 0.0]),
    'rational': ('rational_polynomial', [0.4, -0.2, 1e-3, 2e-3, 0.05, 0.5, -0.1, 0.02]),
    'fisheye': ('equidistant', [0.02, -0.01, 0.003, -0.001]),
}


def camera(lens='none', intrinsics=K):
    model, distortion = LENSES[lens]
    return Camera(width=320, height=256, intrinsics=intrinsics, distortion=np.array(distortion),
                  distortion_model=model)  # fmt: skip


def views(lens, rectified=False):
    return make_views(camera(lens), K[None], np.eye(4)[None], rectified, CPU)


def points(count=400):
    generator = np.random.default_rng(0)
    depth = generator.uniform(0.1, 3, count)
    ideal = generator.uniform(-0.75, 0.75, (count, 2)) * (1.0, 0.8)
    return np.column_stack([ideal * depth[:, None], depth])


@pytest.mark.parametrize('lens', LENSES)
def test_points_project_as_through_the_camera(lens):
    drawn = views(lens).project(torch.tensor(points()[None], dtype=torch.float32))[0].numpy()
    expected = camera(lens).project(points())
    known = np.isfinite(drawn).all(1)
    assert known.mean() > 0.9
    assert np.abs(drawn - expected)[known].max() < 2e-3


@pytest.mark.parametrize('lens', LENSES)
def test_rays_are_what_the_pixels_see(lens):
    view = views(lens)
    rays = view.rays.reshape(1, -1, 2)
    pixels = view.project(torch.cat([rays, torch.ones_like(rays[..., :1])], -1) * 0.7)[0]
    columns, rows = np.meshgrid(np.arange(320), np.arange(256))
    expected = np.column_stack([columns.ravel(), rows.ravel()])
    apart = np.abs(pixels.numpy() - expected)
    assert np.isfinite(apart).mean() > 0.98
    assert np.nanmax(apart) < 2e-2


def test_a_rectified_view_has_no_lens():
    drawn = views('barrel', rectified=True).project(torch.tensor(points()[None]).float())[0]
    assert np.abs(drawn.numpy() - camera().project(points())).max() < 2e-3
    assert torch.equal(views('barrel', rectified=True).rays, views('none').rays)


def test_points_behind_or_far_beside_are_unusable():
    behind = torch.tensor([[[0.0, 0.0, 0.04], [0.0, 0.0, -1.0], [0.1, 0.0, 1.0]]])
    assert torch.isnan(views('none').project(behind)[0]).any(1).tolist() == [True, True, False]
    beside = torch.tensor([[[5.0, 0.0, 1.0]]])
    assert torch.isnan(views('barrel').project(beside)).all()
    assert not torch.isnan(views('none').project(beside)).any()


def test_every_view_has_its_own_intrinsics():
    other = K * np.array([[1.1], [1.1], [1.0]])
    both = make_views(camera(), np.stack([K, other]), np.tile(np.eye(4), (2, 1, 1)), True, CPU)
    drawn = both.project(torch.tensor(points()[None], dtype=torch.float32).expand(2, -1, -1))
    assert np.abs(drawn[1].numpy() - camera(intrinsics=other).project(points())).max() < 3e-3
    assert both.rays.shape == (2, 256, 320, 2)
    assert torch.allclose(both.rays[0, 127, 161], torch.zeros(2), atol=1e-6)


def test_varied_intrinsics_stay_in_their_range():
    generator = np.random.default_rng(0)
    drawn = np.stack([varied_intrinsics(generator, camera()) for _ in range(300)])
    factor = drawn[:, 0, 0] / K[0, 0]
    assert 0.85 <= factor.min() < 0.88
    assert 1.17 < factor.max() <= 1.2
    assert np.allclose(factor, drawn[:, 1, 1] / K[1, 1])
    shift = (drawn[:, :2, 2] - K[:2, 2]) / (320, 256)
    assert np.abs(shift).max() <= 0.03
    assert np.abs(shift).max() > 0.025


def test_only_training_clips_between_pinholes_vary_their_intrinsics():
    assert SimulationConfig(split='train').varies_intrinsics
    assert not SimulationConfig(split='test').varies_intrinsics
    assert SimulationConfig(split='val', vary_intrinsics=True).varies_intrinsics
    assert not SimulationConfig(split='train', vary_intrinsics=False).varies_intrinsics
    assert not SimulationConfig(split='train', rectified=False).varies_intrinsics
