"""H2O: two hands and objects in RGB from the head (camera 4).

Source: methods specification, section 2.6; files of the repository taeinkwon/h2odataset.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np

from hand_pose_ros.datasets.dataset import HandDataset, runs
from hand_pose_ros.datasets.files import (
    check_size,
    fitted_camera,
    inside,
    read_image,
    read_numbers,
    require,
)
from hand_pose_ros.datasets.sample import MANOPTH_TIPS, HandModelConvention, HandSample
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera

ORIGIN = 'the project page of H2O (ICCV 2021; repository taeinkwon/h2odataset)'
CONVENTION = HandModelConvention(flat_mean=True, left_shape_fix=False, tip_vertices=MANOPTH_TIPS)
# The lists come with the repository or, unpacked, with the labels.
_LISTS = ('pose_lists', 'label_split', '.')
_MANO_FOLDERS = ('hand_pose_mano', 'hand_pose_MANO')
_JOINTS, _MANO = 64, 62  # numbers per hand, the first says whether it is labelled


class H2O(HandDataset):
    """Egocentric frames of ``pose_{train,val,test}.txt``."""

    def __init__(
        self, root: str | Path, *, split: Literal['train', 'val', 'test'] = 'train'
    ) -> None:
        """List the frames.

        Args:
            root: folder that holds ``subject1`` and so on, and the lists in ``pose_lists``.
            split: by subject.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.root = require(Path(root), ORIGIN)
        places = [self.root / folder / f'pose_{split}.txt' for folder in _LISTS]
        listing = next((path for path in places if path.is_file()), places[0])
        lines = require(listing, ORIGIN).read_text(encoding='utf-8').split()
        self._frames = sorted(lines)
        for line in self._frames:
            if line.split('/')[-2:-1] != ['rgb'] or not Path(line).stem.isdigit():
                raise DataError(
                    f'{listing} names {line!r}, expected '
                    'subject/place/recording/cam4/rgb/000000.png'
                )
            inside(self.root, line)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def segments(self) -> list[range]:
        """Runs of consecutive images."""
        return runs([(Path(frame).parent, int(Path(frame).stem)) for frame in self._frames])

    def __getitem__(self, index: int) -> HandSample:
        relative = self._frames[index]
        path = self.root / relative
        view, name = path.parents[1], f'{path.stem}.txt'
        image = read_image(path, ORIGIN)
        numbers = read_numbers(view / 'cam_intrinsics.txt', 6, ORIGIN)
        fx, fy, cx, cy, width, height = numbers
        camera = fitted_camera(
            view / 'cam_intrinsics.txt', (int(width), int(height)),
            np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]),
        )  # fmt: skip
        check_size(path, image, (camera.width, camera.height))
        return HandSample(
            image=image, modality='rgb', camera=camera, convention=CONVENTION,
            sequence=str(Path(relative).parents[1]), index=int(path.stem),
            **_joints(view / 'hand_pose' / name, camera), **_mano(view, name),
        )  # fmt: skip


def _joints(path: Path, camera: Camera) -> dict[str, Any]:
    """Return joints and their pixels; nothing if the frame has no label file."""
    if not path.is_file():
        return {}
    hands = read_numbers(path, 2 * _JOINTS, ORIGIN).reshape(2, _JOINTS)
    joints = hands[:, 1:].reshape(2, 21, 3)
    joints[hands[:, 0] != 1] = np.nan
    return {
        'joints': joints,
        'pixels': camera.project(joints.reshape(-1, 3)).reshape(2, 21, 2),
    }


def _mano(view: Path, name: str) -> dict[str, Any]:
    """Return the hand model's parameters; nothing if the frame has no label file."""
    path = next((view / folder / name for folder in _MANO_FOLDERS
                 if (view / folder / name).is_file()), None)  # fmt: skip
    if path is None:
        return {}
    hands = read_numbers(path, 2 * _MANO, ORIGIN).reshape(2, _MANO)
    hands[hands[:, 0] != 1, 1:] = np.nan
    return {
        'translation': hands[:, 1:4],
        'global_orient': hands[:, 4:7],
        'hand_pose': hands[:, 7:52].reshape(2, 15, 3),
        'betas': hands[:, 52:],
    }
