"""NYU, ICVL and MSRA: mean joint error and success rates of joints given as (u, v, depth) text.

The format is that of the comparisons of single-hand depth methods: one frame a line, u and v in
pixels and depth in mm for each joint, separated by blanks; ``.gz`` may be compressed.
Source: methods specification, sections 3.2, 3.7 and 3.8.
"""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.metrics import joint_errors, pck
from hand_pose_ros.evaluation.results import Curve, ProtocolResult, Row, Table

Array = NDArray[np.float64]

_GZIP = b'\x1f\x8b'
_MOST_BYTES = 256 << 20
_FAR = 1e6
# Thresholds of the published curves are integers; the DenseReg repository's own are 5k + 0.5 mm.
WORST_JOINT = (10, 15, 20, 25, 30, 40, 50, 60, 80)
FRAME_MEAN = (5, 10, 15, 20, 30, 40)
_CURVE = np.arange(81, dtype=np.float64) * 1e-3


@dataclass(frozen=True, kw_only=True)
class DepthProtocol:
    """A data set of single hands and the camera constants its comparison uses.

    Attributes:
        name: of the protocol.
        title: of the data set.
        joints: J.
        frames: of the test set.
        fx, fy, cx, cy: pinhole camera, pixels; fy is negative where y points up.
    """

    name: str
    title: str
    joints: int
    frames: int
    fx: float
    fy: float
    cx: float
    cy: float


DEPTH_PROTOCOLS = {
    'nyu': DepthProtocol(
        name='nyu', title='NYU', joints=14, frames=8252, fx=588.03, fy=-587.07, cx=320, cy=240
    ),
    'icvl': DepthProtocol(
        name='icvl', title='ICVL', joints=16, frames=1596, fx=240.99, fy=240.96, cx=160, cy=120
    ),
    'msra': DepthProtocol(
        name='msra', title='MSRA', joints=21, frames=76375, fx=241.42, fy=241.42, cx=160, cy=120
    ),
}


def read_uvd(path: Path, protocol: DepthProtocol) -> Array:
    """Read joints (N, J, 3) as u, v in pixels and depth in mm.

    Raises:
        DataError: the file is missing, damaged, or holds another number of joints.
    """
    values = 3 * protocol.joints
    rows = []
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        if len(words) != values:
            raise DataError(
                f'{path} line {number} has {len(words)} values, {protocol.title} has '
                f'{protocol.joints} joints and needs {values} (u, v, depth of each): choose the '
                'protocol of that file'
            )
        try:
            row = [float(word) for word in words]
        except ValueError as error:
            raise DataError(
                f'{path} line {number} holds something that is no number ({error}): export it again'
            ) from None
        if not np.isfinite(row).all():
            raise DataError(
                f'{path} line {number} holds {np.array(row)[~np.isfinite(row)][0]}: every frame '
                'counts here, so fill in the best guess'
            )
        rows.append(row)
    if not rows:
        raise DataError(f'{path} has no frames: export it again')
    return np.array(rows).reshape(-1, protocol.joints, 3)


def to_points(uvd: Array, protocol: DepthProtocol) -> Array:
    """Back-project (N, J, 3) of u, v, depth in mm to metres in the camera's frame."""
    depth = uvd[..., 2] * 1e-3
    x = (uvd[..., 0] - protocol.cx) / protocol.fx * depth
    y = (uvd[..., 1] - protocol.cy) / protocol.fy * depth
    return np.stack([x, y, depth], axis=-1)


def evaluate_files(predictions: Path, ground_truth: Path, name: str) -> ProtocolResult:
    """Compare two files of (u, v, depth) text.

    Args:
        predictions: one frame a line.
        ground_truth: the same frames.
        name: of ``DEPTH_PROTOCOLS``.

    Raises:
        DataError: a file cannot be used, or they do not have the same frames.
    """
    protocol = DEPTH_PROTOCOLS[name]
    predicted, truth = (read_uvd(path, protocol) for path in (predictions, ground_truth))
    if len(predicted) != len(truth):
        raise DataError(
            f'{predictions} has {len(predicted)} frames and {ground_truth} {len(truth)}: give '
            'predictions of exactly these frames'
        )
    conditions = {
        'camera': f'fx {protocol.fx}, fy {protocol.fy}, cx {protocol.cx:g}, cy {protocol.cy:g} px',
        'frames': f'{len(truth)} of {protocol.frames} in the test set',
    }
    return evaluate_points(
        to_points(predicted, protocol), to_points(truth, protocol), protocol=name,
        title=f'{protocol.title}, {protocol.joints} joints', conditions=conditions,
    )  # fmt: skip


