"""The shipped hand, the npz checks and mirroring."""

import dataclasses

import numpy as np
import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import (
    SHIPPED,
    joint_axes,
    joint_limits,
    load_hand_model,
    mirrored,
)


def arrays():
    with np.load(SHIPPED) as archive:
        return {key: archive[key] for key in archive}


def save(folder, **changes):
    content = {**arrays(), **changes}
    path = folder / 'hand.npz'
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


def test_shipped_file_is_small_and_names_its_licence():
    assert SHIPPED.stat().st_size < 1_000_000
    licence = load_hand_model().licence
    assert 'CC0' in licence
    assert 'Apache-2.0' in licence


@pytest.mark.parametrize('side', ['left', 'right'])
def test_shapes(side):
    data = load_hand_model(side)
    count = len(data.v_template)
    assert data.side == side
    assert data.shapedirs.shape == (count, 3, 10)
    assert data.J_regressor.shape == (16, count)
    assert data.weights.shape == (count, 16)
    assert data.parents.tolist() == [-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]
    np.testing.assert_allclose(data.weights.sum(1), 1, atol=1e-5)


def test_adult_size_and_axes():
    data = load_hand_model('right')
    joints = HandModel(data).rest_joints(np.zeros((1, 10)))[0]
    wrist, middle_tip = joints[0], joints[12]
    assert 0.175 < np.linalg.norm(middle_tip - wrist) < 0.195
    assert middle_tip[0] < -0.05 < 0.05 < wrist[0], 'fingers point to -x'
    assert joints[5, 2] > joints[17, 2], 'thumb side is +z'
    fingers = joints[[5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]]
    assert np.ptp(fingers[:, 1]) < 0.01, 'the fingers are flat'


def test_faces_point_outwards():
    for side in ('left', 'right'):
        data = load_hand_model(side)
        a, b, c = (data.v_template[data.faces[:, k]] for k in range(3))
        assert np.einsum('ij,ij->', a, np.cross(b, c)) > 0, 'signed volume'


@pytest.mark.parametrize('side', ['left', 'right'])
def test_flexion_moves_the_tips_into_the_palm(side):
    data = load_hand_model(side)
    model = HandModel(data)
    angles = np.zeros((1, 15, 3))
    angles[:, :12, 2] = 0.6
    still = np.zeros((1, 3)), np.zeros((1, 10)), np.zeros((1, 3))
    flat = model.joints(still[0], np.zeros((1, 15, 3)), *still[1:])[0]
    bent = model.joints(still[0], model.pose_from_angles(angles), *still[1:])[0]
    tips = [8, 12, 16, 20]
    assert np.all(bent[tips, 1] < flat[tips, 1] - 0.02), 'the palm faces -y'


@pytest.mark.parametrize('side', ['left', 'right'])
def test_thumb_flexion_crosses_the_palm(side):
    model = HandModel(load_hand_model(side))
    angles = np.zeros((1, 15, 3))
    angles[:, 13:, 2] = 0.7
    zero = np.zeros((1, 3)), np.zeros((1, 10)), np.zeros((1, 3))
    flat = model.joints(zero[0], np.zeros((1, 15, 3)), *zero[1:])[0]
    bent = model.joints(zero[0], model.pose_from_angles(angles), *zero[1:])[0]
    little = flat[17]
    assert np.linalg.norm(bent[4] - little) < np.linalg.norm(flat[4] - little) - 0.01


def test_axes_are_rotations_and_limits_contain_the_flat_hand():
    for side in ('left', 'right'):
        axes, limits = joint_axes(side), joint_limits(side)
        np.testing.assert_allclose(axes @ axes.transpose(0, 2, 1), np.tile(np.eye(3), (15, 1, 1)),
                                   atol=1e-5)  # fmt: skip
        np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-5)
        assert limits.shape == (15, 3, 2)
        assert np.all(limits[..., 0] <= 0)
        assert np.all(limits[..., 1] >= 0)


def test_mirror_is_an_involution():
    data = load_hand_model('right')
    twice = mirrored(mirrored(data))
    for field in dataclasses.fields(data):
        if isinstance(getattr(data, field.name), np.ndarray):
            np.testing.assert_array_equal(getattr(twice, field.name), getattr(data, field.name))


def test_fix_left_shape_flips_only_the_first_direction(tmp_path):
    path = save(tmp_path, side=np.array('left'))
    plain = load_hand_model('left', path)
    fixed = load_hand_model('left', path, fix_left_shape=True)
    np.testing.assert_array_equal(fixed.shapedirs[:, 0, 0], -plain.shapedirs[:, 0, 0])
    np.testing.assert_array_equal(fixed.shapedirs[..., 1:], plain.shapedirs[..., 1:])
    with pytest.raises(ModelError, match='right hand'):
        load_hand_model('left', fix_left_shape=True)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'weights': None}, 'lacks weights'),
        ({'weights': np.ones((3, 16))}, 'weights has shape'),
        ({'weights': np.ones((1609, 16))}, 'sum to 1'),
        ({'f': np.array([[0, 1, 99999]])}, 'outside'),
        ({'f': np.array([[0, 1, -1]])}, 'outside'),
        ({'tips': np.arange(4)}, 'tips has shape'),
        ({'side': np.array('middle')}, 'side is'),
        ({'side': np.array(1)}, 'type'),
        ({'v_template': np.full((1609, 3), np.nan)}, 'NaN'),
        ({'kintree_table': np.full((2, 16), 9)}, 'tree'),
        ({'posedirs': np.zeros((1609, 3, 9))}, 'posedirs has shape'),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, changes, message):
    path = save(tmp_path, **changes)
    with pytest.raises(ModelError, match=message) as caught:
        load_hand_model('right', path)
    assert str(path) in str(caught.value)


def test_object_arrays_are_refused(tmp_path):
    path = save(tmp_path, v_template=np.array([object()], dtype=object))
    with pytest.raises(ModelError, match='not a readable npz'):
        load_hand_model('right', path)


def test_missing_and_corrupt_files(tmp_path):
    with pytest.raises(ModelError, match='does not exist'):
        load_hand_model('right', tmp_path / 'none.npz')
    corrupt = tmp_path / 'corrupt.npz'
    corrupt.write_bytes(SHIPPED.read_bytes()[:5000])
    with pytest.raises(ModelError, match='not a readable npz'):
        load_hand_model('right', corrupt)
    with pytest.raises(ModelError, match="'both'"):
        load_hand_model('both')
