"""ARCTIC and the data sets measured its way: MPJPE, MRRPE, PA-MPJPE and pixels.

Source: methods specification, section 2.8.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.metrics import joint_errors, pck, procrustes
from hand_pose_ros.evaluation.results import Curve, ProtocolResult, Row, Table
from hand_pose_ros.skeleton import JOINT_NAMES, SIDES, WRIST

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

_FRAME = 224.0
_LEAST_JOINTS = 3
_CURVE = np.linspace(0.0, 0.1, 41)


@dataclass(frozen=True, kw_only=True)
class ArcticProtocol:
    """A data set and what of the ARCTIC measures applies to it.

    Attributes:
        title: of the data set.
        first_labelled_root: the root is the first labelled joint instead of the wrist, and every
            hand with another labelled joint counts.
        joints_3d: whether it has 3D labels.
    """

    title: str
    first_labelled_root: bool = False
    joints_3d: bool = True


ARCTIC_PROTOCOLS = {
    'arctic': ArcticProtocol(title='ARCTIC, egocentric'),
    'h2o': ArcticProtocol(title='H2O'),
    'assemblyhands': ArcticProtocol(title='AssemblyHands'),
    'egoexo4d': ArcticProtocol(title='Ego-Exo4D', first_labelled_root=True),
    'epic': ArcticProtocol(title='Epic-HandKps', joints_3d=False),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class HandArrays:
    """Joints of two hands over N images, sides left and right; NaN where there is none.

    Attributes:
        joints: (N, 2, 21, 3) metres in the camera's frame, or None.
        pixels: (N, 2, 21, 2) in the image, or None.
    """

    joints: Array | None = None
    pixels: Array | None = None


def valid_hands(truth: HandArrays, image_size: tuple[int, int] | None) -> Flags:
    """Return the hands (N, 2) that count: the root and at least 3 joints are in the image.

    Without pixels or image size, being labelled takes the place of being in the image.

    Args:
        truth: labels.
        image_size: (width, height) in pixels.
    """
    seen: Flags = _labelled(truth)
    if truth.pixels is not None and image_size is not None:
        with np.errstate(invalid='ignore'):
            seen = seen & ((truth.pixels >= 0) & (truth.pixels < np.array(image_size))).all(axis=-1)
    return seen[..., WRIST] & (seen.sum(axis=-1) >= _LEAST_JOINTS)


def aligned_errors(predicted: Array, truth: Array, root: NDArray[np.int_]) -> Array:
    """Return the joint errors (N, 2, 21) in metres of hands moved to their roots, given (N, 2)."""
    index = root[..., None, None]
    aligned = [
        joints - np.take_along_axis(joints, np.broadcast_to(index, (*root.shape, 1, 3)), axis=2)
        for joints in (predicted, truth)
    ]
    return joint_errors(*aligned)


def hand_pa_mpjpe(predicted: Array, truth: Array) -> Array:
    """Return the error of hands (N, 2, 21, 3) after a similarity alignment each: (N, 2) metres."""
    result = np.full(truth.shape[:2], np.nan)
    known = np.asarray(np.isfinite(predicted + truth).all(axis=-1))
    for index in zip(*np.nonzero(known.sum(axis=-1) >= _LEAST_JOINTS), strict=True):
        source, target = predicted[index][known[index]], truth[index][known[index]]
        result[index] = np.linalg.norm(procrustes(source, target) - target, axis=-1).mean()
    return result


def mrrpe(predicted: Array, truth: Array, valid: Flags) -> Array:
    """Return the error of left relative to right wrist per image (N,); NaN unless both count."""
    difference = [joints[:, 0, WRIST] - joints[:, 1, WRIST] for joints in (predicted, truth)]
    error = np.linalg.norm(difference[0] - difference[1], axis=-1)
    return np.where(valid.all(axis=1), error, np.nan)


def pixel_errors(
    predicted: Array, truth: Array, valid: Flags, image_size: tuple[int, int]
) -> Array:
    """Return the 2D errors (N, 2, 21) in pixels of an image scaled to 224 on its longer side."""
    errors = np.linalg.norm(predicted - truth, axis=-1) * _FRAME / max(image_size)
    return np.where(valid[..., None], errors, np.nan)


def evaluate_arctic(
    predicted: HandArrays, truth: HandArrays, name: str = 'arctic', *,
    image_size: tuple[int, int] | None = None, title: str | None = None,
    conditions: dict[str, str] | None = None,
) -> ProtocolResult:  # fmt: skip
    """Measure two hands the way of ARCTIC: hands, then images, each by its own mean.

    Args:
        predicted: hands.
        truth: labels of the same images.
        name: of ``ARCTIC_PROTOCOLS``.
        image_size: (width, height) in pixels; needed for the rule of valid hands and 2D errors.
        title: of the result.
        conditions: what else to state.

    Raises:
        DataError: what the protocol needs is not there.
    """
    protocol = ARCTIC_PROTOCOLS[name]
    valid, root, rule = _counted(protocol, truth, image_size)
    rows: list[Row] = []
    headline: dict[str, float] = {}
    joints: dict[str, float] = {}
    curves: tuple[Curve, ...] = ()
    if protocol.joints_3d:
        if predicted.joints is None or truth.joints is None:
            raise DataError(f'{protocol.title} needs 3D joints in both files: add joints')
        aligned = aligned_errors(predicted.joints, truth.joints, root)
        aligned = np.where(valid[..., None], aligned, np.nan)
        rows, headline = _rows_3d(predicted.joints, truth.joints, valid, aligned)
        joints = dict(zip(JOINT_NAMES, (1e3 * _mean(aligned, axis=(0, 1))).tolist(), strict=True))
        curves = tuple(
            _curve(f'{side}, root-aligned', aligned[:, number]) for number, side in enumerate(SIDES)
        )
    if predicted.pixels is not None and truth.pixels is not None and image_size is not None:
        errors = pixel_errors(predicted.pixels, truth.pixels, valid, image_size)
        rows.append(_row('2D, 224 px frame, all valid joints', 'px', errors, _mean(errors, None)))
        headline['pixels_224'] = rows[-1].values[-1]
    elif not protocol.joints_3d:
        raise DataError(
            f'{protocol.title} is measured in pixels: give pixels in both files and --image-size'
        )
    found = _present(predicted.joints if protocol.joints_3d else predicted.pixels, valid)
    shares = np.where(valid, 100.0 * found, np.nan)
    rows.append(_row('valid hands found', '%', shares, _mean(shares, None)))
    left, right = valid.sum(axis=0)
    return ProtocolResult(
        protocol=name,
        title=title or protocol.title,
        conditions={
            **(conditions or {}),
            'images': str(len(valid)),
            'valid hands': f'left {left}, right {right}; {rule}',
            'means': 'joints of a hand, valid hands of an image, then images',
        },
        headline=headline,
        tables=(Table(title='Two hands', columns=(*SIDES, 'both'), rows=tuple(rows)),),
        curves=curves,
        joints=joints,
        joints_space='root-aligned',
    )


def _counted(
    protocol: ArcticProtocol, truth: HandArrays, image_size: tuple[int, int] | None
) -> tuple[Flags, NDArray[np.int_], str]:
    """Return the hands (N, 2) that count, their roots (N, 2) and the rule in words."""
    if protocol.first_labelled_root:
        labelled = _labelled(truth)
        rule = 'hands with at least 2 labelled joints; root: the first labelled one'
        return np.asarray(labelled.sum(axis=-1) >= 2), labelled.argmax(axis=-1), rule
    valid = valid_hands(truth, image_size)
    where = 'in the image' if truth.pixels is not None and image_size else 'labelled'
    rule = f'hands with the wrist and at least 3 joints {where}'
    return valid, np.full(valid.shape, WRIST), rule


def _rows_3d(
    predicted: Array, truth: Array, valid: Flags, aligned: Array
) -> tuple[list[Row], dict[str, float]]:
    rows, headline = [], {}
    measures = (
        ('mpjpe_mm', 'MPJPE, root-aligned, root included', _mean(aligned, axis=-1)),
        ('pa_mpjpe_mm', 'PA-MPJPE, similarity per hand', hand_pa_mpjpe(predicted, truth)),
    )
    for key, label, hands in measures:
        hands = 1e3 * np.where(valid, hands, np.nan)
        rows.append(_row(label, 'mm', hands, _mean(_mean(hands, axis=1), None)))
        headline[key] = rows[-1].values[-1]
    relative = 1e3 * float(_mean(mrrpe(predicted, truth, valid), None))
    values = (float('nan'), float('nan'), relative)
    rows.insert(1, Row(name='MRRPE, left to right wrist', unit='mm', values=values))
    headline['mrrpe_mm'] = relative
    return rows, headline


def _row(name: str, unit: str, values: Array, both: Array) -> Row:
    """Means of each side of values (N, 2, ...) and of both together."""
    sides = [float(_mean(values[:, side], None)) for side in range(2)]
    return Row(name=name, unit=unit, values=(*sides, float(both)))


def _present(predicted: Array | None, valid: Flags) -> Flags:
    """Return which hands (N, 2) have a predicted joint."""
    if predicted is None:
        return np.zeros_like(valid)
    complete = np.asarray(np.isfinite(predicted).all(axis=-1))
    return np.asarray(complete.any(axis=-1))


def _curve(name: str, errors: Array) -> Curve:
    known = errors[np.isfinite(errors)]
    percent = 100.0 * pck(known[:, None], _CURVE)[0]
    return Curve(name=name, thresholds=_CURVE * 1e3, percent=percent)


def _labelled(truth: HandArrays) -> Flags:
    """Return which joints (N, 2, 21) have a label."""
    arrays = [array for array in (truth.joints, truth.pixels) if array is not None]
    if not arrays:
        raise DataError('the ground truth has neither joints nor pixels: add one of them')
    return np.asarray(np.isfinite(arrays[0]).all(axis=-1))


def _mean(values: Array, axis: int | tuple[int, ...] | None) -> Array:
    """Mean of what is there; NaN where nothing is."""
    known = np.isfinite(values)
    total, count = np.where(known, values, 0.0).sum(axis=axis), known.sum(axis=axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
