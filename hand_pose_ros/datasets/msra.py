"""MSRA: one right hand in time-of-flight depth, 21 joints, nine subjects.

Source: methods specification, sections 3.7 and 3.10.
"""

import struct
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.depth_dataset import DepthDataset, pinhole
from hand_pose_ros.datasets.files import metres, require
from hand_pose_ros.datasets.sample import DepthSample
from hand_pose_ros.errors import DataError

ORIGIN = 'the project page of the MSRA Hand Gesture Database (Sun et al., CVPR 2015)'
GESTURES = (
    '1', '2', '3', '4', '5', '6', '7', '8', '9', 'I', 'IP', 'L', 'MP', 'RP', 'T', 'TIP', 'Y',
)  # fmt: skip
SUBJECTS = tuple(range(9))
JOINT_COUNT = 21
_HEADER = struct.Struct('<6i')
_EMPTY = 10.0  # a frame whose depth sums up to less (mm) was not measured


def subjects_of(split: Literal['train', 'test'], held_out: int) -> tuple[int, ...]:
    """Return the subjects of a split when one of the nine is left out of training."""
    if held_out not in SUBJECTS:
        raise DataError(f'there is no subject {held_out}: hold out one of 0 to 8')
    if split == 'test':
        return (held_out,)
    return tuple(subject for subject in SUBJECTS if subject != held_out)


class Msra(DepthDataset):
    """Frames of one side of a leave-one-subject-out split."""

    camera = pinhole((241.42, 241.42), (160, 120), (320, 240))

    def __init__(
        self, root: str | Path, *, split: Literal['train', 'test'] = 'train', held_out: int = 0
    ) -> None:
        """Read labels and list the frames.

        Args:
            root: folder that holds ``P0`` to ``P8``.
            split: of the data set.
            held_out: subject of the test split.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.root = require(Path(root), ORIGIN)
        self._recordings: list[tuple[str, NDArray[np.float64]]] = []
        self._frames: list[tuple[int, int]] = []
        for subject in subjects_of(split, held_out):
            for gesture in GESTURES:
                name = f'P{subject}/{gesture}'
                joints = _read_joints(self.root / name / 'joint.txt')
                self._frames += [(len(self._recordings), frame) for frame in range(len(joints))]
                self._recordings.append((name, joints))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> DepthSample:
        recording, frame = self._frames[index]
        name, joints = self._recordings[recording]
        return DepthSample(
            depth=self._depth(name, frame), camera=self.camera, joints=joints[frame], box=None,
            sequence=name, index=frame,
        )  # fmt: skip

    def _depth(self, name: str, frame: int) -> NDArray[np.float32]:
        """Return the depth image; an empty one is replaced by the one before, as published."""
        for earlier in range(frame, -1, -1):
            depth = _read_depth(self.root / name / f'{earlier:06d}_depth.bin', self.camera.width,
                                self.camera.height)  # fmt: skip
            if depth.sum() >= _EMPTY:
                return metres(depth)
        return metres(np.zeros((self.camera.height, self.camera.width), np.float32))


def _read_joints(path: Path) -> NDArray[np.float64]:
    """Return joints (frames, 21, 3) in metres, y down and z forward."""
    numbers = require(path, ORIGIN).read_text(encoding='utf-8', errors='replace').split()
    try:
        joints = np.array(numbers[1:], np.float64).reshape(int(numbers[0]), JOINT_COUNT, 3)
    except (ValueError, IndexError):
        raise DataError(
            f'{path} must hold a count of frames and {JOINT_COUNT} x (x, y, z) for each: obtain '
            'it again'
        ) from None
    return joints * (1, -1, -1) / 1000


def _read_depth(path: Path, width: int, height: int) -> NDArray[np.float32]:
    """Return the whole image (H, W) in mm from the stored crop."""
    content = require(path, ORIGIN).read_bytes()
    image = np.zeros((height, width), np.float32)
    if len(content) < _HEADER.size:
        raise DataError(f'{path} is cut off: obtain it again')
    columns, rows, left, top, right, bottom = _HEADER.unpack_from(content)
    fits = 0 <= left <= right <= width and 0 <= top <= bottom <= height
    count = (right - left) * (bottom - top)
    if (columns, rows) != (width, height) or not fits:
        raise DataError(
            f'{path} says it is part {left, top, right, bottom} of {columns} x {rows} pixels, its '
            f'K is about {width} x {height}: obtain it again'
        )
    if len(content) != _HEADER.size + 4 * count:
        raise DataError(f'{path} has {len(content)} bytes, expected {_HEADER.size + 4 * count}')
    crop = np.frombuffer(content, '<f4', offset=_HEADER.size).reshape(bottom - top, right - left)
    image[top:bottom, left:right] = crop
    return image
