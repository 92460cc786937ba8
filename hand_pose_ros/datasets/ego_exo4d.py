"""Ego-Exo4D: hands of skilled work from the head, with some joints labelled.

Source: methods specification, section 2.6; the file is WildHands' extract of the annotations.
"""

from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.datasets.dataset import HandDataset
from hand_pose_ros.datasets.files import check_size, fitted_camera, require, well_formed
from hand_pose_ros.datasets.safe_pickle import read_pickle
from hand_pose_ros.datasets.sample import HandSample, unlabelled
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.skeleton import FINGERS, SIDES

ORIGIN = (
    'the project page of Ego-Exo4D (CVPR 2024) and its extract at that of WildHands (ECCV 2024)'
)
LABELS = 'joint_annotations_egoexo_val.pkl'
# Names of the labels in the internal order of joints, without the side.
_NAMES = ('wrist', *(
    f'{"pinky" if finger == "little" else finger}_{part}'
    for finger in FINGERS for part in (1, 2, 3, 4)
))  # fmt: skip


class EgoExo4D(HandDataset):
    """Frames of the validation extract; images are inside of the label file."""

    def __init__(self, root: str | Path) -> None:
        """Read the file.

        Args:
            root: folder that holds it.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self._file = require(Path(root), ORIGIN) / LABELS
        self._content = read_pickle(self._file, ORIGIN)
        self._names = well_formed(self._file, lambda: sorted(map(str, self._content.keys())))

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> HandSample:
        name = self._names[index]
        entry = self._content[name]
        image, pixels, joints = well_formed(
            self._file,
            lambda: (
                np.asarray(entry['img'], np.uint8),
                _joints(entry['j2d'], ('x', 'y')),
                _joints(entry['j3d'], ('x', 'y', 'z')),
            ),
        )
        return HandSample(
            image=image, modality='rgb', camera=self._camera(entry), joints=joints, pixels=pixels,
            sequence=name, index=index,
        )  # fmt: skip

    def _camera(self, entry: Any) -> Camera:
        """Return the camera of the stored image, which may be smaller than the K is about."""
        intrinsics, original, stored = well_formed(
            self._file,
            lambda: (
                np.array(entry['intrx'], np.float64).reshape(3, 3),
                _size(entry['image_size']),
                _size(np.asarray(entry['img']).shape[:2]),
            ),
        )
        camera = fitted_camera(self._file, original, intrinsics)
        if stored == original:
            return camera
        if stored[0] * original[1] != stored[1] * original[0]:
            check_size(self._file, np.asarray(entry['img']), original)
        return camera.scaled(*stored)


def _size(rows_columns: Any) -> tuple[int, int]:
    rows, columns = (int(value) for value in rows_columns[:2])
    return columns, rows


def _joints(entry: Any, axes: tuple[str, ...]) -> Any:
    """Return labels (2, 21, D) of (left, right); joints that are not named are NaN."""
    joints = unlabelled(21, len(axes))
    for hand, side in enumerate(SIDES):
        for joint, name in enumerate(_NAMES):
            if f'{side}_{name}' in entry:
                joints[hand, joint] = [float(entry[f'{side}_{name}'][axis]) for axis in axes]
    return joints
