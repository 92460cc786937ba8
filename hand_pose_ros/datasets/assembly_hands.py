"""AssemblyHands: two hands that build toys, in monochrome images from the head.

Source: methods specification, section 2.6; annotations v1-1 of assemblyhands-toolkit.
"""

from dataclasses import dataclass
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
from hand_pose_ros.datasets.sample import HandSample, unlabelled
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.skeleton import ASSEMBLY_TO_MANO, MANO_TO_OPENPOSE, reorder

ORIGIN = 'the project page of AssemblyHands (CVPR 2023; facebookresearch/assemblyhands-toolkit)'
VERSION = 'v1-1'
_CAMERA_SUFFIX = '_mono10bit'
# Label files have the right hand's joints first; samples have the left hand first.
_RIGHT, _LEFT = slice(0, 21), slice(21, 42)
_HANDS = (('left', _LEFT), ('right', _RIGHT))
_GAP = 60  # images between two labelled ones of the same recording


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """One annotated image."""

    file: str
    sequence: str
    camera: str
    number: int
    size: tuple[int, int]
    boxes: dict[str, Any]
    known: tuple[bool, ...]


class AssemblyHands(HandDataset):
    """Egocentric frames of one split."""

    def __init__(self, root: str | Path, *, split: Literal['train', 'val'] = 'train') -> None:
        """Read labels and list the frames.

        Args:
            root: folder that holds ``annotations`` and ``images``.
            split: of the data set.

        Raises:
            DataError: naming what is missing or malformed and where to obtain it.
        """
        self.root = require(Path(root), ORIGIN)
        folder = self.root / 'annotations' / split
        stem = f'assemblyhands_{split}'
        self._data_file = folder / f'{stem}_ego_data_{VERSION}.json'
        self._camera_file = folder / f'{stem}_ego_calib_{VERSION}.json'
        self._joint_file = folder / f'{stem}_joint_3d_{VERSION}.json'
        document = read_json(self._data_file, ORIGIN)
        frames = well_formed(self._data_file, lambda: _frames(document))
        self._frames = sorted(frames, key=lambda one: (one.sequence, one.camera, one.number))
        self._cameras = read_json(self._camera_file, ORIGIN)
        self._joints = read_json(self._joint_file, ORIGIN)

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def segments(self) -> list[range]:
        """Frames of each camera and recording, cut where labels pause."""
        pairs = [((frame.sequence, frame.camera), frame.number) for frame in self._frames]
        return runs(pairs, step=_GAP)

    def __getitem__(self, index: int) -> HandSample:
        frame = self._frames[index]
        path = inside(self.root / 'images', frame.file)
        image = read_image(path, ORIGIN)
        check_size(path, image, frame.size)
        camera, T_camera_world = self._view(frame)
        world = well_formed(
            self._joint_file,
            lambda: np.array(
                self._joints['annotations'][frame.sequence][f'{frame.number:06d}']['world_coord'],
                np.float64,
            ).reshape(42, 3),
        )
        points = (world @ T_camera_world[:, :3].T + T_camera_world[:, 3]) / 1000
        points[~np.array(frame.known)] = np.nan
        joints = np.stack([_internal(points[part]) for _, part in _HANDS])
        boxes = unlabelled(4)
        for hand, (side, _) in enumerate(_HANDS):
            if frame.boxes.get(side) is not None:
                boxes[hand] = frame.boxes[side]
        return HandSample(
            image=image, modality='rgb', camera=camera, joints=joints, boxes=boxes,
            pixels=camera.project(joints.reshape(-1, 3)).reshape(2, 21, 2),
            sequence=f'{frame.sequence}/{frame.camera}', index=frame.number,
        )  # fmt: skip

    def _view(self, frame: _Frame) -> tuple[Camera, NDArray[np.float64]]:
        """Return the camera and T_camera_world (3, 4), millimetres."""
        name = frame.camera + _CAMERA_SUFFIX
        intrinsics, extrinsics = well_formed(
            self._camera_file,
            lambda: (
                np.array(self._calibration(frame)['intrinsics'][name], np.float64).reshape(3, 3),
                np.array(
                    self._calibration(frame)['extrinsics'][f'{frame.number:06d}'][name], np.float64
                ).reshape(3, 4),
            ),
        )
        return fitted_camera(self._camera_file, frame.size, intrinsics), extrinsics

    def _calibration(self, frame: _Frame) -> Any:
        return self._cameras['calibration'][frame.sequence]


def _frames(document: Any) -> list[_Frame]:
    images = {image['id']: image for image in document['images']}
    frames = []
    for annotation in document['annotations']:
        image = images[annotation['image_id']]
        known = tuple(float(value) > 0 for value in np.ravel(annotation['joint_valid']))
        if len(known) != 42:
            raise ValueError(f'joint_valid has {len(known)} values, expected 42')
        frames.append(
            _Frame(
                file=str(image['file_name']), sequence=str(image['seq_name']),
                camera=str(image['camera']), number=int(image['frame_idx']),
                size=(int(image['width']), int(image['height'])),
                boxes=dict(annotation['bbox']), known=known,
            )
        )  # fmt: skip
    return frames


def _internal(joints: NDArray[np.float64]) -> NDArray[np.floating]:
    return reorder(reorder(joints, ASSEMBLY_TO_MANO), MANO_TO_OPENPOSE)
