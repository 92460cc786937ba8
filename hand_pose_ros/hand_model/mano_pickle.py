"""Convert an official MANO pickle to npz; the pickle is parsed, and nothing in it is executed."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ModelError
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.inert_pickle import (
    NUMPY,
    Inert,
    InertArray,
    InertFunction,
    InertUnpickler,
    array_of,
)

MAXIMUM_BYTES = 128 * 1024 * 1024
MAXIMUM_DEPTH = 20
# Finger tip vertices of MANO's mesh, thumb to little (smplx's choice).
MANO_TIPS = (744, 320, 443, 554, 671)
MANO_VERTICES = 778
MANO_LICENCE = (
    'MANO (Romero, Tzionas, Black 2017), converted from the official file: registration, '
    'non-commercial use, no redistribution'
)


class _Sparse(Inert):
    """A scipy.sparse.csc_matrix."""


class _Expression(Inert):
    """A chumpy object."""


def _reconstruct_object(kind: Any, *_: Any) -> Inert:
    """Make a stand-in as copyreg would make the object."""
    if not (isinstance(kind, type) and issubclass(kind, Inert)):
        raise pickle.UnpicklingError('it reconstructs an object of an unknown class')
    return kind()


_ALLOWED: dict[tuple[str, str], Any] = {
    **NUMPY,
    ('copy_reg', '_reconstructor'): InertFunction(_reconstruct_object),
    ('copyreg', '_reconstructor'): InertFunction(_reconstruct_object),
    ('__builtin__', 'object'): Inert,
    ('builtins', 'object'): Inert,
    ('scipy.sparse.csc', 'csc_matrix'): _Sparse,
    ('scipy.sparse._csc', 'csc_matrix'): _Sparse,
}


class _ManoUnpickler(InertUnpickler):
    """Also has stand-ins for chumpy's classes, whatever their names."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class or function."""
        if module == 'chumpy' or module.startswith('chumpy.'):
            return _Expression
        return super().find_class(module, name)


def convert_mano(source: str | Path, target: str | Path) -> Path:
    """Convert an official ``MANO_RIGHT.pkl`` or ``MANO_LEFT.pkl`` to an npz for this package.

    The side is read from the file name. The pickle is read by an unpickler that knows stand-ins
    for numpy arrays, scipy.sparse and chumpy only: a file that names anything else is refused.

    Returns:
        The path written.

    Raises:
        ModelError: the source is missing, unsafe, or not a MANO hand.
    """
    source, target = Path(source), Path(target)
    sides = [side for side in ('left', 'right') if side in source.stem.lower()]
    if len(sides) != 1:
        raise ModelError(
            f"cannot tell the hand's side from the name {source.name}: call the file "
            'MANO_RIGHT.pkl or MANO_LEFT.pkl'
        )
    if target.suffix != '.npz':
        raise ModelError(f'{target} must end in .npz')
    arrays = _mano_arrays(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f'.{target.stem}.part.npz')
    try:
        arrays.update(side=np.array(sides[0]), licence=np.array(MANO_LICENCE))
        np.savez_compressed(temporary, allow_pickle=False, **arrays)
        load_hand_model('right', temporary)
        temporary.replace(target)
    except ModelError as error:
        raise ModelError(f'{source} is not a MANO hand: {error}') from error
    except OSError as error:
        raise ModelError(f'cannot write {target} ({error}): choose another place') from error
    finally:
        temporary.unlink(missing_ok=True)
    return target


def _mano_arrays(source: Path) -> dict[str, NDArray[Any]]:
    """Read the arrays the npz needs from a MANO pickle."""
    content = _unpickle(source)
    if not isinstance(content, dict):
        raise ModelError(f'{source} holds no dictionary: give the official MANO pickle')
    keys = ('v_template', 'f', 'shapedirs', 'posedirs', 'J_regressor', 'weights', 'kintree_table',
            'hands_mean')  # fmt: skip
    missing = [key for key in keys if key not in content]
    if missing:
        raise ModelError(f'{source} lacks {", ".join(missing)}: give the official MANO pickle')
    try:
        arrays = {key: _materialise(content[key]) for key in keys}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        raise ModelError(
            f'{source} holds a malformed array ({error}): download it again'
        ) from error
    arrays['hands_mean'] = arrays['hands_mean'].ravel()
    if arrays['shapedirs'].ndim == 3:
        arrays['shapedirs'] = arrays['shapedirs'][..., :10]
    if len(arrays['v_template']) != MANO_VERTICES:
        raise ModelError(
            f'{source} has {len(arrays["v_template"])} vertices, MANO has {MANO_VERTICES}: '
            'give the official MANO pickle'
        )
    arrays['tips'] = np.array(MANO_TIPS, np.int32)
    return arrays


def _unpickle(source: Path) -> Any:
    """Parse the pickle into plain containers and stand-ins."""
    if not source.is_file():
        raise ModelError(
            f'{source} does not exist: download it from the MANO site after registering'
        )
    if source.stat().st_size > MAXIMUM_BYTES:
        raise ModelError(f'{source} is larger than any MANO file: give the official MANO pickle')
    try:
        return _ManoUnpickler(source.read_bytes(), _ALLOWED).load()
    except Exception as error:  # a hostile stream can make the parser raise anything
        raise ModelError(
            f'{source} was refused and nothing in it was run ({error}): '
            'give the official MANO pickle'
        ) from error


def _materialise(value: Any, depth: int = 0) -> NDArray[Any]:
    """Turn a stand-in into a numeric array."""
    if depth > MAXIMUM_DEPTH:
        raise ValueError('it nests too deeply')
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, InertArray):
        return array_of(value)
    if isinstance(value, _Sparse):
        return _dense(value.state, depth)
    if isinstance(value, _Expression) and isinstance(value.state, dict):
        state = value.state
        if 'x' in state:
            return _materialise(state['x'], depth + 1)
        if 'a' in state and 'idxs' in state:  # chumpy's Select: a picked part of another array
            picked = _materialise(state['a'], depth + 1).ravel()
            picked = picked[_materialise(state['idxs'], depth + 1).ravel()]
            return picked.reshape(state.get('preferred_shape', picked.shape))
    raise ValueError(f'{type(value).__name__.lstrip("_")} is not an array')


def _dense(state: Any, depth: int) -> NDArray[Any]:
    """Build a dense array from the state of a csc_matrix."""
    if not isinstance(state, dict):
        raise ValueError('a sparse matrix has no state')
    rows, columns = (int(size) for size in state['_shape' if '_shape' in state else 'shape'])
    if not 0 < rows * columns < 10_000_000:
        raise ValueError(f'a sparse matrix of {rows} x {columns} is not part of a hand')
    data, indices, starts = (
        _materialise(state[key], depth + 1) for key in ('data', 'indices', 'indptr')
    )
    if len(starts) != columns + 1 or len(indices) != len(data):
        raise ValueError('a sparse matrix has inconsistent parts')
    dense = np.zeros((rows, columns))
    column = np.repeat(np.arange(columns), np.diff(starts))
    if len(column) != len(data) or (len(indices) and indices.min() < 0):
        raise ValueError('a sparse matrix has inconsistent parts')
    np.add.at(dense, (indices, column), data)
    return dense
