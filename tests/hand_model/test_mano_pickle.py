"""Converting MANO pickles: real layouts convert, hostile ones run nothing."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import scipy.sparse

from hand_pose_ros.errors import ModelError
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.mano_pickle import convert_mano
from hand_pose_ros.hand_model.model_files import load_hand_model

PARENTS = [4294967295, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14]


class Runs:
    """Pickles to a call that leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def chumpy(monkeypatch):
    """A chumpy with just what pickling needs, so that files name its classes."""
    ch = types.ModuleType('chumpy.ch')
    reordering = types.ModuleType('chumpy.reordering')
    for module, name in ((ch, 'Ch'), (reordering, 'Select')):
        setattr(module, name, type(name, (), {'__module__': module.__name__}))
    monkeypatch.setitem(sys.modules, 'chumpy', types.ModuleType('chumpy'))
    monkeypatch.setitem(sys.modules, 'chumpy.ch', ch)
    monkeypatch.setitem(sys.modules, 'chumpy.reordering', reordering)
    return types.SimpleNamespace(Ch=ch.Ch, Select=reordering.Select)


def content(chumpy):
    generator = np.random.default_rng(0)
    vertices = generator.normal(0, 0.05, (778, 3))
    weights = generator.uniform(0, 1, (778, 16))
    shapedirs = chumpy.Select()
    inner = chumpy.Ch()
    inner.x = generator.normal(0, 1e-3, (778, 3, 10))
    shapedirs.a, shapedirs.idxs = inner, np.arange(778 * 30)
    shapedirs.preferred_shape = (778, 3, 10)
    template = chumpy.Ch()
    template.x = vertices
    return {
        'v_template': template,
        'f': generator.integers(0, 778, (1538, 3)).astype(np.uint32),
        'shapedirs': shapedirs,
        'posedirs': np.asfortranarray(generator.normal(0, 1e-3, (778, 3, 135))),
        'J_regressor': scipy.sparse.csc_matrix(generator.uniform(0, 1, (16, 778)) / 389),
        'weights': weights / weights.sum(1, keepdims=True),
        'kintree_table': np.array([PARENTS, range(16)], dtype=np.uint32),
        'hands_mean': generator.normal(0, 0.1, 45),
        'hands_components': np.eye(45),
        'bs_style': 'lbs',
    }


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_converts_what_the_official_file_holds(tmp_path, chumpy, protocol):
    source = tmp_path / 'MANO_RIGHT.pkl'
    hand = content(chumpy)
    source.write_bytes(pickle.dumps(hand, protocol))
    target = convert_mano(source, tmp_path / 'out' / 'mano_right.npz')
    data = load_hand_model('right', target)
    assert data.side == 'right'
    assert 'MANO' in data.licence
    assert data.tips.tolist() == [744, 320, 443, 554, 671]
    np.testing.assert_array_equal(data.v_template, hand['v_template'].x)
    np.testing.assert_array_equal(data.shapedirs, hand['shapedirs'].a.x)
    np.testing.assert_array_equal(data.posedirs, hand['posedirs'])
    np.testing.assert_allclose(data.J_regressor, hand['J_regressor'].toarray())
    np.testing.assert_allclose(data.hands_mean.ravel(), hand['hands_mean'])
    assert data.joint_limits[0, 2].tolist() == [0, 2], "MANO's own flexion limits"
    angles = np.random.default_rng(1).normal(0, 0.3, (1, 15, 3))
    np.testing.assert_array_equal(HandModel(data).pose_from_angles(angles), angles)
    assert list((tmp_path / 'out').iterdir()) == [target]


def test_side_comes_from_the_name(tmp_path, chumpy):
    source = tmp_path / 'mano_left.pkl'
    source.write_bytes(pickle.dumps(content(chumpy), 2))
    assert load_hand_model('left', convert_mano(source, tmp_path / 'l.npz')).side == 'left'
    unnamed = tmp_path / 'hand.pkl'
    unnamed.write_bytes(source.read_bytes())
    with pytest.raises(ModelError, match='MANO_RIGHT'):
        convert_mano(unnamed, tmp_path / 'x.npz')


def hostile_streams(trace):
    mkdir = f'cos\nmkdir\n(S{str(trace)!r}\ntR.'.encode()
    return {
        'object': pickle.dumps({'v_template': Runs(trace)}, 2),
        'protocol 0 call': mkdir,
        'eval': f'c__builtin__\neval\n(S\'__import__("os").mkdir({str(trace)!r})\'\ntR.'.encode(),
        'getattr': b"cbuiltins\ngetattr\n(cbuiltins\nobject\nS'__subclasses__'\ntR.",
        'state of a function': b"c_codecs\nencode\n(N}S'__defaults__'\n(S'x'\ntstb.",
        'state of a class': b"c__builtin__\nobject\n}S'arguments'\nI1\nsb.",
        'dotted name': b'\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.',
        'truncated': b'\x80\x02}q\x00(',
        'empty': b'',
        'not a pickle': b'PK\x03\x04 hello',
    }  # fmt: skip


@pytest.mark.parametrize('name', list(hostile_streams('x')))
def test_hostile_pickles_run_nothing(tmp_path, name):
    trace = tmp_path / 'executed'
    source = tmp_path / 'MANO_RIGHT.pkl'
    source.write_bytes(hostile_streams(trace)[name])
    with pytest.raises(ModelError, match='nothing in it was run'):
        convert_mano(source, tmp_path / 'out.npz')
    assert not trace.exists()
    assert not (tmp_path / 'out.npz').exists()


def test_the_hostile_stream_would_run_with_plain_pickle(tmp_path):
    trace = tmp_path / 'executed'
    pickle.loads(hostile_streams(trace)['protocol 0 call'])
    assert trace.exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'weights': np.ones((778, 15))}, 'not a MANO hand'),
        ({'v_template': np.zeros((10, 3))}, '10 vertices'),
        ({'v_template': np.array([{}], dtype=object)}, 'malformed|refused'),
        ({'v_template': 'text'}, 'malformed'),
        ({'f': np.full((5, 3), 9999)}, 'outside'),
    ],
)
def test_wrong_content_is_refused(tmp_path, chumpy, change, message):
    source = tmp_path / 'MANO_RIGHT.pkl'
    source.write_bytes(pickle.dumps({**content(chumpy), **change}, 2))
    with pytest.raises(ModelError, match=message):
        convert_mano(source, tmp_path / 'out.npz')
    assert list(tmp_path.glob('*.npz')) == []
    assert list(tmp_path.glob('.*')) == []


def test_missing_keys_and_files(tmp_path):
    source = tmp_path / 'MANO_RIGHT.pkl'
    with pytest.raises(ModelError, match='does not exist'):
        convert_mano(source, tmp_path / 'out.npz')
    source.write_bytes(pickle.dumps({'f': 1}))
    with pytest.raises(ModelError, match='lacks v_template'):
        convert_mano(source, tmp_path / 'out.npz')
    source.write_bytes(pickle.dumps([1]))
    with pytest.raises(ModelError, match='no dictionary'):
        convert_mano(source, tmp_path / 'out.npz')
    with pytest.raises(ModelError, match=r'\.npz'):
        convert_mano(source, tmp_path / 'out.pkl')
