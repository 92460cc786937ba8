"""Joints of two hands from files: lines as ``hand-pose estimate`` writes them, or npz arrays."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES

Array = NDArray[np.float64]

_FRAME_SUFFIX = '_optical_frame'


@dataclass(frozen=True, kw_only=True, eq=False)
class JointFile:
    """Two hands over N frames, sides left and right; NaN where there is none.

    Attributes:
        path: where it was read.
        joints: (N, 2, 21, 3) metres in the camera's frame.
        pixels: (N, 2, 21, 2) in that camera's image, or None.
        stamps: (N,) integer nanoseconds, or None.
        not_padding: (N,), or None.
        frame_id: name of the camera's frame, or None.
    """

    path: Path
    joints: Array
    pixels: Array | None = None
    stamps: NDArray[np.int64] | None = None
    not_padding: Array | None = None
    frame_id: str | None = None


def read_joints(path: Path) -> JointFile:
    """Read a ``.jsonl`` or ``.npz`` file.

    An npz file holds ``joints`` (N, 2, 21, 3), and may hold ``pixels`` (N, 2, 21, 2), ``stamps``
    (N,) and ``not_padding`` (N,); other arrays in it are not used.

    Raises:
        DataError: it is missing, damaged or of another format.
    """
    if not path.is_file():
        raise DataError(f'{path} does not exist: check the path')
    if path.suffix == '.npz':
        return _read_npz(path)
    if path.suffix == '.jsonl':
        return _read_jsonl(path)
    raise DataError(
        f'{path} is neither .npz nor .jsonl: give arrays, or the output of `hand-pose estimate`'
    )


def matched(predicted: JointFile, truth: JointFile) -> tuple[JointFile, JointFile]:
    """Return the predictions at the frames of the truth.

    Where both have stamps, equal stamps belong together, a frame without prediction is NaN and
    predictions of other frames are dropped; else both must have the same number of frames.

    Raises:
        DataError: they are in different camera frames or do not have the same frames.
    """
    if predicted.frame_id and truth.frame_id and predicted.frame_id != truth.frame_id:
        raise DataError(
            f'{predicted.path} is in {predicted.frame_id}, {truth.path} in {truth.frame_id}: bring '
            'both into one camera frame'
        )
    if predicted.stamps is None or truth.stamps is None:
        if len(predicted.joints) != len(truth.joints):
            raise DataError(
                f'{predicted.path} has {len(predicted.joints)} frames and {truth.path} '
                f'{len(truth.joints)}: give predictions of exactly these frames, or stamps in both'
            )
        return predicted, truth
    order = {int(stamp): number for number, stamp in enumerate(predicted.stamps)}
    index = np.array([order.get(int(stamp), -1) for stamp in truth.stamps], np.int64)
    if not (index >= 0).any():
        raise DataError(
            f'{predicted.path} and {truth.path} have no stamp in common: give predictions of '
            'these frames'
        )
    return (
        JointFile(
            path=predicted.path,
            joints=_taken(predicted.joints, index),
            pixels=None if predicted.pixels is None else _taken(predicted.pixels, index),
            stamps=truth.stamps,
            frame_id=predicted.frame_id,
        ),
        truth,
    )


def _taken(values: Array, index: NDArray[np.int64]) -> Array:
    return np.where((index >= 0)[:, None, None, None], values[index], np.nan)


def _read_npz(path: Path) -> JointFile:
    try:
        with np.load(path, allow_pickle=False) as content:
            names = set(content.files) & {'joints', 'pixels', 'stamps', 'not_padding'}
            arrays = {name: content[name] for name in names}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f'{path} is not a readable npz file ({error}): write it again') from error
    if 'joints' not in arrays:
        raise DataError(f'{path} has no array joints: add joints (N, 2, 21, 3) in metres')
    count = len(arrays['joints']) if arrays['joints'].ndim else 0
    shapes: dict[str, tuple[int, ...]] = {
        'joints': (2, JOINT_COUNT, 3), 'pixels': (2, JOINT_COUNT, 2), 'stamps': (),
        'not_padding': (),
    }  # fmt: skip
    for name, array in arrays.items():
        if array.shape != (count, *shapes[name]) or not count:
            expected = ', '.join(['N', *map(str, shapes[name])])
            raise DataError(f'{path}: {name} has shape {array.shape}, expected ({expected})')
        if array.dtype.kind not in 'fiub':
            raise DataError(f'{path}: {name} holds {array.dtype}, expected numbers')
    stamps = arrays.get('stamps')
    return JointFile(
        path=path,
        joints=arrays['joints'].astype(np.float64),
        pixels=arrays['pixels'].astype(np.float64) if 'pixels' in arrays else None,
        stamps=None if stamps is None else stamps.astype(np.int64),
        not_padding=arrays.get('not_padding'),
    )


def _read_jsonl(path: Path) -> JointFile:
    records = []
    try:
        with path.open(encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    records.append(_record(path, number, line))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{path} cannot be read ({error}): write it again') from error
    if not records:
        raise DataError(f'{path} has no frames: write it again')
    frames = {record['frame_id'] for record in records}
    if len(frames) > 1:
        raise DataError(
            f'{path} mixes the frames {", ".join(sorted(frames))}: evaluate one camera at a time'
        )
    frame_id = frames.pop()
    stream = frame_id.removesuffix(_FRAME_SUFFIX)
    joints = np.full((len(records), len(SIDES), JOINT_COUNT, 3), np.nan)
    pixels = np.full((len(records), len(SIDES), JOINT_COUNT, 2), np.nan)
    for number, record in enumerate(records):
        # The best hand of each side comes last and stays.
        for hand in sorted(record['hands'], key=lambda hand: hand.get('score') or 0.0):
            side = SIDES.index(hand['side'])
            for target, values in (
                (joints, hand['joints']), (pixels, (hand.get('joints_2d') or {}).get(stream))
            ):  # fmt: skip
                if values is not None:
                    target[number, side] = np.array(values, np.float64)
    return JointFile(
        path=path,
        joints=joints,
        pixels=pixels if np.isfinite(pixels).any() else None,
        stamps=np.array([record['stamp'] for record in records], np.int64),
        frame_id=frame_id,
    )


def _record(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return one frame.

    Raises:
        DataError: the line is not one of ``hand-pose estimate``.
    """
    where = f'{path} line {number}'
    try:
        record: dict[str, Any] = json.loads(line)
        frame = (int(record['stamp']), str(record['frame_id']))
        for hand in record['hands']:
            if hand['side'] not in SIDES:
                raise DataError(f'{where}: side {hand["side"]!r} is neither left nor right')
            lists = [hand['joints'], *(hand.get('joints_2d') or {}).values()]
            for values, width in zip(lists, [3] + [2] * len(lists), strict=False):
                shape = np.shape(np.array(values, np.float64)) if values is not None else None
                if shape not in (None, (JOINT_COUNT, width)):
                    raise DataError(
                        f'{where}: a hand has joints of shape {shape}, expected {JOINT_COUNT} '
                        f'of {width} numbers'
                    )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f'{where} is no frame as `hand-pose estimate` writes it ({type(error).__name__}: '
            f'{error}): write it again'
        ) from error
    return {'stamp': frame[0], 'frame_id': frame[1], 'hands': record['hands']}
