"""Both rasterizer backends see the same, and what a ray caster sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_rasterizer import Meshes, rasterize
from hand_pose_ros.simulation.batch_views import make_views
from tests.from_file import module_from

CLASSES = ('surface', 'hand_mask', 'material', 'item')
VALUES = ('depth', 'normal', 'facing', 'attributes')


def small(**options):
    return SimulationConfig(image_size={'thermal': (160, 128), 'nir': (160, 120)}, **options)


@pytest.mark.parametrize('rectified', [True, False])
def test_the_backends_see_the_same(rectified):
    config = small(rectified=rectified)
    numbers = [3, 40, 41, 47, 52]
    compiled, _ = BatchSimulator(config).geometry(numbers, ('thermal',), 2)['thermal']
    plain, _ = BatchSimulator(config, backend='torch').geometry(numbers, ('thermal',), 2)['thermal']
    alike = torch.ones_like(compiled.depth, dtype=torch.bool)
    for name in CLASSES:
        first, second = getattr(compiled, name), getattr(plain, name)
        assert first.dtype == second.dtype == torch.uint8
        assert (first != second).float().mean() < 1e-4, name
        alike &= first == second
    for name in VALUES:
        apart = (getattr(compiled, name) - getattr(plain, name)).abs()[alike]
        assert apart.quantile(0.999) < 1e-4 if apart.numel() < 1e7 else apart.max() < 1e-3, name


@pytest.fixture(scope='module')
def benchmark():
    """The script that the figures come from."""
    pytest.importorskip('trimesh')
    pytest.importorskip('embreex')
    return module_from('benchmarks/renderer.py')


@pytest.mark.parametrize('lens', [False, True])
def test_depth_and_mask_agree_with_ray_casting(benchmark, lens):
    simulator = BatchSimulator(small(rectified=not lens, split='test'))
    gbuffer, meshes = simulator.scene([0, 2, 5, 8], 'thermal', 1)
    results = [benchmark.compare(gbuffer, meshes, image) for image in range(4)]
    error = np.concatenate([result['errors'] for result in results])
    assert len(error) > 2000
    assert np.median(error) < 1e-6
    # Through a lens the straight edges of long triangles are a little beside the bent ones.
    assert np.percentile(error, 99) < (2e-3 if lens else 1e-5)
    assert min(result['alike'] for result in results) > 0.995
    overlap, union = (sum(result[name] for result in results) for name in ('overlap', 'union'))
    assert overlap / union > (0.998 if lens else 0.9999)


def test_ray_casting_notices_a_hand_in_another_place(benchmark):
    simulator = BatchSimulator(small(split='test'))
    gbuffer, meshes = simulator.scene([0], 'thermal', 1)
    moved = replace(meshes, vertices=meshes.vertices + 0.002)
    result = benchmark.compare(gbuffer, moved, 0)
    assert np.median(result['errors']) > 1e-4
    assert result['overlap'] / result['union'] < 0.99


def one_triangle(depth=0.5, reverse=False):
    corners = torch.tensor([[[-0.1, -0.1, depth], [0.0, 0.1, depth], [0.1, -0.1, depth]]])
    faces = torch.tensor([[[0, 2, 1] if reverse else [0, 1, 2]]])
    return Meshes(
        vertices=corners, normals=torch.tensor([[[0, 0, -1.0]]]).expand(1, 3, 3), faces=faces,
        looks=torch.zeros((1, 3, 8)), codes=torch.tensor([[[1, 0, 0]]], dtype=torch.uint8),
        hand_faces=((0, 1),), flats=torch.zeros((1, 0, 5)), flat_items=torch.tensor([1]),
    )  # fmt: skip


@pytest.mark.parametrize('backend', ['numba', 'torch'])
def test_a_triangle_is_where_it_projects_to_and_only_its_front_is_seen(backend):
    camera = SimulationConfig(image_size={'nir': (64, 48)}).camera('nir')
    views = make_views(camera, camera.intrinsics[None], np.eye(4)[None], True, torch.device('cpu'))
    planes = torch.zeros((1, 7, 16))
    seen = rasterize(one_triangle(), planes, views, 1, backend=backend)
    back = rasterize(one_triangle(reverse=True), planes, views, 1, backend=backend)
    near = rasterize(one_triangle(depth=0.04), planes, views, 1, backend=backend)
    assert {int((view.surface > 0).sum() > 0) for view in (back, near)} <= {0, 1}
    shown = [view for view in (seen, back) if (view.surface > 0).any()]
    assert len(shown) == 1, 'one of the two windings is the front'
    covered = shown[0].surface[0] > 0
    corners = camera.project(one_triangle().vertices[0].double().numpy())
    area = 0.5 * abs(np.linalg.det(np.column_stack([corners, np.ones(3)])))
    assert covered.sum() == pytest.approx(area, rel=0.1)
    assert torch.allclose(shown[0].depth[0][covered], torch.tensor(0.5))
    assert (shown[0].depth[0][~covered] == 0).all(), 'nothing behind: no depth'
    assert (shown[0].facing[0][covered] > 0.8).all()
    assert not (near.surface > 0).any(), 'too near to the camera plane'
