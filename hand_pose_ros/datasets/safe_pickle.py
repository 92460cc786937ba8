"""Foreign pickles and object arrays read as plain data; nothing in them is executed.

Admitted are numpy arrays and scalars, dict, list, tuple, str, numbers, bool and None.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.datasets.files import require
from hand_pose_ros.errors import DataError
from hand_pose_ros.inert_pickle import (
    NUMPY,
    Inert,
    InertArray,
    InertFunction,
    InertType,
    InertUnpickler,
    array_of,
    dtype_of,
)

MAXIMUM_BYTES = 16 * 1024**3
_MAXIMUM_DEPTH = 40
_PLAIN = (str, int, float, bool, type(None))


class _Scalar(Inert):
    """A numpy scalar: its type and bytes."""


class _Buffer(Inert):
    """An array as protocol 5 writes it: bytes, type, shape, order."""


def _scalar(*arguments: Any) -> _Scalar:
    return _Scalar(*arguments)


def _buffer(*arguments: Any) -> _Buffer:
    return _Buffer(*arguments)


_ALLOWED: dict[tuple[str, str], Any] = {
    **NUMPY,
    ('numpy.core.multiarray', 'scalar'): InertFunction(_scalar),
    ('numpy._core.multiarray', 'scalar'): InertFunction(_scalar),
    ('numpy.core.numeric', '_frombuffer'): InertFunction(_buffer),
    ('numpy._core.numeric', '_frombuffer'): InertFunction(_buffer),
}


def read_pickle(path: Path, origin: str) -> Any:
    """Return the plain content of a pickle.

    Args:
        path: the file.
        origin: where the data set is obtained, for the message.

    Raises:
        DataError: the file is missing, or holds anything but plain data; nothing in it was run.
    """
    return _plain_content(_bytes(path, origin), path)


def read_object_array(path: Path, origin: str) -> Any:
    """Return the plain content of an ``.npy`` file that holds one pickled object.

    Arguments and errors as in ``read_pickle``.
    """
    content = _bytes(path, origin)
    start = _header_length(content, path)
    loaded = _plain_content(content[start:], path)
    return loaded.item() if isinstance(loaded, np.ndarray) and loaded.shape == () else loaded


def _bytes(path: Path, origin: str) -> bytes:
    require(path, origin)
    if path.stat().st_size > MAXIMUM_BYTES:
        raise DataError(f'{path} is larger than any label file: obtain it from {origin}')
    return path.read_bytes()


def _header_length(content: bytes, path: Path) -> int:
    """Return where the pickle starts in a ``.npy`` file of objects."""
    version = content[6:7]
    width = 2 if version == b'\x01' else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], 'little')
    header = content[8 + width : start]
    if content[:6] != b'\x93NUMPY' or b"'descr': '|O'" not in header:
        raise DataError(f'{path} is no .npy file of objects: obtain it again')
    return start


def _plain_content(content: bytes, path: Path) -> Any:
    try:
        return _Plain().of(InertUnpickler(content, _ALLOWED).load())
    except Exception as error:  # a hostile stream can make the parser raise anything
        raise DataError(
            f'{path} was refused and nothing in it was run ({error}): obtain it again'
        ) from error


class _Plain:
    """Replaces stand-ins by arrays and scalars and refuses what is no plain data."""

    def __init__(self) -> None:
        # What a stream refers to many times is made once, or small files could fill the memory.
        self._made: dict[int, Any] = {}

    def of(self, value: Any, depth: int = 0) -> Any:
        """Return the plain data of what was parsed."""
        if isinstance(value, _PLAIN):
            return value
        if depth > _MAXIMUM_DEPTH:
            raise pickle.UnpicklingError('it nests too deeply')
        if id(value) not in self._made:
            self._made[id(value)] = self._make(value, depth + 1)
        return self._made[id(value)]

    def _make(self, value: Any, depth: int) -> Any:
        if type(value) is dict:
            return {self.of(key, depth): self.of(item, depth) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.of(item, depth) for item in value)
        if isinstance(value, InertArray):
            return self._array(value, depth)
        if isinstance(value, _Buffer):
            content, kind, shape, order = value.arguments
            flat = np.frombuffer(bytes(content), dtype_of(kind))
            return flat.reshape(tuple(shape), order=order)
        if isinstance(value, _Scalar):
            kind, content = value.arguments
            content = content.encode('latin1') if isinstance(content, str) else content
            return np.frombuffer(content, dtype_of(kind))[0]
        raise pickle.UnpicklingError(f'it holds {type(value).__name__}, which is not plain data')

    def _array(self, value: InertArray, depth: int) -> Any:
        """Build an array; one of objects holds plain data."""
        _, shape, kind, fortran, content = value.state
        if not (isinstance(kind, InertType) and kind.arguments[:1] == ('O8',)):
            return array_of(value)
        flat = np.empty(len(content), dtype=object)
        for place, item in enumerate(content):
            flat[place] = self.of(item, depth)
        return flat.reshape(tuple(shape), order='F' if fortran else 'C')
