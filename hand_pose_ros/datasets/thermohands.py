"""ThermoHands: two hands in thermal, NIR, depth and RGB images from the head.

Source: methods specification, sections 1.5, 1.8 and 1.10. Differences to the published reader:
labels move to the thermal camera by the rigid transform of the calibration file, the lens is not
ignored, a missing label is invalid instead of zero, and the K of half-size images follows the
half-pixel rule.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.datasets.collate import fit
from hand_pose_ros.datasets.dataset import HandDataset
from hand_pose_ros.datasets.files import (
    check_camera,
    inside,
    read_grey,
    read_image,
    read_millimetres,
    require,
)
from hand_pose_ros.datasets.sample import (
    MANOPTH_TIPS,
    HandModelConvention,
    HandSample,
    Modality,
    unlabelled,
)
from hand_pose_ros.datasets.thermohands_layout import (
    CALIBRATION,
    EXCLUDED_CLIPS,
    FOLDERS,
    GESTURE_SUBJECTS,
    GESTURES_SUFFIX,
    LABELS,
    LMDB,
    ORIGIN,
    RELEASED_ROOTS,
    SETTING_SUFFIXES,
    SUBJECTS,
    FrameLabels,
    Layout,
    Split,
    read_gt_info,
    read_split_list,
    subject_folder,
)
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.model import RigDescription

Array = NDArray[np.float64]
Stream = Literal['thermal', 'jet', 'nir', 'depth', 'rgb']

# The labels were fitted with manopth and the MANO files as they are distributed.
CONVENTION = HandModelConvention(flat_mean=True, left_shape_fix=False, tip_vertices=MANOPTH_TIPS)
_ANY_HAND = 3


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Where one frame lies; paths are relative to the data set, and None is missing."""

    sequence: str
    index: int
    image: str
    labels: str | None
    mask: str | None
    segment: str
    stamp: int | None


