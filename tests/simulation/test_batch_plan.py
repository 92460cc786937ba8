"""Clips are drawn from their number alone, within what hands can do, and all kinds occur."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.errors import DataError
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_draw import draw_plan
from hand_pose_ros.simulation.batch_paths import wander
from hand_pose_ros.simulation.batch_poses import draw_pose, limits, models, unseen_shapes
from hand_pose_ros.skeleton import SIDES

CONFIG = SimulationConfig()
PARTS = ('rotations', 'forearms', 'hand_pose', 'translation', 'T_scene_rig', 'grasp')


@pytest.fixture(scope='module')
def plans():
    return [draw_plan(CONFIG, number, 8) for number in range(150)]


@settings(max_examples=10, deadline=None)
@given(number=st.integers(0, 2**40), frames=st.integers(1, 12))
def test_a_longer_clip_begins_like_a_shorter_one(number, frames):
    short, long = draw_plan(CONFIG, number, frames), draw_plan(CONFIG, number, frames + 9)
    for part in PARTS:
        assert np.array_equal(getattr(short, part), getattr(long, part)[:frames]), part
    assert [s.kind for s in short.solids] == [s.kind for s in long.solids]
    for first, second in zip(short.solids, long.solids, strict=True):
        assert np.array_equal(first.T_scene_item, second.T_scene_item[:frames])
    assert np.array_equal(short.room.walls, long.room.walls)


def test_splits_and_seeds_share_no_shapes_and_no_motions():
    configs = [SimulationConfig(split=split) for split in ('train', 'val', 'test')]
    configs.append(SimulationConfig(seed=1))
    plans = [draw_plan(config, number, 2) for config in configs for number in range(5)]
    for part in ('betas', 'hand_pose', 'T_scene_rig'):
        values = {getattr(plan, part).tobytes() for plan in plans}
        assert len(values) == len(plans), part


def test_fingers_stay_within_the_joint_limits(plans):
    low, high = limits()[..., 0] - 1e-6, limits()[..., 1] + 1e-6
    for plan in plans:
        for index, side in enumerate(SIDES):
            angles = models()[side].angles(plan.hand_pose[:, index])
            assert (angles >= low).all()
            assert (angles <= high).all()


def test_rotations_are_rotations(plans):
    for plan in plans:
        for turned in (plan.rotations, plan.forearms, plan.T_scene_rig[:, None, :3, :3]):
            assert np.allclose(turned @ np.swapaxes(turned, -1, -2), np.eye(3), atol=1e-9)
            assert np.allclose(np.linalg.det(turned), 1)


def test_motion_is_smooth(plans):
    for plan in plans:
        step = np.linalg.norm(np.diff(plan.translation, axis=0), axis=-1)
        assert step.max() * plan.rate < 6, 'metres a second'


def test_all_kinds_of_clips_occur(plans):
    assert 0.05 < np.mean([not plan.present.all() for plan in plans]) < 0.22
    assert all(plan.present.any() for plan in plans)
    classes = np.unique(np.concatenate([plan.grasp.ravel() for plan in plans]))
    assert set(classes) >= {0, 2, 3, 4, 5, 8}
    kinds = {solid.kind for plan in plans for solid in plan.solids}
    assert kinds == {'mug', 'can', 'bottle', 'box', 'sphere', 'pen', 'phone', 'book'}
    rates = np.array([plan.rate for plan in plans])
    assert rates.min() >= 8
    assert rates.max() <= 30
    assert np.ptp(rates) > 15
    betas = np.concatenate([plan.betas for plan in plans])
    assert 0.7 < betas.std() < 0.9
    assert np.abs(betas).max() <= 2


def test_only_the_test_split_shows_some_shapes():
    generator = np.random.default_rng(0)
    shapes = np.stack(unseen_shapes())

    def nearest(split):
        drawn = np.stack([draw_pose(generator, split) for _ in range(150)])
        return np.abs(drawn[:, None] - shapes).mean((2, 3)).min(1)

    assert (nearest('test') < 0.05).mean() > 0.15
    assert (nearest('train') < 0.05).mean() < 0.03


def test_joints_of_a_finger_go_less_together_where_networks_learn():
    def together(split):
        generator = np.random.default_rng(0)
        drawn = np.stack([draw_pose(generator, split) for _ in range(1500)])
        return np.corrcoef(drawn[:, 0, 2], drawn[:, 1, 2])[0, 1]  # of the index finger

    assert together('train') < 0.6 < 0.75 < together('val')


def test_a_path_never_leaves_its_keys():
    generator = np.random.default_rng(3)
    times = np.linspace(0, 20, 2000)
    path = wander(generator, times, lambda: generator.uniform(-1, 1, 3), (0.2, 0.5))
    assert np.abs(path).max() <= 1
    assert np.abs(path).max() > 0.9
    assert np.abs(np.diff(path, axis=0)).max() < 0.2


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ({'setting': 'beach'}, 'office'),
        ({'split': 'dev'}, 'train'),
        ({'seed': -1}, 'seed'),
        ({'rate_range': (0, 30)}, 'rate_range'),
        ({'absent': 2}, 'absent'),
        ({'image_size': {'sonar': (9, 9)}}, 'thermal'),
        ({'image_size': {'nir': (4, 9)}}, '8 pixels'),
    ],
)
def test_a_bad_configuration_is_refused(options, words):
    with pytest.raises(DataError, match=words):
        SimulationConfig(**options)


def test_an_unknown_stream_is_refused():
    with pytest.raises(DataError, match='sonar'):
        CONFIG.camera('sonar')