def evaluate_points(
    predicted: Array, truth: Array, *, protocol: str, title: str, conditions: dict[str, str],
    joint_names: tuple[str, ...] | None = None, visible: NDArray[np.bool_] | None = None,
) -> ProtocolResult:  # fmt: skip
    """Measure joints (N, J, 3) in metres the way of these data sets.

    A joint without prediction has no error in the mean and misses every threshold; one without
    label takes no part.

    Args:
        predicted: NaN where nothing was found.
        truth: NaN where not labelled.
        protocol: name of the result.
        title: for people.
        conditions: what else to state.
        joint_names: J names; numbers if None.
        visible: (N, J), to measure the joints the camera sees by themselves as well.
    """
    labelled = np.asarray(np.isfinite(truth).all(axis=-1))
    kept = np.asarray(labelled.any(axis=1))
    errors, labelled = joint_errors(predicted, truth)[kept], labelled[kept]
    seen = {} if visible is None else {'visible_error_mm': _mean_mm(errors[visible[kept]])}
    found = np.isfinite(errors)
    counted = np.where(found, errors, np.where(labelled, _FAR, np.nan))
    ways = {
        'worst joint': np.nanmax(counted, axis=1, initial=0.0),
        'frame mean': _means(counted, axis=1),
        'single joint': counted[labelled],
    }
    names = joint_names or tuple(f'joint {number}' for number in range(truth.shape[1]))
    near, far = _percent(ways['worst joint'], np.array([0.02, 0.04]))
    headline = {'mean_error_mm': _mean_mm(errors), **seen}
    return ProtocolResult(
        protocol=protocol,
        title=title,
        conditions={**conditions, 'thresholds': 'error <= D, D in whole millimetres'},
        headline={**headline, 'worst_joint_20_mm': near, 'worst_joint_40_mm': far},
        tables=(
            _error_table(errors, headline, int(labelled.sum())),
            _success_table('Worst joint of a frame within D', WORST_JOINT, ways, ('worst joint',)),
            _success_table(
                'Mean of a frame, and single joints, within D', FRAME_MEAN, ways,
                ('frame mean', 'single joint'),
            ),
        ),
        curves=tuple(
            Curve(name=name, thresholds=_CURVE * 1e3, percent=np.array(_percent(values, _CURVE)))
            for name, values in ways.items()
        ),
        joints=dict(zip(names, (_means(errors, axis=0) * 1e3).tolist(), strict=True)),
    )  # fmt: skip


def _error_table(errors: Array, means: dict[str, float], labelled: int) -> Table:
    found = errors[np.isfinite(errors)]
    median = float(np.median(found)) * 1e3 if found.size else float('nan')
    share = 100.0 * found.size / max(labelled, 1)
    names = {'mean_error_mm': 'mean joint error', 'visible_error_mm': 'of visible joints'}
    rows = (
        *(
            Row(name=names[key], unit='mm', values=(value,), digits=3)
            for key, value in means.items()
        ),
        Row(name='median joint error', unit='mm', values=(median,)),
        Row(name='frames', unit='', values=(float(len(errors)),), digits=0),
        Row(name='joints found', unit='%', values=(share,)),
    )
    return Table(title='Error', columns=('value',), rows=rows)


def _success_table(
    title: str, thresholds: tuple[int, ...], ways: dict[str, Array], members: tuple[str, ...]
) -> Table:
    limits = np.array(thresholds) * 1e-3
    return Table(
        title=title,
        columns=tuple(f'{threshold} mm' for threshold in thresholds),
        rows=tuple(
            Row(name=name, unit='%', values=_percent(ways[name], limits)) for name in members
        ),
    )


def _percent(errors: Array, thresholds: Array) -> tuple[float, ...]:
    """Share of errors (M,) within thresholds (T,), both metres."""
    return tuple((100.0 * pck(errors[:, None], thresholds)[0]).tolist())


def _mean_mm(errors: Array) -> float:
    """Mean of all errors that are there, in mm."""
    return float(_means(errors.reshape(1, -1), axis=1)[0]) * 1e3


def _means(errors: Array, axis: int) -> Array:
    """Mean of what is there along an axis; NaN where nothing is."""
    known = np.isfinite(errors)
    count = known.sum(axis=axis)
    total = np.where(known, errors, 0.0).sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def _text(path: Path) -> str:
    """Return the text of a file, decompressed if it is gzip.

    Raises:
        DataError: it is missing, damaged, too large or not text.
    """
    try:
        with path.open('rb') as file:
            packed = file.read(2) == _GZIP
        if path.suffix == '.gz' and not packed:
            raise DataError(f'{path} is not gzip in spite of its name: rename it or get it again')
        with gzip.open(path, 'rb') if packed else path.open('rb') as file:
            content = file.read(_MOST_BYTES + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f'{path} is a damaged gzip file ({error}): get it again') from error
    except OSError as error:
        raise DataError(f'{path} cannot be read ({error.strerror}): check the path') from error
    if len(content) > _MOST_BYTES:
        raise DataError(f'{path} unpacks to more than 256 MiB: this is no file of joints')
    try:
        return content.decode('ascii')
    except UnicodeDecodeError:
        raise DataError(
            f'{path} is not text: give one frame a line, u v depth of each joint'
        ) from None