class ThermoHands(HandDataset):
    """One stream of one part of the data set, of the released or of the training tree."""

    def __init__(
        self, root: str | Path, *, split: Split = 'train', stream: Stream = 'thermal',
        setting: str | None = None, images: Literal['png', 'lmdb'] = 'png',
        undistort: bool = False, calibration: str | Path | None = None,
    ) -> None:  # fmt: skip
        """List the frames.

        Args:
            root: folder that holds ``egocenctirc`` (or ``egocentric``), or ``action_labels``.
            split: part of the data set, by subject. The recordings of the released tree that are
                not from the office belong to no split and are all read.
            stream: sensor; ``jet`` is the thermal image in false colours (training tree).
            setting: only recordings of ``office``, ``darkness``, ``sun_glare``, ``gloves`` or
                ``kitchen``; None is the office in the released tree and everything in the other.
            images: ``lmdb`` reads the images of the training tree from its LMDB.
            undistort: remove the lens from images, masks and K.
            calibration: ``ego_calib.json`` or a rig; default is the file beside the data, else the
                published one.

        Raises:
            DataError: naming what is missing or unknown and where to obtain it.
            RigError: the calibration cannot be used.
        """
        self.root = Path(root)
        self.stream: Stream = stream
        self.layout = _layout(self.root)
        self._undistort = undistort
        self._folders = FOLDERS[self.layout]
        if stream not in self._folders:
            known = ', '.join(name for name in self._folders if 'mask' not in name)
            raise DataError(f'the {self.layout} tree has no stream {stream!r}: use {known}')
        if setting is not None and setting not in SETTING_SUFFIXES:
            known = ', '.join(SETTING_SUFFIXES)
            raise DataError(f'setting {setting!r} is unknown: use {known}')
        if images == 'lmdb' and (self.layout, split) != ('training', 'train'):
            raise DataError('only the train split of the training tree has an LMDB: use images png')
        self._lmdb = _ImageBase(self.root / LMDB) if images == 'lmdb' else None
        self._rig = _rig(self.root, calibration)
        list_recordings = _training if self.layout == 'training' else _released
        recordings = list_recordings(self.root, split, stream, setting)
        self._frames = [frame for recording in recordings for frame in recording]
        ends = [0, *accumulate(map(len, recordings))]
        self._segments = [range(*pair) for pair in pairwise(ends)]
        self._views: dict[tuple[int, int], tuple[Camera, Array]] = {}
        if not self._frames:
            raise DataError(
                f'{self.root} has no frames of split {split}, setting {setting}: obtain it from '
                f'{ORIGIN}'
            )

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def segments(self) -> list[range]:
        """Frames of each recording."""
        return self._segments

    def __getitem__(self, index: int) -> HandSample:
        frame = self._frames[index]
        image = self._image(frame)
        camera, T_camera_nir = self._view(image.shape[1], image.shape[0])
        sample = HandSample(
            image=image, modality=self.modality, camera=camera, sequence=frame.sequence,
            index=frame.index, mask=self._mask(frame), convention=CONVENTION, stamp=frame.stamp,
        )  # fmt: skip
        if frame.labels is not None and (self.root / frame.labels).is_file():
            labels = read_gt_info(self.root / frame.labels)
            sample = replace(sample, **_moved(labels, camera, T_camera_nir))
        if self._undistort:
            return fit(sample, (camera.width, camera.height))
        return sample

    @property
    def modality(self) -> Modality:
        """Kind of the images."""
        return 'thermal' if self.stream == 'jet' else self.stream

    def _image(self, frame: _Frame) -> NDArray[Any]:
        path = self.root / frame.image
        if self._lmdb is not None and self.stream != 'depth':
            image = self._lmdb.read(frame.segment, frame.image, self._default_size)
            return image if self.stream in ('rgb', 'jet') else image[..., 0].copy()
        if self.stream == 'depth':
            return read_millimetres(path, ORIGIN)
        if self.stream in ('rgb', 'jet'):
            return read_image(path, ORIGIN)
        return read_grey(path, ORIGIN)

    def _mask(self, frame: _Frame) -> NDArray[np.uint8] | None:
        if frame.mask is None or not (self.root / frame.mask).is_file():
            return None
        mask = read_grey(self.root / frame.mask, ORIGIN)
        return np.where(mask > 127, np.uint8(_ANY_HAND), np.uint8(0))

    @property
    def _default_size(self) -> tuple[int, int]:
        return (320, 256) if self.modality == 'thermal' else (320, 240)

    def _view(self, width: int, height: int) -> tuple[Camera, Array]:
        """Return the camera of images of a size and T_camera_nir, which moves labels to it."""
        if (width, height) not in self._views:
            self._views[width, height] = self._make_view(width, height)
        return self._views[width, height]

    def _make_view(self, width: int, height: int) -> tuple[Camera, Array]:
        names = [self.modality, 'nir'] if self.stream == 'rgb' else [self.modality]
        for name in names:  # RGB images of NIR's shape are registered to the NIR camera
            camera = self._rig.cameras[name].camera
            assert camera is not None
            if width * camera.height == height * camera.width:
                T_rig_camera = self._rig.cameras[name].T_rig_cam
                T_camera_nir = inverse(T_rig_camera) @ self._rig.cameras['nir'].T_rig_cam
                check_camera(camera, f'{self._rig.name}, camera {name}')
                same = (width, height) == (camera.width, camera.height)
                return (camera if same else camera.scaled(width, height)), T_camera_nir
        raise DataError(
            f'{self.root} has {self.stream} images of {width} x {height} pixels, which the K of '
            f'the calibration, {self._rig.cameras[names[0]].size}, is not about: use images and '
            'calibration that belong together'
        )


