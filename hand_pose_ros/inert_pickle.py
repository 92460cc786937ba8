"""Pickles parsed with stand-ins for numpy's types: nothing that a file names is ever run."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Kinds of numbers and text an array may hold.
_NUMBERS = frozenset('biuf')
_TEXT = frozenset('US')


class Inert:
    """Stands in for a class named in the pickle: it keeps arguments and state, and does nothing."""

    arguments: tuple[Any, ...] = ()
    state: Any = None

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


class InertArray(Inert):
    """An ndarray."""


class InertType(Inert):
    """A dtype."""


class InertFunction:
    """Stands in for a function named in the pickle, and cannot be altered by the stream."""

    __slots__ = ('_call',)

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        """Make the stand-in."""
        return self._call(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError('it sets the state of a function')


def _reconstruct_array(*_: Any) -> InertArray:
    return InertArray()


def _encode(text: Any, encoding: Any = 'latin1') -> bytes:
    """Return the bytes that protocol 2 writes as text."""
    if not (isinstance(text, str) and encoding == 'latin1'):
        raise pickle.UnpicklingError('it encodes something that is not latin1 text')
    return text.encode('latin1')


# What pickled arrays name, in all versions of numpy.
NUMPY: dict[tuple[str, str], Any] = {
    ('_codecs', 'encode'): InertFunction(_encode),
    ('numpy', 'dtype'): InertType,
    ('numpy', 'ndarray'): InertArray,
    ('numpy.core.multiarray', '_reconstruct'): InertFunction(_reconstruct_array),
    ('numpy._core.multiarray', '_reconstruct'): InertFunction(_reconstruct_array),
}


class InertUnpickler(pickle.Unpickler):
    """Reads a stream with stand-ins for the names it is given and refuses every other."""

    def __init__(self, content: bytes, allowed: Mapping[tuple[str, str], Any]) -> None:
        """Prepare to read ``content``; ``allowed`` maps (module, name) to stand-ins."""
        super().__init__(io.BytesIO(content), encoding='latin1')
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class or function."""
        if (module, name) in self._allowed:
            return self._allowed[module, name]
        raise pickle.UnpicklingError(f'it names {module}.{name}, which is not admitted')


def array_of(value: InertArray) -> NDArray[Any]:
    """Build an array of numbers or text from the state numpy pickles; ValueError if it is none."""
    _, shape, kind, fortran, content = value.state
    dtype = dtype_of(kind)
    if isinstance(content, str):
        content = content.encode('latin1')
    if not isinstance(content, bytes):
        raise ValueError('its content is not bytes')
    flat = np.frombuffer(content, dtype)
    return flat.reshape(tuple(shape), order='F' if fortran else 'C')


def dtype_of(kind: Any) -> np.dtype[Any]:
    """Build a plain type from the arguments and state numpy pickles; ValueError if it is none."""
    if not isinstance(kind, InertType) or not kind.arguments:
        raise ValueError('its type is unknown')
    code = kind.arguments[0]
    if not isinstance(code, str) or not code[1:].isdigit() or len(code) > 6:
        raise ValueError(f'its type {code!r} is not a number')
    if code[0] not in _TEXT and (code[0] not in _NUMBERS or len(code) > 3):
        raise ValueError(f'its type {code!r} is not a number')
    order = kind.state[1] if kind.state else '='
    return np.dtype(order + code) if order in ('<', '>') else np.dtype(code)
