"""NYU hand pose: one hand in Kinect depth from three views.

Source: methods specification, sections 3.2 and 3.7.
"""

from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.depth_dataset import DepthDataset, pinhole
from hand_pose_ros.datasets.files import check_size, inside, metres, require
from hand_pose_ros.datasets.safe_pickle import read_pickle
from hand_pose_ros.datasets.sample import DepthSample
from hand_pose_ros.errors import DataError

ORIGIN = 'the project page of the NYU Hand Pose Dataset (Tompson et al., TOG 2014)'
# The 14 of 36 joints that are evaluated.
JOINTS = (0, 3, 6, 9, 12, 15, 18, 21, 24, 25, 27, 30, 31, 32)
TRAIN_VIEWS, TEST_VIEWS = (1, 2, 3), (1,)
BOX_ORIGIN = 'the repository melonwan/denseReg (data/nyu_bbx.pkl)'
_BOX_ORDER = (1, 0, 3, 2)  # stored: top, left, bottom, right, largest depth


class Nyu(DepthDataset):
    """Frames of the train (3 views) or test (view 1) split."""

    camera = pinhole((588.235, 587.084), (320, 240), (640, 480))

    def __init__(
        self, root: str | Path, *, split: Literal['train', 'test'] = 'train',
        boxes: str | Path | None = None,
    ) -> None:  # fmt: skip
        """Read labels and list the frames.

        Args:
            root: folder that holds ``train`` and ``test``.
            split: of the data set.
            boxes: ``nyu_bbx.pkl`` of the published protocol, for the test split.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.folder = require(Path(root), ORIGIN) / split
        path = require(self.folder / 'joint_data.mat', ORIGIN)
        joints = _read_joints(path)
        views = TRAIN_VIEWS if split == 'train' else TEST_VIEWS
        if len(joints) < len(views):
            raise DataError(f'{path} has {len(joints)} views, expected {len(views)}')
        self._joints = joints[: len(views)]
        self._frames = [
            (view, frame) for view in range(len(views)) for frame in range(joints.shape[1])
        ]
        self._boxes = None if boxes is None else _read_boxes(Path(boxes), joints.shape[1])

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> DepthSample:
        view, frame = self._frames[index]
        path = inside(self.folder, f'depth_{view + 1}_{frame + 1:07d}.png')
        image = cv2.imread(str(require(path, ORIGIN)), cv2.IMREAD_COLOR)
        if image is None:
            raise DataError(f'{path} is no image that can be read: obtain it again')
        size = (self.camera.width, self.camera.height)
        check_size(path, image, size)
        depth = metres(image[..., 1].astype(np.uint16) * 256 + image[..., 0])
        return DepthSample(
            depth=depth, camera=self.camera, joints=self._joints[view, frame],
            box=None if self._boxes is None else self._boxes[frame],
            sequence=f'{self.folder.name}/{view + 1}', index=frame,
        )  # fmt: skip


def _read_joints(path: Path) -> NDArray[np.float64]:
    """Return joints (views, frames, 14, 3) in metres, y down."""
    from scipy.io import loadmat

    try:
        content = loadmat(str(path), variable_names=['joint_xyz'])['joint_xyz']
        joints = np.asarray(content, np.float64)[:, :, list(JOINTS)] / 1000
    except Exception as error:  # loadmat raises many kinds on damaged files
        raise DataError(f'{path} has no joint_xyz ({error}): obtain it again') from error
    if joints.ndim != 4 or joints.shape[3] != 3:
        raise DataError(
            f'{path}: joint_xyz has shape {content.shape}, expected (view, frame, 36, 3)'
        )
    return joints * (1, -1, 1)


def _read_boxes(path: Path, count: int) -> NDArray[np.float64]:
    """Return boxes (frames, 5): left, top, right, bottom, largest depth in metres."""
    content = read_pickle(path, BOX_ORIGIN)
    try:
        boxes = np.array(content, np.float64).reshape(-1, 5)
    except (ValueError, TypeError):
        boxes = np.empty((0, 5))
    if len(boxes) not in (1, count):
        raise DataError(
            f'{path} must hold 5 numbers for all or for each of {count} frames: obtain it again'
        )
    boxes = np.broadcast_to(boxes, (count, 5))
    return np.column_stack([boxes[:, _BOX_ORDER], boxes[:, 4] / 1000])
