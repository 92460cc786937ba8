"""ThermoHands' folders, split lists and label files: what its reader and its writers share.

Source: methods specification, section 1.8.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.files import read_json, require, well_formed
from hand_pose_ros.errors import DataError

Array = NDArray[np.float64]
Layout = Literal['training', 'released']
LAYOUTS: tuple[Layout, ...] = ('training', 'released')
Split = Literal['train', 'val', 'test']

ORIGIN = 'the project page of ThermoHands (SenSys 2025; repository LawrenceZ22/ThermoHands)'

# Subjects of each split, and those of them that also did gestures.
SUBJECTS: dict[Split, tuple[int, ...]] = {
    'train': (3, 4, 11, 19, 22, 23, 24, 27, 28, 29, 31, 33, 34, 35, 36, 37),
    'val': (1, 18, 21, 25),
    'test': (2, 6, 13, 16, 20, 26, 30, 32),
}
GESTURE_SUBJECTS: dict[Split, tuple[int, ...]] = {
    'train': (4, 23, 24, 27, 28, 29, 31, 33, 34, 35, 36, 37),
    'val': (1, 21, 25),
    'test': (2, 6, 13, 26, 30, 32),
}
GESTURES_SUFFIX = '_gestures'
# What follows ``subject_XX`` in the folders of the auxiliary recordings.
SETTING_SUFFIXES = {
    'office': '', 'darkness': '_dark', 'sun_glare': '_strong', 'gloves': '_glove',
    'kitchen': '_kit',
}  # fmt: skip
EXCLUDED_CLIPS = ('wash_hands_real',)

# The first folder of the released tree is misspelt in the publication.
RELEASED_ROOTS = ('egocenctirc', 'egocentric')
LABELS = 'gt_info'
CALIBRATION = 'calibration/ego_calib.json'
LMDB = 'lmdb_imgs/train'

SIZES: dict[str, tuple[int, int]] = {'thermal': (320, 256), 'nir': (320, 240)}
FOLDERS: dict[Layout, dict[str, str]] = {
    'training': {
        'thermal': 'thermal320_256', 'jet': 'jet_320_256', 'thermal_mask': 'mask320_256',
        'rgb': 'rgb320_240', 'nir': 'ir320_240', 'depth': 'depth320_240',
        'nir_mask': 'rgbmask320_240',
    },
    'released': {'thermal': 'thermal', 'rgb': 'rgb', 'nir': 'ir', 'depth': 'depth'},
}  # fmt: skip
_SHAPES = {'kps3D': (21, 3), 'poseCoeff': (1, 48), 'beta': (1, 10), 'trans': (1, 3)}
_HEADER = 'id path action first last'


def subject_folder(subject: int, setting: str = 'office') -> str:
    """Return the folder of a subject in a setting."""
    return f'subject_{subject:02d}{SETTING_SUFFIXES[setting]}'


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameLabels:
    """One label file; hands are (left, right), NaN where a hand is not labelled.

    Attributes:
        joints: (2, 21, 3) metres in the NIR camera's frame, internal order.
        pose: (2, 48) axis-angle of wrist and fingers, flat hand = 0, rad.
        betas: (2, 10).
        translation: (2, 3) metres; wrist = J0(betas) + translation.
    """

    joints: Array
    pose: Array
    betas: Array
    translation: Array


def read_gt_info(path: Path) -> FrameLabels:
    """Read a label file; raises DataError naming it."""
    document = read_json(path, ORIGIN)
    hands = [well_formed(path, partial(_hand, document, side)) for side in 'LR']
    joints, pose, betas, translation = (np.stack(values) for values in zip(*hands, strict=True))
    return FrameLabels(
        joints=joints, pose=pose[:, 0], betas=betas[:, 0], translation=translation[:, 0]
    )


def write_gt_info(path: Path, labels: FrameLabels) -> None:
    """Write a label file; every number reads back to the same bits."""
    path.write_text(json.dumps(gt_info(labels)), encoding='utf-8')


def gt_info(labels: FrameLabels) -> dict[str, Any]:
    """Return the content of a label file; what is not known is null."""
    document: dict[str, Any] = {}
    for hand, side in enumerate('LR'):
        document[f'kps3D_{side}'] = _numbers(labels.joints[hand])
        document[f'poseCoeff_{side}'] = _numbers(labels.pose[hand][None])
        document[f'beta_{side}'] = _numbers(labels.betas[hand][None])
        document[f'trans_{side}'] = _numbers(labels.translation[hand][None])
    return document


@dataclass(frozen=True, kw_only=True)
class Recording:
    """One row of a split list.

    Attributes:
        number: from 1; LMDB segments are named by the number before it.
        folder: subject/scene, relative to the data set.
        action: label of the action.
        first, last: frames.
    """

    number: int
    folder: str
    action: str = '0'
    first: int
    last: int


def read_split_list(path: Path) -> list[Recording]:
    """Read ``action_{train,val,test}.txt``; raises DataError naming file and line."""
    lines = require(path, ORIGIN).read_text(encoding='utf-8', errors='replace').splitlines()
    recordings = []
    for place, line in enumerate(lines[1:], start=2):
        row = line.split()
        if not row:
            continue
        try:
            number, action, (first, last) = int(row[0]), row[2], map(int, row[3:5])
        except (ValueError, IndexError):
            raise DataError(
                f'{path} line {place} is {line!r}, expected: {_HEADER} (subject/scene as path)'
            ) from None
        folder = '/'.join(row[1].split('/')[:2])
        recordings.append(
            Recording(number=number, folder=folder, action=action, first=first, last=last)
        )
    return recordings


def write_split_list(path: Path, recordings: Iterable[Recording]) -> None:
    """Write ``action_{train,val,test}.txt``."""
    rows = [f'{r.number} {r.folder} {r.action} {r.first} {r.last}' for r in recordings]
    path.write_text('\n'.join([_HEADER, *rows]) + '\n', encoding='utf-8')


def _hand(document: Any, side: str) -> list[Array]:
    arrays = []
    for key, shape in _SHAPES.items():
        array = np.array(document[f'{key}_{side}'], np.float64)  # null becomes NaN
        if array.shape != shape:
            raise ValueError(f'{key}_{side} has shape {array.shape}, expected {shape}')
        arrays.append(array)
    return arrays


def _numbers(values: Array) -> Any:
    known = np.asarray(values, np.float64).astype(object)
    known[~np.isfinite(np.asarray(values, np.float64))] = None
    return known.tolist()
