"""ThermoHands: MEPE, MEPE-RA, PCK and AUC of two hands, every grid stated with its number.

Source: methods specification, section 1.6.
"""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.evaluation import metrics
from hand_pose_ros.evaluation.results import Curve, ProtocolResult, Row, Table
from hand_pose_ros.skeleton import JOINT_NAMES, SIDES

Array = NDArray[np.float64]

_GRIDS = (
    ('camera space', metrics.CAMERA_SPACE),
    ('camera space', metrics.SINGLE_HAND),
    ('wrist-aligned', metrics.ROOT_ALIGNED),
)
_PCK = (0.010, 0.020, 0.030, 0.040, 0.050)
_COLUMNS = (*SIDES, 'mean of both')


def grid_name(grid: metrics.ThresholdGrid) -> str:
    """Return how a grid is written beside its number."""
    step = grid.maximum / (grid.count - 1) * 1e3
    return f'0-{grid.maximum * 1e3:g} mm, {grid.count} thresholds, step {step:g} mm'


def evaluate_thermohands(
    predicted: Array, truth: Array, not_padding: Array | None = None, *,
    title: str = 'ThermoHands', conditions: dict[str, str] | None = None,
) -> ProtocolResult:  # fmt: skip
    """Measure both hands, each side by itself and the mean of the two.

    Args:
        predicted: joints (N, 2, 21, 3), sides left and right, metres in the camera's frame; NaN
            where a hand was not found: it is left out of the errors and counted.
        truth: the same, NaN where not labelled.
        not_padding: (N,), frames to use are above 0.5; all if None.
        title: of the result.
        conditions: what else to state.
    """
    if not_padding is not None:
        keep = np.asarray(not_padding) > 0.5
        predicted, truth = predicted[keep], truth[keep]
    camera = [metrics.joint_errors(predicted[:, side], truth[:, side]) for side in range(2)]
    aligned = [
        metrics.joint_errors(
            metrics.root_aligned(predicted[:, side]), metrics.root_aligned(truth[:, side])
        )
        for side in range(2)
    ]
    counts = _counts(predicted, truth)
    rows = _rows(camera, aligned, counts)
    spaces = {'camera space': camera, 'wrist-aligned': aligned}
    headline = dict(
        zip(
            ('mepe_mm', 'mepe_ra_mm', 'auc_camera_0_90', 'auc_camera_0_80', 'auc_aligned_0_50'),
            (row.values[-1] for row in rows),
            strict=False,
        )
    )
    return ProtocolResult(
        protocol='thermohands',
        title=title,
        conditions={
            **(conditions or {}),
            'frames': str(len(truth)),
            'hands': ', '.join(
                f'{side}: {a} of {b} found' for side, (a, b) in zip(SIDES, counts, strict=True)
            ),
            'means': 'each joint over its frames, then over joints, then over sides',
            'missing': 'a hand without label or prediction is left out of the errors',
        },
        headline=headline,
        tables=(
            Table(title='Two hands', columns=_COLUMNS, rows=tuple(rows)),
            *(_pck_table(name, errors) for name, errors in spaces.items()),
        ),
        curves=tuple(
            _curve(f'{side}, {name}', errors[number], grid)
            for name, errors, grid in (
                ('camera space', camera, metrics.CAMERA_SPACE),
                ('wrist-aligned', aligned, metrics.ROOT_ALIGNED),
            )
            for number, side in enumerate(SIDES)
        ),
        joints=_per_joint(np.concatenate(camera)),
    )


def _rows(camera: list[Array], aligned: list[Array], counts: list[tuple[int, int]]) -> list[Row]:
    """Errors, areas and hands found; ``camera`` and ``aligned`` are errors (N, J) by side."""
    rows = [
        _row('MEPE, 21 joints, camera space', 'mm', [_mean_mm(errors) for errors in camera]),
        _row('MEPE-RA, 20 joints, wrist-aligned', 'mm', [_mean_mm(errors) for errors in aligned]),
    ]
    for space, grid in _GRIDS:
        sides = aligned if space == 'wrist-aligned' else camera
        values = [metrics.auc(errors, grid) for errors in sides]
        rows.append(_row(f'AUC, {space}, {grid_name(grid)}', '', values, digits=3))
    shares = [100.0 * found / labelled if labelled else np.nan for found, labelled in counts]
    return [*rows, _row('labelled hands found', '%', shares)]


def _counts(predicted: Array, truth: Array) -> list[tuple[int, int]]:
    """By side, how many labelled hands were found and how many there are."""
    labelled = _present(truth)
    found = labelled & _present(predicted)
    return [(int(found[:, side].sum()), int(labelled[:, side].sum())) for side in range(2)]


def _pck_table(space: str, sides: list[Array]) -> Table:
    shares = [_share(errors, np.array(_PCK)) for errors in sides]
    rows = [
        _row(f't = {t * 1e3:g} mm', '%', [share[number] for share in shares])
        for number, t in enumerate(_PCK)
    ]
    return Table(title=f'PCK, {space}: joints within t', columns=_COLUMNS, rows=tuple(rows))


def _row(name: str, unit: str, sides: list[float], digits: int = 2) -> Row:
    known = [value for value in sides if np.isfinite(value)]
    both = float(np.mean(known)) if known else float('nan')
    return Row(name=name, unit=unit, values=(*map(float, sides), both), digits=digits)


def _present(joints: Array) -> NDArray[np.bool_]:
    """Which hands (N, 2) have a joint."""
    complete = np.asarray(np.isfinite(joints).all(axis=-1))
    return np.asarray(complete.any(axis=-1))


def _mean_mm(errors: Array) -> float:
    return 1e3 * metrics.mean_joint_error(errors)


def _share(errors: Array, thresholds: Array) -> Array:
    """Per cent of the joints within thresholds: per joint first, then over joints."""
    curves = metrics.pck(errors, thresholds)
    curves = curves[np.isfinite(curves).all(axis=1)]
    return 100.0 * curves.mean(axis=0) if len(curves) else np.full(len(thresholds), np.nan)


def _curve(name: str, errors: Array, grid: metrics.ThresholdGrid) -> Curve:
    return Curve(
        name=name, thresholds=grid.thresholds * 1e3, percent=_share(errors, grid.thresholds)
    )


def _per_joint(errors: Array) -> dict[str, float]:
    known = np.isfinite(errors)
    sums = np.where(known, errors, 0.0).sum(axis=0) * 1e3
    counts = known.sum(axis=0)
    return {
        name: float(total / count) if count else float('nan')
        for name, total, count in zip(JOINT_NAMES, sums, counts, strict=True)
    }
