"""EPIC-KITCHENS: Epic-HandKps (2D joints) and VISOR (hand masks and grasps), for WildHands.

Source: methods specification, section 2.6. The images have no calibration: K is a focal length of
1000 px at a width of 1920 px and the image centre.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.dataset import HandDataset
from hand_pose_ros.datasets.files import inside, read_image, require, well_formed
from hand_pose_ros.datasets.safe_pickle import read_pickle
from hand_pose_ros.datasets.sample import HandSample, unlabelled
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.skeleton import ASSEMBLY_TO_MANO, MANO_TO_OPENPOSE, SIDES, reorder

ORIGIN = 'the project page of WildHands (ECCV 2024), images from that of EPIC-KITCHENS VISOR'
GRASPS = (
    'NP-Palm', 'NP-Fin', 'Pow-Pris', 'Pre-Pris', 'Pow-Circ', 'Pre-Circ', 'Later', 'Other',
)  # fmt: skip
NO_GRASP = len(GRASPS)
LEAST_JOINTS = 3  # a hand with fewer visible ones is not evaluated
_FOCAL, _FOCAL_WIDTH = 1000.0, 1920.0
_MASK_VALUES = {'left': 127, 'right': 255}


class EpicHandKps(HandDataset):
    """2D joints of both hands; a hand counts with three visible joints and a detector's box."""

    def __init__(self, root: str | Path, *, images: str | Path | None = None,
                 prefix: str = '') -> None:  # fmt: skip
        """Read labels and list the images that have both labels and boxes.

        Args:
            root: folder that holds ``hands_5000.pkl`` and ``grasp_visor_val.pkl`` (the boxes).
            images: folder of the images, default the root.
            prefix: beginning of the image names in the labels that stands for that folder.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.root = require(Path(root), ORIGIN)
        self._images = _Images(self.root if images is None else Path(images), prefix)
        self._file = self.root / 'hands_5000.pkl'
        self._boxes_file = self.root / 'grasp_visor_val.pkl'
        self._labels = read_pickle(self._file, ORIGIN)
        self._boxes = read_pickle(self._boxes_file, ORIGIN)
        self._names = well_formed(
            self._file, lambda: sorted(self._labels.keys() & self._boxes.keys())
        )

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> HandSample:
        name = self._names[index]
        boxes = well_formed(self._boxes_file, lambda: _boxes(self._boxes[name]))
        pixels = well_formed(self._file, lambda: _pixels(self._labels[name]))
        too_few = np.isfinite(pixels).all(-1).sum(1) < LEAST_JOINTS
        pixels[too_few | ~np.isfinite(boxes).all(1)] = np.nan
        image = self._images.read(name)
        return HandSample(
            image=image, modality='rgb', camera=_camera(image), pixels=pixels, boxes=boxes,
            sequence=name, index=index,
        )  # fmt: skip


class EpicVisor(HandDataset):
    """Boxes with hand masks, grasps or both."""

    def __init__(
        self, root: str | Path, *, targets: Literal['both', 'mask', 'grasp'] = 'both',
        images: str | Path | None = None, prefix: str = '',
    ) -> None:  # fmt: skip
        """Read labels and list the images that have all of them.

        Args:
            root: folder that holds ``grasp_visor_train.pkl`` and, for masks,
                ``modal_amodal_annot.pkl`` and ``visor_pred_masks_train.npz``.
            targets: what to read.
            images: folder of the images, default the root.
            prefix: beginning of the image names in the labels that stands for that folder.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.root = require(Path(root), ORIGIN)
        self._targets = targets
        self._images = _Images(self.root if images is None else Path(images), prefix)
        self._grasp_file = self.root / 'grasp_visor_train.pkl'
        self._labels = read_pickle(self._grasp_file, ORIGIN)
        names = well_formed(self._grasp_file, lambda: set(self._labels.keys()))
        if targets != 'grasp':
            self._modal_file = self.root / 'modal_amodal_annot.pkl'
            self._modal = read_pickle(self._modal_file, ORIGIN)
            self._mask_file = require(self.root / 'visor_pred_masks_train.npz', ORIGIN)
            self._masks = self._open(lambda: np.load(self._mask_file, allow_pickle=False))
            names &= well_formed(self._modal_file, lambda: set(self._modal.keys()))
            names &= set(self._masks.files)
        self._names = sorted(names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> HandSample:
        name = self._names[index]
        boxes = well_formed(self._grasp_file, lambda: _boxes(self._labels[name]))
        image = self._images.read(name)
        labels: dict[str, Any] = {}
        if self._targets != 'mask':
            labels['grasp'] = well_formed(self._grasp_file, lambda: _grasps(self._labels[name]))
        if self._targets != 'grasp':
            labels['mask'] = self._mask(name, boxes, image.shape[1::-1])
            labels['mask_labelled'] = well_formed(
                self._modal_file,
                lambda: tuple(
                    self._modal[name].get(side, 0) == 1 and bool(np.isfinite(box).all())
                    for side, box in zip(SIDES, boxes, strict=True)
                ),
            )
        return HandSample(
            image=image, modality='rgb', camera=_camera(image), boxes=boxes, sequence=name,
            index=index, **labels,
        )  # fmt: skip

    def _mask(self, name: str, boxes: Any, size: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the mask (H, W) of both hands; of each only what lies in its box."""
        colours = self._open(lambda: np.asarray(self._masks[name])[..., 0])
        if colours.shape[::-1] != size:
            colours = cv2.resize(colours, size, interpolation=cv2.INTER_NEAREST_EXACT)
        mask = np.zeros(colours.shape, np.uint8)
        for hand, side in enumerate(SIDES):
            if np.isfinite(boxes[hand]).all():
                x0, y0, x1, y1 = np.maximum(boxes[hand], 0).astype(int)
                part = colours[y0:y1, x0:x1] == _MASK_VALUES[side]
                mask[y0:y1, x0:x1][part] = hand + 1
        return mask

    def _open(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except Exception as error:  # a damaged archive raises many kinds
            raise DataError(
                f'{self._mask_file} cannot be read ({error}): obtain it again'
            ) from error


class _Images:
    """Images by the names of label files, all below one folder."""

    def __init__(self, folder: Path, prefix: str) -> None:
        self._folder = require(folder, ORIGIN)
        self._prefix = prefix

    def read(self, name: str) -> NDArray[np.uint8]:
        """Return the RGB image."""
        relative = name.removeprefix(self._prefix).lstrip('/') if self._prefix else name
        return read_image(inside(self._folder, relative.removeprefix('./')), ORIGIN)


def _camera(image: NDArray[Any]) -> Camera:
    height, width = image.shape[:2]
    focal = _FOCAL * width / _FOCAL_WIDTH
    intrinsics = [[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]]
    return Camera(
        width=width, height=height, intrinsics=np.array(intrinsics), distortion=np.zeros(0)
    )


def _boxes(entry: Any) -> NDArray[np.float64]:
    """Return boxes (2, 4) of (left, right); a hand without one has NaN."""
    boxes = unlabelled(4)
    for hand, side in enumerate(SIDES):
        if entry[f'{side}_bbox'] is not None:
            boxes[hand] = np.array(entry[f'{side}_bbox'], np.float64)
    return boxes


def _grasps(entry: Any) -> tuple[int, int]:
    """Return the classes of (left, right): -1 without a box, the one for no grasp without label."""
    left, right = (
        -1 if entry[f'{side}_bbox'] is None
        else NO_GRASP if entry[f'{side}_grasp'] is None
        else GRASPS.index(entry[f'{side}_grasp'])
        for side in SIDES
    )  # fmt: skip
    return left, right


def _pixels(entry: Any) -> NDArray[np.float64]:
    """Return joints (2, 21, 2) of (left, right) in the internal order."""
    pixels = unlabelled(21, 2)
    for hand, side in enumerate(SIDES):
        if side in entry:
            joints = np.array(entry[side]['joints'], np.float64).reshape(21, -1)[:, :2]
            joints[np.ravel(entry[side]['joints_valid']).astype(float) <= 0] = np.nan
            pixels[hand] = reorder(reorder(joints, ASSEMBLY_TO_MANO), MANO_TO_OPENPOSE)
    return pixels
