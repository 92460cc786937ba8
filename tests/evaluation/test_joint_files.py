"""Files of joints: what estimate writes, arrays, and everything that can be wrong with them."""

import json

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.joint_files import JointFile, matched, read_joints


def joints(count=3, seed=0):
    return np.random.default_rng(seed).uniform(-0.1, 0.5, (count, 2, 21, 3))


def hand(side='left', value=0.5, score=0.9, **changes):
    return {
        'side': side, 'track_id': 1, 'state': 'tracked', 'score': score,
        'joints': [[value, 0.0, 0.4]] * 21, 'joints_2d': {'thermal': [[value, 7.0]] * 21},
        'confidence': [1.0] * 21, 'sigma': None, 'betas': None, **changes,
    }  # fmt: skip


def frame(stamp, *hands, frame_id='thermal_optical_frame'):
    return {'stamp': stamp, 'source': 'a', 'frame_id': frame_id, 'hands': list(hands)}


def jsonl(path, *frames):
    path.write_text(''.join(json.dumps(f) + '\n' for f in frames))
    return path


def test_lines_of_estimate(tmp_path):
    path = jsonl(
        tmp_path / 'a.jsonl', frame(10, hand('right', 0.1)), frame(20),
        frame(30, hand('left', 0.2), hand('left', 0.3, score=0.99), hand('right', joints=None)),
    )  # fmt: skip
    read = read_joints(path)
    assert read.stamps.tolist() == [10, 20, 30]
    assert read.frame_id == 'thermal_optical_frame'
    assert read.joints[0, 1, :, 0] == pytest.approx(0.1)
    assert np.isnan(read.joints[0, 0]).all()
    assert np.isnan(read.joints[1]).all()
    assert read.joints[2, 0, :, 0] == pytest.approx(0.3)  # the better one of two
    assert np.isnan(read.joints[2, 1]).all()
    assert read.pixels[2, 1, :, 1] == pytest.approx(7)


def test_single_joints_may_be_null(tmp_path):
    points = [[0.1, 0.2, 0.3]] * 20 + [[None, None, None]]
    read = read_joints(jsonl(tmp_path / 'a.jsonl', frame(1, hand(joints=points, joints_2d={}))))
    assert np.isfinite(read.joints[0, 0, :20]).all()
    assert np.isnan(read.joints[0, 0, 20]).all()
    assert read.pixels is None


def test_arrays(tmp_path):
    values = joints()
    np.savez(tmp_path / 'a.npz', joints=values, stamps=np.arange(3), other=np.ones(5))
    read = read_joints(tmp_path / 'a.npz')
    assert read.joints == pytest.approx(values)
    assert read.stamps.tolist() == [0, 1, 2]
    assert read.pixels is None


def test_stamps_bring_frames_together(tmp_path):
    truth = JointFile(path=tmp_path / 't', joints=joints(3), stamps=np.array([10, 20, 30]))
    found = JointFile(
        path=tmp_path / 'p', joints=joints(3, seed=1), stamps=np.array([30, 5, 10]),
        not_padding=None, pixels=np.ones((3, 2, 21, 2)),
    )  # fmt: skip
    predicted, same = matched(found, truth)
    assert same is truth
    assert predicted.joints[0] == pytest.approx(found.joints[2])
    assert np.isnan(predicted.joints[1]).all()
    assert np.isnan(predicted.pixels[1]).all()
    assert predicted.joints[2] == pytest.approx(found.joints[0])


@pytest.mark.parametrize(
    ('predicted', 'truth', 'message'),
    [
        ({'joints': joints(2)}, {'joints': joints(3)}, r'p has 2 frames and .*t 3'),
        (
            {'joints': joints(1), 'stamps': np.array([1])},
            {'joints': joints(1), 'stamps': np.array([2])},
            'no stamp in common',
        ),
        (
            {'joints': joints(1), 'frame_id': 'a'},
            {'joints': joints(1), 'frame_id': 'b'},
            'p is in a, .*t in b',
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path, predicted, truth, message):
    with pytest.raises(DataError, match=message):
        matched(
            JointFile(path=tmp_path / 'p', **predicted), JointFile(path=tmp_path / 't', **truth)
        )


@pytest.mark.parametrize(
    ('arrays', 'message'),
    [
        ({'pixels': np.ones((1, 2, 21, 2))}, 'has no array joints'),
        (
            {'joints': np.ones((3, 21, 3))},
            r'joints has shape \(3, 21, 3\), expected \(N, 2, 21, 3\)',
        ),
        ({'joints': np.ones((0, 2, 21, 3))}, 'joints has shape'),
        ({'joints': np.array(1.0)}, 'joints has shape'),
        ({'joints': joints(), 'stamps': np.arange(2)}, r'stamps has shape \(2,\), expected \(N\)'),
        ({'joints': np.full((1, 2, 21, 3), 'x')}, 'expected numbers'),
    ],
)
def test_arrays_of_other_shapes_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / 'a.npz', **arrays)
    with pytest.raises(DataError, match=message):
        read_joints(tmp_path / 'a.npz')


def test_pickled_arrays_are_not_opened(tmp_path):
    np.savez(tmp_path / 'a.npz', joints=np.array([{'a': 1}], dtype=object))
    with pytest.raises(DataError, match='not a readable npz'):
        read_joints(tmp_path / 'a.npz')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('', 'has no frames'),
        ('{"stamp": 1\n', 'line 1 is no frame'),
        ('[1, 2]\n', 'line 1 is no frame'),
        ('{"stamp": 1, "hands": []}\n', 'line 1 is no frame'),
        (json.dumps(frame(1, hand('third'))), "side 'third' is neither left nor right"),
        (json.dumps(frame(1, hand(joints=[[0, 0, 0]] * 16))), r'joints of shape \(16, 3\)'),
        (json.dumps(frame(1, hand(joints=[[0, 0, 0]] * 20 + [[0]]))), 'line 1 is no frame'),
        (
            json.dumps(frame(1)) + '\n' + json.dumps(frame(2, frame_id='rgb_optical_frame')),
            'mixes the frames',
        ),
    ],
)
def test_damaged_lines_are_named(tmp_path, content, message):
    path = tmp_path / 'a.jsonl'
    path.write_text(content)
    with pytest.raises(DataError, match=message) as error:
        read_joints(path)
    assert str(path) in str(error.value)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(DataError, match='does not exist'):
        read_joints(tmp_path / 'none.npz')
    path = tmp_path / 'a.npz'
    path.write_bytes(b'PK but not a zip')
    with pytest.raises(DataError, match='not a readable npz'):
        read_joints(path)
    other = tmp_path / 'a.csv'
    other.write_text('1')
    with pytest.raises(DataError, match='neither .npz nor .jsonl'):
        read_joints(other)
