"""Hand model files: the shipped free hand and converted MANO files, read without unpickling."""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ModelError
from hand_pose_ros.skeleton import Side

Array = NDArray[np.float64]

SHIPPED = Path(__file__).parents[1] / 'assets' / 'hand_right.npz'
JOINTS = 16
SHAPES = 10
MAXIMUM_BYTES = 256 * 1024 * 1024
REQUIRED = ('v_template', 'f', 'shapedirs', 'J_regressor', 'weights', 'kintree_table', 'tips',
            'side', 'licence')  # fmt: skip
OPTIONAL = ('posedirs', 'joint_axes', 'joint_limits', 'hands_mean')

# A mirror image about x keeps axis-angle component x and negates y and z.
MIRROR_POINTS = np.array([-1.0, 1.0, 1.0])
MIRROR_ROTATIONS = np.array([1.0, -1.0, -1.0])

# Axis-angle limits of MANO's right hand in rad, joints x (x, y, z) x (min, max), in MANO's finger
# order. Source: methods specification 1.9 (the ThermoHands annotator).
_MANO_LIMITS = (
    ((-0.45, 0), (-0.2, 0.2), (0, 2)), ((-0.3, 0.3), (0, 0), (0, 2)), ((0, 0), (0, 0), (0, 1.25)),
    ((0, 0), (-0.2, 0.2), (0, 2)), ((-0.3, 0.3), (0, 0), (0, 2)), ((0, 0), (0, 0), (0, 1.25)),
    ((-1.5, 0.5), (-0.6, 0.6), (0, 2)), ((-0.3, 0.3), (0, 0), (0, 2)), ((0, 0), (0, 0), (0, 1.25)),
    ((-0.5, 0.5), (-0.4, 0.4), (0, 2)), ((-0.3, 0.3), (0, 0), (0, 2)), ((0, 0), (0, 0), (0, 1.25)),
    ((0, 2), (-0.66, 0.83), (0, 0.5)), ((-0.3, 0.3), (-1, 1), (0, 1)), ((0, 0), (0, 0), (0, 1)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class HandModelData:
    """One hand in MANO's format; arrays are float64 unless said otherwise.

    Joints are MANO's 16: wrist, then three each of index, middle, little, ring, thumb.

    Attributes:
        v_template: (V, 3) rest vertices, metres. Right hand: fingers along -x, back of the hand
            +y, thumb side +z; a left hand is the mirror image about x.
        faces: (F, 3) int vertex indices, counter-clockwise seen from outside.
        shapedirs: (V, 3, 10) metres per unit of beta; betas are about N(0, 1).
        posedirs: (V, 3, 135) pose corrective directions; None when they are all zero.
        J_regressor: (16, V) joints from rest vertices.
        weights: (V, 16) skin weights, rows sum to 1.
        parents: (16,) int, -1 for the wrist.
        tips: (5,) int vertex of each finger tip, thumb to little.
        joint_axes: (15, 3, 3) rows = unit axes of twist, abduction and flexion of each joint in
            rest axes. Angles of an axis-angle vector r are ``axes @ r``, the same for both sides.
        joint_limits: (15, 3, 2) rad, limits (min, max) of those three angles.
        hands_mean: (15, 3) MANO's mean pose, which some labels leave out; zeros without one.
        side: the physical hand.
        licence: what the file's maker says about its use.
    """

    v_template: Array
    faces: NDArray[np.int32]
    shapedirs: Array
    posedirs: Array | None
    J_regressor: Array
    weights: Array
    parents: NDArray[np.int32]
    tips: NDArray[np.int32]
    joint_axes: Array
    joint_limits: Array
    hands_mean: Array
    side: Side
    licence: str


def load_hand_model(
    side: Side = 'right', path: str | Path | None = None, *, fix_left_shape: bool = False
) -> HandModelData:
    """Load a hand model from an npz in MANO's layout; nothing in the file is executed.

    Args:
        side: hand wanted; a file of the other side is mirrored.
        path: model file; the shipped free hand when None.
        fix_left_shape: negate x of the first shape direction of a left MANO file, whose sign is
            wrong in the official release (vchoutas/smplx#48). Leave it off for betas that were
            fitted with the fault (ARCTIC).

    Raises:
        ModelError: the file is missing, not an npz, or its arrays do not make a hand.
    """
    if side not in ('left', 'right'):
        raise ModelError(f"hand side {side!r} is unknown: use 'left' or 'right'")
    file = SHIPPED if path is None else Path(path)
    data = _hand(_read(file), file)
    if fix_left_shape:
        if data.side != 'left':
            raise ModelError(f'{file} holds a right hand: fix_left_shape is only for left files')
        shapedirs = data.shapedirs.copy()
        shapedirs[:, 0, 0] *= -1
        data = replace(data, shapedirs=shapedirs)
    return data if data.side == side else mirrored(data)


def joint_limits(side: Side = 'right') -> Array:
    """Return limits (15, 3, 2) of the shipped hand, rad: (twist, abduction, flexion) x (min, max).

    They hold for the angles ``joint_axes(side) @ axis_angle``; both sides have the same numbers.
    """
    return load_hand_model(side).joint_limits


def joint_axes(side: Side = 'right') -> Array:
    """Return the shipped hand's axes (15, 3, 3): rows twist, abduction, flexion in rest axes."""
    return load_hand_model(side).joint_axes


def mirrored(data: HandModelData) -> HandModelData:
    """Return the mirror image about x: the hand of the other side with the same betas.

    The mirror image of a pose has its axis-angle components y and z negated.
    """
    posedirs = data.posedirs
    if posedirs is not None:
        # Entry (i, j) of R - I changes sign when exactly one of i, j is x.
        signs = np.outer(MIRROR_POINTS, MIRROR_POINTS).ravel()
        posedirs = posedirs * MIRROR_POINTS[:, None] * np.tile(signs, JOINTS - 1)
    return replace(
        data,
        v_template=data.v_template * MIRROR_POINTS,
        faces=np.ascontiguousarray(data.faces[:, ::-1]),
        shapedirs=data.shapedirs * MIRROR_POINTS[:, None],
        posedirs=posedirs,
        joint_axes=data.joint_axes * MIRROR_ROTATIONS,
        hands_mean=data.hands_mean * MIRROR_ROTATIONS,
        side='left' if data.side == 'right' else 'right',
    )


def _read(file: Path) -> dict[str, NDArray[Any]]:
    """Read the known arrays of an npz, refusing objects and absurd sizes."""
    if not file.is_file():
        raise ModelError(f'hand model {file} does not exist: leave the path out for the free hand')
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAXIMUM_BYTES:
            raise ModelError(f'hand model {file} unpacks to {size} bytes: that is no hand model')
        with np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in REQUIRED + OPTIONAL if key in archive}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise ModelError(
            f'hand model {file} is not a readable npz ({error}): make it again with convert_mano '
            'or scripts/make_hand_model.py'
        ) from error


def _hand(arrays: dict[str, NDArray[Any]], file: Path) -> HandModelData:
    """Check every array and build the model."""
    missing = [key for key in REQUIRED if key not in arrays]
    if missing:
        raise ModelError(f'hand model {file} lacks {", ".join(missing)}: convert the file again')
    count = len(np.atleast_1d(arrays['v_template']))
    shapes: dict[str, tuple[int | None, ...]] = {
        'v_template': (count, 3), 'f': (None, 3), 'shapedirs': (count, 3, SHAPES),
        'J_regressor': (JOINTS, count), 'weights': (count, JOINTS), 'kintree_table': (2, JOINTS),
        'tips': (5,), 'posedirs': (count, 3, 9 * (JOINTS - 1)), 'joint_axes': (JOINTS - 1, 3, 3),
        'joint_limits': (JOINTS - 1, 3, 2), 'hands_mean': (3 * (JOINTS - 1),),
        'side': (), 'licence': (),
    }  # fmt: skip
    for key, array in arrays.items():
        _check(array, shapes[key], key, file)
    side = str(arrays['side'])
    if side not in ('left', 'right'):
        raise ModelError(f"hand model {file}: side is {side!r}, must be 'left' or 'right'")
    parents = arrays['kintree_table'][0].astype(np.int64)
    parents[0] = -1
    if np.any(parents[1:] < 0) or np.any(parents[1:] >= np.arange(1, JOINTS)):
        raise ModelError(f'hand model {file}: kintree_table is no tree rooted at the wrist')
    for key in ('f', 'tips'):
        indices = arrays[key].astype(np.int64)
        if len(indices) == 0 or indices.min() < 0 or indices.max() >= count:
            raise ModelError(f'hand model {file}: {key} names vertices outside 0..{count - 1}')
    if not np.allclose(arrays['weights'].sum(1), 1, atol=1e-3):
        raise ModelError(f'hand model {file}: skin weights do not sum to 1')
    right = side == 'right'
    axes = arrays.get('joint_axes', np.tile(np.diag([1.0, *(2 * [1.0 if right else -1.0])]),
                                            (JOINTS - 1, 1, 1)))  # fmt: skip
    posedirs = arrays.get('posedirs')
    has_posedirs = posedirs is not None and bool(np.any(posedirs))
    return HandModelData(
        v_template=_float(arrays['v_template']),
        faces=arrays['f'].astype(np.int32),
        shapedirs=_float(arrays['shapedirs']),
        posedirs=_float(posedirs) if posedirs is not None and has_posedirs else None,
        J_regressor=_float(arrays['J_regressor']),
        weights=_float(arrays['weights']),
        parents=parents.astype(np.int32),
        tips=arrays['tips'].astype(np.int32),
        joint_axes=_float(axes),
        joint_limits=_float(arrays.get('joint_limits', np.array(_MANO_LIMITS))),
        hands_mean=_float(arrays.get('hands_mean', np.zeros(45))).reshape(-1, 3),
        side='right' if right else 'left',
        licence=str(arrays['licence']),
    )


def _check(array: NDArray[Any], shape: tuple[int | None, ...], key: str, file: Path) -> None:
    """Refuse an array of the wrong shape, type or with NaN."""
    fits = array.ndim == len(shape) and all(
        wanted in (None, size) for wanted, size in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple('any' if size is None else size for size in shape)
        raise ModelError(f'hand model {file}: {key} has shape {array.shape}, must be {wanted}')
    kinds = 'U' if key in ('side', 'licence') else 'fiu'
    if array.dtype.kind not in kinds:
        raise ModelError(f'hand model {file}: {key} has type {array.dtype}, must be numbers')
    if array.dtype.kind == 'f' and not np.isfinite(array).all():
        raise ModelError(f'hand model {file}: {key} contains NaN or Inf')


def _float(array: NDArray[Any]) -> Array:
    return np.ascontiguousarray(array, dtype=np.float64)
