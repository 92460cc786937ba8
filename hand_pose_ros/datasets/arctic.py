"""ARCTIC: two hands and articulated objects in RGB, seen from the head (view 0).

Source: methods specification, section 2.6; files of the repository zc-alexfan/arctic.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.datasets.dataset import HandDataset, runs
from hand_pose_ros.datasets.files import (
    check_size,
    fitted_camera,
    inside,
    read_image,
    read_json,
    require,
    well_formed,
)
from hand_pose_ros.datasets.safe_pickle import read_object_array
from hand_pose_ros.datasets.sample import SMPLX_TIPS, HandModelConvention, HandSample, unlabelled
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.skeleton import MANO_TO_OPENPOSE, reorder

ORIGIN = 'the project page of ARCTIC (CVPR 2023; repository zc-alexfan/arctic)'
# Left betas were fitted with the fault of the distributed left hand.
CONVENTION = HandModelConvention(flat_mean=False, left_shape_fix=False, tip_vertices=SMPLX_TIPS)
_EGO = 0
_HANDS = ('left', 'right')


class Arctic(HandDataset):
    """Egocentric frames of ``splits/p2_{train,val}.npy``."""

    def __init__(
        self, root: str | Path, *, split: Literal['train', 'val'] = 'train',
        images: str = 'cropped_images', scale: float = 0.3,
    ) -> None:  # fmt: skip
        """Read labels and list the frames.

        Args:
            root: folder that holds ``splits``, ``meta`` and the images.
            split: of protocol 2, by subject.
            images: folder of the images below the root.
            scale: of the ego images to the calibrated size: 0.3 in ``cropped_images``, 1 in
                ``images``.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.root = Path(root)
        self._images = self.root / images
        self._scale = scale
        self._labels_file = require(self.root, ORIGIN) / 'splits' / f'p2_{split}.npy'
        content = read_object_array(self._labels_file, ORIGIN)
        self._misc = read_json(self.root / 'meta' / 'misc.json', ORIGIN)
        self._sequences, names = well_formed(
            self._labels_file, lambda: (content['data_dict'], list(content['imgnames']))
        )
        # ``./arctic_data/data/images/s05/box_use_01/0/00012.jpg``: subject, clip, view, image.
        frames = sorted(tuple(str(name).split('/')[-4:]) for name in names)
        self._frames = [frame for frame in frames if len(frame) == 4 and frame[2] == str(_EGO)]
        if not self._frames:
            raise DataError(f'{self._labels_file} lists no egocentric frames: use splits of p2')
        require(self._images, ORIGIN)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def segments(self) -> list[range]:
        """Runs of consecutive images of each recording."""
        return runs([(frame[:2], _number(frame)) for frame in self._frames])

    def __getitem__(self, index: int) -> HandSample:
        subject, clip, view, name = self._frames[index]
        path = inside(self._images, f'{subject}/{clip}/{view}/{name}')
        image = read_image(path, ORIGIN)
        row, size = well_formed(
            self._labels_file,
            lambda: (
                int(Path(name).stem) - int(self._misc[subject]['ioi_offset']),
                self._misc[subject]['image_size'][_EGO],
            ),
        )
        labels = well_formed(
            self._labels_file, lambda: self._labels(self._sequences[f'{subject}/{clip}'], row)
        )
        camera = fitted_camera(
            self._labels_file, (int(size[0]), int(size[1])), labels.pop('intrinsics'),
            *labels.pop('lens'),
        )  # fmt: skip
        camera = self._reduced(camera)
        check_size(path, image, (camera.width, camera.height))
        # The file's own 2D joints of this view ignore the lens; the image has it.
        labels['pixels'] = camera.project(labels['joints'].reshape(-1, 3)).reshape(2, 21, 2)
        return HandSample(
            image=image, modality='rgb', camera=camera, sequence=f'{subject}/{clip}',
            index=_number(self._frames[index]), convention=CONVENTION, **labels,
        )  # fmt: skip

    def _reduced(self, camera: Camera) -> Camera:
        if self._scale == 1:
            return camera
        return camera.scaled(round(camera.width * self._scale), round(camera.height * self._scale))

    def _labels(self, data: Any, row: int) -> dict[str, Any]:
        """Return labels (left, right) of one frame; a hand that is not valid is not labelled."""
        camera, parameters = data['cam_coord'], data['params']
        if not 0 <= row < len(parameters['K_ego']):
            raise IndexError(f'frame {row}')
        seen = float(camera['is_valid'][row, _EGO]) > 0
        labels: dict[str, Any] = {
            'joints': unlabelled(21, 3), 'global_orient': unlabelled(3),
            'hand_pose': unlabelled(15, 3), 'betas': unlabelled(10),
            'intrinsics': np.asarray(parameters['K_ego'][row], np.float64),
            'lens': _lens(np.asarray(parameters['dist'][row], np.float64)),
        }  # fmt: skip
        for hand, side in enumerate(_HANDS):
            if not seen or float(camera[f'{side}_valid'][row, _EGO]) <= 0:
                continue
            labels['joints'][hand] = _internal(camera[f'joints.{side}'][row, _EGO])
            labels['global_orient'][hand] = camera[f'rot_{side[0]}_cam'][row, _EGO]
            labels['hand_pose'][hand] = np.reshape(parameters[f'pose_{side[0]}'][row], (15, 3))
            labels['betas'][hand] = parameters[f'shape_{side[0]}'][row]
        return labels


def _number(frame: tuple[str, ...]) -> int:
    stem = Path(frame[3]).stem
    return int(stem) if stem.isdigit() else 0


def _internal(joints: NDArray[Any]) -> NDArray[np.floating]:
    return reorder(np.asarray(joints, np.float64), MANO_TO_OPENPOSE)


def _lens(coefficients: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    model = 'rational_polynomial' if coefficients.size == 8 else 'plumb_bob'
    return coefficients, model