class _ImageBase:
    """The LMDB of the training tree: raw RGB images by their path, one part per recording."""

    def __init__(self, path: Path) -> None:
        require(path, f'{ORIGIN}, and make it with its make_lmdb')
        try:
            import lmdb
        except ImportError:
            raise DataError(
                f'{path} needs the package lmdb: install requirements/training.txt'
            ) from None
        try:
            self._base = _opened(str(path.resolve()))
        except lmdb.Error as error:
            raise DataError(f'{path} cannot be opened ({error}): make it again') from error
        self._parts: dict[str, Any] = {}
        self.path = path

    def read(self, segment: str, key: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Return the RGB image (H, W, 3) stored under a path; raises DataError naming it."""
        import lmdb

        try:
            if segment not in self._parts:
                self._parts[segment] = self._base.open_db(segment.encode(), create=False)
            with self._base.begin(db=self._parts[segment]) as transaction:
                content = transaction.get(key.encode())
        except lmdb.Error:
            content = None
        if content is None or len(content) != size[0] * size[1] * 3:
            raise DataError(
                f'{self.path} part {segment} has no image {key} of {size[0]} x {size[1]}: make it '
                'again'
            )
        return np.frombuffer(content, np.uint8).reshape(size[1], size[0], 3).copy()


@cache  # a process may open an LMDB only once
def _opened(path: str) -> Any:
    import lmdb

    return lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False, max_dbs=1000)


def _layout(root: Path) -> Layout:
    require(root, ORIGIN)
    if (root / 'action_labels').is_dir():
        return 'training'
    if any((root / name).is_dir() for name in RELEASED_ROOTS):
        return 'released'
    raise DataError(
        f'{root} has neither {" nor ".join((*RELEASED_ROOTS, "action_labels"))}: obtain the data '
        f'set from {ORIGIN}, or make one with hand-pose simulate'
    )


def _rig(root: Path, calibration: str | Path | None) -> RigDescription:
    if calibration is None:
        beside = root / CALIBRATION
        calibration = beside if beside.is_file() else 'thermohands_ego'
    rig = find_rig(str(calibration))
    return replace(rig, name=str(calibration))


def _training(root: Path, split: Split, stream: Stream, setting: str | None) -> list[list[_Frame]]:
    """List the frames of each row of a split list."""
    folders = FOLDERS['training']
    mask = folders['thermal_mask' if stream in ('thermal', 'jet') else 'nir_mask']
    recordings = []
    for row in read_split_list(root / 'action_labels' / f'action_{split}.txt'):
        if not _is_wanted(row.folder.split('/')[0], setting):
            continue
        inside(root, row.folder)
        recordings.append([
            _Frame(
                sequence=row.folder, index=number, stamp=None,
                image=f'{row.folder}/{folders[stream]}/{number:06d}.png',
                labels=f'{row.folder}/{LABELS}/{number:06d}.json',
                mask=f'{row.folder}/{mask}/{number:06d}.png',
                segment=f'{row.number - 1:04d}',
            )
            for number in range(row.first, row.last + 1)
        ])  # fmt: skip
    return recordings


def _is_wanted(subject: str, setting: str | None) -> bool:
    if setting is None:
        return True
    of_setting = next(
        (name for name, end in SETTING_SUFFIXES.items() if end and subject.endswith(end)), 'office'
    )
    return of_setting == setting


def _released(root: Path, split: Split, stream: Stream, setting: str | None) -> list[list[_Frame]]:
    """List the frames of each clip of the released tree, matched by their order."""
    top = next(name for name in RELEASED_ROOTS if (root / name).is_dir())
    recordings = []
    for subject in _subjects(root / top, split, setting or 'office'):
        for clip in sorted(path for path in (root / top / subject).iterdir() if path.is_dir()):
            if clip.name not in EXCLUDED_CLIPS:
                recordings.append(list(_clip(root, clip, FOLDERS['released'][stream])))
    return [recording for recording in recordings if recording]


def _subjects(folder: Path, split: Split, setting: str) -> list[str]:
    if setting != 'office':
        pattern = f'subject_??{SETTING_SUFFIXES[setting]}'
        return sorted(path.name for path in folder.glob(pattern) if path.is_dir())
    names = [subject_folder(number) for number in SUBJECTS[split]]
    names += [subject_folder(number) + GESTURES_SUFFIX for number in GESTURE_SUBJECTS[split]]
    return [name for name in names if (folder / name).is_dir()]


def _clip(root: Path, clip: Path, stream_folder: str) -> Iterator[_Frame]:
    images = sorted(require(clip / stream_folder, ORIGIN).glob('*.png'), key=_by_number)
    labels: list[Path | None] = [*sorted((clip / LABELS).glob('*.json'), key=_by_number)]
    if len(labels) != len(images):  # by name, so that one missing label shifts no others
        by_name = {path.stem: path for path in labels if path is not None}
        labels = [by_name.pop(image.stem, None) for image in images]
        if by_name:
            raise DataError(
                f'{clip / LABELS} has labels without an image in {stream_folder}, such as '
                f'{next(iter(by_name))}: obtain both again from {ORIGIN}'
            )
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield _Frame(
            sequence=str(clip.relative_to(root)), index=index,
            image=str(image.relative_to(root)), mask=None, segment='',
            labels=None if label is None else str(label.relative_to(root)),
            stamp=int(image.stem) * 1_000_000 if image.stem.isdigit() else None,
        )  # fmt: skip


def _by_number(path: Path) -> tuple[int, str]:
    return len(path.stem), path.stem


def _moved(labels: FrameLabels, camera: Camera, T_camera_nir: Array) -> dict[str, Any]:
    """Return the labels of a frame in another camera's frame, and their pixels."""
    joints = apply(T_camera_nir, labels.joints)
    orientation = unlabelled(3)
    known = np.isfinite(labels.pose[:, :3]).all(1)
    if known.any():
        turned = Rotation.from_matrix(T_camera_nir[:3, :3]) * Rotation.from_rotvec(
            labels.pose[known, :3]
        )
        orientation[known] = turned.as_rotvec()
    # The model turns about its own wrist at rest, J0 = wrist - translation, which stays in place.
    rest = labels.joints[:, 0] - labels.translation
    return {
        'joints': joints,
        'pixels': camera.project(joints.reshape(-1, 3)).reshape(2, 21, 2),
        'global_orient': orientation,
        'hand_pose': labels.pose[:, 3:].reshape(2, 15, 3),
        'betas': labels.betas,
        'translation': joints[:, 0] - rest,
    }
