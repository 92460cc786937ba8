"""Robot hands that follow: axes, limits, gaps, and what is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.csv_table import columns
from hand_pose_ros.exporting.episodes import RobotMotion
from hand_pose_ros.exporting.lerobot import vector_features, vectors
from hand_pose_ros.exporting.retargeting import Retargeter, operator_joints
from tests.exporting.test_episodes import episodes, labels

_TIPS = ('thumb', 'index', 'middle', 'ring')
_LIMITS = {'spread': (-0.3, 0.3), 'curl': (0.0, 1.6)}


def urdf():
    """A hand with LEAP's link names: four straight fingers with two joints each."""
    parts = ['<link name="base"/>']
    for place, finger in enumerate(_TIPS):
        offset = 0.06 - 0.03 * place
        for name, parent, child, origin, axis in (
            ('spread', 'base', f'{finger}_knuckle', f'0 {offset} 0.08', '1 0 0'),
            ('curl', f'{finger}_knuckle', f'{finger}_bone', '0 0 0.01', '0 1 0'),
        ):
            low, high = _LIMITS[name]
            parts.append(
                f'<link name="{child}"/><joint name="{finger}_{name}" type="revolute">'
                f'<parent link="{parent}"/><child link="{child}"/><origin xyz="{origin}"/>'
                f'<axis xyz="{axis}"/><limit lower="{low}" upper="{high}" effort="1" velocity="9"/>'
                '</joint>'
            )
        parts.append(
            f'<link name="{finger}_tip_head"/><joint name="{finger}_end" type="fixed">'
            f'<parent link="{finger}_bone"/><child link="{finger}_tip_head"/>'
            '<origin xyz="0 0 0.09"/></joint>'
        )
    return f'<robot name="hand">{"".join(parts)}</robot>'


@pytest.fixture
def robots(tmp_path):
    folder = tmp_path / 'leap_hand'
    folder.mkdir()
    for side in ('left', 'right'):
        (folder / f'leap_hand_{side}.urdf').write_text(urdf())
    return tmp_path


@pytest.mark.parametrize('side', [0, 1])
def test_fingers_point_along_z_and_curl_towards_the_palm(side):
    [episode] = episodes(labels(4))
    joints = operator_joints(episode, side)
    np.testing.assert_allclose(joints[:, 0], 0, atol=1e-12)
    assert (joints[:, 9, 2] > 0.05).all()
    assert np.abs(joints[:, 9, :2]).max() < 1e-9
    across = joints[:, 5, 1] - joints[:, 17, 1]
    assert (across > 0.02).all() if side == 1 else (across < -0.02).all()
    bones = np.linalg.norm(np.diff(joints[0, 5:9], axis=0), axis=1)
    world = np.linalg.norm(np.diff(episode.joints[0, side, 5:9], axis=0), axis=1)
    np.testing.assert_allclose(bones, world, atol=1e-12)


def test_curled_fingers_come_out_of_the_palm():
    made = labels(2)
    flat, curled = made, labels(2)
    curled.hand_pose[:] = 0.0
    from hand_pose_ros.annotation.poses import hand_model

    for side, name in enumerate(('left', 'right')):
        model = hand_model(name)
        angles = np.zeros((1, 15, 3))
        angles[..., 2] = 0.8
        for row in range(2):
            curled.joints[row, side] = model.joints(
                curled.global_orient[row : row + 1, side], model.pose_from_angles(angles),
                curled.betas[row : row + 1, side], curled.translation[row : row + 1, side],
            )[0]  # fmt: skip
    for side in range(2):
        straight = operator_joints(episodes(flat)[0], side)[0, 12]
        bent = operator_joints(episodes(curled)[0], side)[0, 12]
        assert bent[0] > straight[0] + 0.02
        assert bent[2] < straight[2]


def test_a_robot_follows_within_its_limits(robots):
    pytest.importorskip('dex_retargeting', reason='pip install -r requirements/retargeting.txt')
    pytest.importorskip('pinocchio', reason='pip install -r requirements/retargeting.txt')
    [episode] = episodes(labels(30, side_missing=range(12, 24)))
    left, right = Retargeter('leap', robots).moved(episode)
    for motion in (left, right):
        assert motion.angles.shape == (30, 8)
        for place, name in enumerate(motion.names):
            low, high = _LIMITS[name.rpartition('_')[2]]
            assert motion.angles[:, place].min() >= low - 1e-6
            assert motion.angles[:, place].max() <= high + 1e-6
    np.testing.assert_array_equal(left.angles[13:22], np.tile(left.angles[12], (9, 1)))
    assert np.abs(np.diff(right.angles, axis=0)).max() < 0.2
    [late] = episodes(labels(30, side_missing=range(9)))
    left, _ = Retargeter('leap', robots).moved(late)
    np.testing.assert_array_equal(left.angles[:9], np.tile(left.angles[9], (9, 1)))
    with pytest.raises(DataError, match='no usable left shadow hand'):
        Retargeter('shadow', robots)
    with pytest.raises(DataError, match='is no folder'):
        Retargeter('leap', robots / 'nowhere')


def test_robot_joints_are_features_and_columns_of_their_own():
    [episode] = episodes(labels(5))
    motion = RobotMotion(names=('a', 'b'), angles=np.ones((5, 2)))
    with_robot = replace(episode, robot=(motion, motion))
    assert vector_features(with_robot)['observation.robot_joints.right'] == ('a', 'b')
    assert vectors(with_robot)['observation.robot_joints.left'].shape == (5, 2)
    assert columns(with_robot)[-1] == 'right_robot_b_rad'
    assert 'observation.robot_joints.left' not in vector_features(episode)


def test_without_the_package_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'dex_retargeting.constants', None)
    with pytest.raises(DataError, match=r'requirements/retargeting\.txt'):
        Retargeter('leap', tmp_path)
