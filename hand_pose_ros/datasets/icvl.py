"""ICVL: one hand in time-of-flight depth, 16 joints.

Source: methods specification, sections 3.2 and 3.7.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.depth_dataset import DepthDataset, pinhole
from hand_pose_ros.datasets.files import check_size, inside, read_millimetres, require
from hand_pose_ros.datasets.sample import DepthSample
from hand_pose_ros.errors import DataError

ORIGIN = 'the project page of the ICVL Hand Posture Dataset (Tang et al., CVPR 2014)'
JOINT_COUNT = 16
# Names of the original frames begin so; the others are copies turned in the image plane.
ORIGINAL = '2014'
_FOLDERS = {'train': 'Training', 'test': 'Testing'}


class Icvl(DepthDataset):
    """Frames of the training or test split."""

    camera = pinhole((241.42, 241.42), (160, 120), (320, 240))

    def __init__(self, root: str | Path, *, split: Literal['train', 'test'] = 'train') -> None:
        """Read labels and list the frames; of the training split the original ones only.

        Args:
            root: folder that holds ``Training`` and ``Testing``.
            split: of the data set.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.folder = require(Path(root), ORIGIN) / _FOLDERS[split]
        path = require(self.folder / 'labels.txt', ORIGIN)
        self._frames = []
        for place, line in enumerate(path.read_text(encoding='utf-8').splitlines(), start=1):
            row = line.split()
            if not row or (split == 'train' and not row[0].startswith(ORIGINAL)):
                continue
            self._frames.append((row[0], _joints(row[1:], f'{path} line {place}')))

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> DepthSample:
        name, uvd = self._frames[index]
        path = inside(self.folder / 'Depth', name)
        depth = read_millimetres(path, ORIGIN)
        check_size(path, depth, (self.camera.width, self.camera.height))
        return DepthSample(
            depth=depth, camera=self.camera, box=None,
            joints=self.camera.unproject(uvd[:, :2], uvd[:, 2] / 1000),
            sequence=str(Path(name).parent), index=index,
        )  # fmt: skip


def _joints(numbers: list[str], place: str) -> NDArray[np.float64]:
    """Return (16, 3): u, v in pixels and depth in mm."""
    try:
        return np.array(numbers, np.float64).reshape(JOINT_COUNT, 3)
    except ValueError:
        raise DataError(
            f'{place} must be an image and {JOINT_COUNT} x (u, v, d): obtain it again'
        ) from None
