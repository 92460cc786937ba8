"""Foreign pickles: plain data comes through, everything else is refused and nothing runs."""

import collections
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.lib import format as npy

from hand_pose_ros.datasets.safe_pickle import read_object_array, read_pickle
from hand_pose_ros.errors import DataError

from .conftest import write_object_npy, write_pickle

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=8,
)
numeric = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8, np.bool_]),
    hnp.array_shapes(max_dims=3, max_side=4),
)


@given(plain, st.integers(2, 5))
def test_plain_data_comes_through(tmp_path_factory, content, protocol):
    path = tmp_path_factory.mktemp('pickle') / 'x.pkl'
    write_pickle(path, content, protocol)
    assert read_pickle(path, 'x') == content


@given(numeric, st.integers(2, 5), st.booleans())
def test_arrays_come_through(tmp_path_factory, array, protocol, turned):
    path = tmp_path_factory.mktemp('pickle') / 'x.pkl'
    array = np.asfortranarray(array) if turned else array
    write_pickle(path, {'a': array, 'b': array.ravel()[0]}, protocol)
    back = read_pickle(path, 'x')
    np.testing.assert_array_equal(back['a'], array)
    assert back['a'].dtype == array.dtype
    np.testing.assert_equal(back['b'], array.ravel()[0])


def test_object_arrays_come_through(tmp_path):
    content = {'names': ['a', 'b'], 'data': {'x': np.arange(6.0).reshape(2, 3)}, 'none': None}
    write_object_npy(tmp_path / 'x.npy', content)
    back = read_object_array(tmp_path / 'x.npy', 'x')
    assert back['names'] == ['a', 'b'] and back['none'] is None
    np.testing.assert_array_equal(back['data']['x'], content['data']['x'])
    nested = np.empty(2, object)
    nested[:] = [np.arange(3), 'text']
    write_pickle(tmp_path / 'y.pkl', nested)
    assert read_pickle(tmp_path / 'y.pkl', 'x')[0].tolist() == [0, 1, 2]


def test_python_2_arrays_come_through(tmp_path):
    array = np.arange(4, dtype=np.float32)
    state = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I4\nt"
    state += b"cnumpy\ndtype\n(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    state += b'S' + repr(array.tobytes()).lstrip('b').encode() + b'\ntb.'
    (tmp_path / 'x.pkl').write_bytes(state)
    np.testing.assert_array_equal(read_pickle(tmp_path / 'x.pkl', 'x'), array)


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace):
        self._trace = trace

    def __reduce__(self):
        return (os.mkdir, (self._trace,))


def wrapped(attack):
    array = np.empty(1, object)
    array[0] = attack
    return {'plain': attack, 'deep': {'a': [1, (attack,)]}, 'in an array': array}


@pytest.mark.parametrize('place', ['plain', 'deep', 'in an array'])
@pytest.mark.parametrize('kind', ['pickle', 'npy'])
def test_nothing_in_a_hostile_file_is_run(tmp_path, kind, place):
    trace = tmp_path / 'run'
    content = wrapped(Malicious(str(trace)))[place]
    path = tmp_path / 'x'
    (write_pickle if kind == 'pickle' else write_object_npy)(path, content)
    read = read_pickle if kind == 'pickle' else read_object_array
    with pytest.raises(DataError, match=r'x was refused and nothing in it was run .*posix.mkdir'):
        read(path, 'the project page')
    assert not trace.exists()
    # The same file does run where it is trusted.
    with path.open('rb') as file:
        np.load(file, allow_pickle=True) if kind == 'npy' else pickle.load(file)
    assert trace.exists()


@pytest.mark.parametrize(
    'stream',
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\nexec\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"ccodecs\nopen\n(S'x'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n}S'_call'\nNsb.",  # alters the stand-in
        b'\x80\x04\x95', b'', b'no pickle',
    ],
)  # fmt: skip
def test_other_names_and_broken_streams_are_refused(tmp_path, stream):
    (tmp_path / 'x.pkl').write_bytes(stream)
    with pytest.raises(DataError, match='nothing in it was run'):
        read_pickle(tmp_path / 'x.pkl', 'x')


@pytest.mark.parametrize(
    'content',
    [{1, 2}, b'bytes', Path('x'), collections.OrderedDict(a=1), np.datetime64('2026-01-01'),
     np.zeros(2, [('a', 'f4')]), 1j],
    ids=lambda content: type(content).__name__,
)  # fmt: skip
def test_what_is_not_plain_is_refused(tmp_path, content):
    write_pickle(tmp_path / 'x.pkl', content)
    with pytest.raises(DataError, match='was refused'):
        read_pickle(tmp_path / 'x.pkl', 'x')


def test_bombs_are_refused_or_small(tmp_path):
    circle = []
    circle.append(circle)
    write_pickle(tmp_path / 'circle.pkl', circle)
    with pytest.raises(DataError, match='nests too deeply'):
        read_pickle(tmp_path / 'circle.pkl', 'x')
    bomb = ['boom']
    for _ in range(30):
        bomb = [bomb] * 10
    write_pickle(tmp_path / 'bomb.pkl', bomb)
    back = read_pickle(tmp_path / 'bomb.pkl', 'x')
    assert back[0] is back[9]  # 31 lists, not 10 ** 30
    huge = b'cnumpy.core.multiarray\n_reconstruct\n(tR(I1\n(I999999999999\ntcnumpy\ndtype\n'
    huge += b"(S'f8'\nI0\nI1\ntRI00\nS'1234'\ntb."
    (tmp_path / 'huge.pkl').write_bytes(huge)
    with pytest.raises(DataError, match='was refused'):
        read_pickle(tmp_path / 'huge.pkl', 'x')


def test_missing_files_and_other_arrays_are_named(tmp_path):
    with pytest.raises(DataError, match=r'x.pkl is missing: obtain it from the page'):
        read_pickle(tmp_path / 'x.pkl', 'the page')
    buffer = io.BytesIO()
    npy.write_array(buffer, np.zeros(3))
    (tmp_path / 'x.npy').write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r'is no .npy file of objects'):
        read_object_array(tmp_path / 'x.npy', 'x')
    (tmp_path / 'x.npy').write_bytes(b'')
    with pytest.raises(DataError, match=r'is no .npy file of objects'):
        read_object_array(tmp_path / 'x.npy', 'x')
