"""Clips of recorded data sets as batches for training."""

import dataclasses
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.datasets.batch import TARGETS, ViewBatch
from hand_pose_ros.datasets.catalogue import (
    DEPTH_DATASETS,
    open_dataset,
    open_depth_dataset,
    splits_of,
)
from hand_pose_ros.datasets.collate import collate
from hand_pose_ros.datasets.depth_dataset import DepthDataset
from hand_pose_ros.datasets.sample import DepthSample
from hand_pose_ros.datasets.session_splits import check_apart
from hand_pose_ros.datasets.sessions import Sessions
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES
from hand_pose_ros.training.config import DataConfig, SourceConfig

# Sizes (width, height) that the simulator has too, so that sources go together.
_SIZES = {'thermal': (320, 256), 'nir': (320, 240), 'depth': (320, 240), 'rgb': (320, 240)}
_RIGHT = 1


class RecordedClips:
    """Clips of a data set of two hands.

    Training clips overlap, those of an evaluation do not.
    """

    def __init__(self, config: SourceConfig, data: DataConfig, device: torch.device) -> None:
        """Open the data set.

        Raises:
            DataError: the data set, its folder or an option does not exist.
            TrainingError: the source has no folder or no clips.
        """
        self._device = device
        self._size = data.image_size or _SIZES[data.stream]
        self._mean_pose = _mean_pose(config.mano) if config.mano is not None else None
        options = dict(config.options)
        if splits_of(config.data):
            options.setdefault('split', config.split)
        if config.data in ('thermohands', 'sessions'):
            options.setdefault('stream', data.stream)
        dataset = open_dataset(config.data, _root(config), options)
        self._shipped_hand = dataset.shipped_hand
        self._sessions = dataset.paths if isinstance(dataset, Sessions) else ()
        self._clips = dataset.clips(data.frames, overlapping=config.split == 'train')
        self.count = _count(config, len(self._clips))

    def check_apart(self, validation: 'RecordedClips') -> None:
        """Refuse sessions that are, or belong together with, those of the validation.

        Raises:
            DataError: naming both.
        """
        check_apart(self._sessions, validation._sessions)

    def read(self, clips: Sequence[int]) -> ViewBatch:
        """Read the clips, without lens distortion and at one size."""
        batch = collate(
            [self._clips[clip] for clip in clips], size=self._size, mean_pose=self._mean_pose
        )
        return (batch if self._shipped_hand else for_shipped_hand(batch)).to(self._device)


class RecordedDepth:
    """Single hands of a depth benchmark; their J joints take the first J places of a right hand."""

    def __init__(self, config: SourceConfig, device: torch.device) -> None:
        """Open the data set; errors as in ``RecordedClips``."""
        options = dict(config.options)
        if splits_of(config.data):
            options.setdefault('split', config.split)
        self._dataset: DepthDataset = open_depth_dataset(config.data, _root(config), options)
        self._device = device
        self.count = _count(config, len(self._dataset))

    def read(self, clips: Sequence[int]) -> ViewBatch:
        """Read frames."""
        return depth_batch([self._dataset[clip] for clip in clips]).to(self._device)


def recorded_source(
    config: SourceConfig, data: DataConfig, device: torch.device
) -> RecordedClips | RecordedDepth:
    """Return the source of a recorded data set."""
    if config.data in DEPTH_DATASETS:
        return RecordedDepth(config, device)
    return RecordedClips(config, data, device)


def depth_batch(samples: Sequence[DepthSample]) -> ViewBatch:
    """Put frames of a depth benchmark together; everything but joints and boxes is unlabelled."""
    count = len(samples)
    height, width = samples[0].depth.shape
    joints = torch.full((count, 2, JOINT_COUNT, 3), torch.nan)
    boxes = torch.full((count, 2, 4), torch.nan)
    for row, sample in enumerate(samples):
        joints[row, _RIGHT, : len(sample.joints)] = _float(sample.joints)
        if sample.box is not None:
            boxes[row, _RIGHT] = _float(sample.box[:4])
    intrinsics = torch.stack([_float(sample.camera.intrinsics) for sample in samples])
    pixels = joints @ intrinsics[:, None].mT
    pixels = pixels[..., :2] / pixels[..., 2:]
    labelled = torch.tensor([[False, True]]).expand(count, 2)
    never = torch.zeros(count, 2, dtype=torch.bool)
    return ViewBatch(
        image=torch.stack([_float(np.nan_to_num(sample.depth))[None] for sample in samples]),
        intrinsics=intrinsics,
        joints=joints,
        pixels=pixels,
        visible=((pixels >= 0) & (pixels < torch.tensor([width, height]))).all(dim=-1),
        hand_mask=None,
        surface=None,
        global_orient=torch.full((count, 2, 3), torch.nan),
        hand_pose=torch.full((count, 2, 15, 3), torch.nan),
        betas=torch.full((count, 2, 10), torch.nan),
        translation=torch.full((count, 2, 3), torch.nan),
        grasp=torch.full((count, 2), -1, dtype=torch.int64),
        not_padding=torch.ones(count),
        frames=1,
        valid={
            name: labelled.clone() if name in ('joints_3d', 'joints_2d') else never.clone()
            for name in TARGETS
        },
        modality='depth',
        boxes=boxes,
    )


def for_shipped_hand(batch: ViewBatch) -> ViewBatch:
    """Make labels of another hand model, such as MANO, fit the shipped one.

    Its shape numbers mean nothing here and count as unlabelled; the translation becomes the one
    that puts the shipped hand's wrist, at its mean shape, where the label has it.
    """
    wrist = _rest_wrists().to(batch.joints)
    return dataclasses.replace(
        batch,
        betas=torch.full_like(batch.betas, torch.nan),
        translation=batch.joints[:, :, 0] - wrist,
        valid={**batch.valid, 'betas': torch.zeros_like(batch.valid['betas'])},
    )


@cache
def _rest_wrists() -> Tensor:
    """Wrists (2, 3) of the shipped hands at rest, metres."""
    return HandLayer().rest_joints(torch.zeros(1, 2, 10))[0, :, 0]


def _mean_pose(folder: Path) -> NDArray[np.float64]:
    """Return MANO's mean pose (2, 15, 3) from a folder with mano_left.npz and mano_right.npz."""
    folder = folder.expanduser()
    return np.stack(
        [load_hand_model(side, folder / f'mano_{side}.npz').hands_mean for side in SIDES]
    )


def _root(config: SourceConfig) -> Path:
    if config.root is None:
        raise TrainingError(f'the data set {config.data!r} needs its folder: add root')
    return config.root


def _count(config: SourceConfig, found: int) -> int:
    """Return how many clips to use."""
    if found == 0:
        raise TrainingError(f'{config.root} has no clips of {config.data}: check split and options')
    return min(found, config.clips) if config.clips else found


def _float(array: NDArray[np.floating]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
