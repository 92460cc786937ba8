"""Writes simulated clips as a data set in the folders and files of ThermoHands.

Source: methods specification, section 1.8. RGB images are registered to the NIR camera there, so
they are rendered from it.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.datasets.thermohands_layout import (
    CALIBRATION,
    FOLDERS,
    LABELS,
    RELEASED_ROOTS,
    SIZES,
    SUBJECTS,
    FrameLabels,
    Layout,
    Recording,
    gt_info,
    subject_folder,
    write_split_list,
)
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.thermohands import EGO_SIZES, calibration_from_rig, write_calibration
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_sensors import draw_environments, render
from hand_pose_ros.simulation.gbuffer import GBuffer

_FIRST_STAMP = 1_700_000_000_000  # milliseconds; frames of the released layout carry stamps
_MILLIMETRES = 1000
_LABELLED = ('joints', *MODEL_PARAMETERS)


@dataclass(frozen=True, kw_only=True)
class WrittenClip:
    """One clip on the disk.

    Attributes:
        folder: relative to the data set.
        setting: its surroundings.
        frames: images of every kind.
    """

    folder: str
    setting: str
    frames: int


class ThermoHandsWriter:
    """Renders clips and writes them; ``finish`` completes the data set."""

    def __init__(
        self,
        root: Path,
        config: SimulationConfig,
        *,
        layout: Layout = 'training',
        rate: float = 8.5,
        device: str = 'cpu',
    ) -> None:
        """Prepare an empty folder.

        Args:
            root: the data set.
            config: what is simulated; image sizes, rate and K are those of the data set, and
                there are always two hands, as the format cannot say otherwise.
            layout: ``training`` (half size, masks, split list) or ``released`` (full size).
            rate: images per second.
            device: where images are rendered.

        Raises:
            DataError: the folder holds something already, or the rig does not fit the format.
        """
        self.root = root
        self.layout = layout
        self._rate = rate
        self._split = config.split
        rig = _full_size(config.rig)
        self._calibration = calibration_from_rig(rig)
        self.config = replace(
            config, rig=_registered(rig), image_size=_image_sizes(layout), vary_intrinsics=False,
            rate_range=(rate, rate), absent=0.0,
        )  # fmt: skip
        self._simulator = BatchSimulator(self.config, device)
        self._written: list[WrittenClip] = []
        _take(root)

    def write_clip(self, number: int, frames: int) -> WrittenClip:
        """Render a clip and write its images and labels."""
        views = self._simulator.geometry([number], ('thermal', 'nir'), frames)
        environment = draw_environments(self.config, [number], self._simulator.device)
        thermal, _ = views['thermal']
        nir, labels = views['nir']
        setting = environment.settings[0]
        clip = WrittenClip(folder=self._folder(number, setting), setting=setting, frames=frames)
        images: dict[str, NDArray[Any]] = {
            'thermal': _grey(render('thermal', thermal, environment)),
            'nir': _grey(render('nir', nir, environment)),
            'depth': _millimetres(render('depth', nir, environment)),
            'rgb': _bgr(render('rgb', nir, environment)),
            'thermal_mask': _mask(thermal),
            'nir_mask': _mask(nir),
        }
        images['jet'] = np.stack(
            [cv2.applyColorMap(image, cv2.COLORMAP_JET) for image in images['thermal']]
        )
        for frame in range(frames):
            for kind, folder in FOLDERS[self.layout].items():
                self._write_image(f'{clip.folder}/{folder}/{self._name(frame)}.png',
                                  images[kind][frame])  # fmt: skip
            document = json.dumps(gt_info(_labels(labels, frame)))
            self._write(f'{clip.folder}/{LABELS}/{self._name(frame)}.json', document)
        self._written.append(clip)
        return clip

    def finish(self) -> None:
        """Write the calibration and the split lists."""
        path = self.root / CALIBRATION
        path.parent.mkdir(exist_ok=True)
        write_calibration(self._calibration, path)
        if self.layout == 'training':
            (self.root / 'action_labels').mkdir(exist_ok=True)
            for split in SUBJECTS:
                rows = [
                    Recording(number=number, folder=clip.folder, first=0, last=clip.frames - 1)
                    for number, clip in enumerate(self._written, start=1)
                    if split == self._split
                ]
                write_split_list(self.root / 'action_labels' / f'action_{split}.txt', rows)

    def _folder(self, number: int, setting: str) -> str:
        subjects = SUBJECTS[self._split]
        subject = subject_folder(subjects[number % len(subjects)], setting)
        folder = f'{subject}/simulated_{number:06d}'
        return f'{RELEASED_ROOTS[1]}/{folder}' if self.layout == 'released' else folder

    def _name(self, frame: int) -> str:
        if self.layout == 'training':
            return f'{frame:06d}'
        return str(_FIRST_STAMP + round(frame * 1000 / self._rate))

    def _write_image(self, relative: str, image: NDArray[Any]) -> None:
        done, data = cv2.imencode('.png', image)
        assert done
        self._write(relative, data.tobytes())

    def _write(self, relative: str, content: str | bytes) -> None:
        path = self.root / relative
        data = content.encode() if isinstance(content, str) else content
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except OSError as error:
            raise DataError(
                f'{path} cannot be written ({error.strerror}): free space or name another folder'
            ) from error


def _labels(labels: dict[str, Tensor], frame: int) -> FrameLabels:
    """Return the labels of one frame, see ``batch_labels.hand_labels``; NaN = not in view."""
    values = {name: labels[name][frame].double().cpu().numpy() for name in _LABELLED}
    pose = [values['global_orient'], values['hand_pose'].reshape(2, -1)]
    return FrameLabels(
        joints=values['joints'], pose=np.concatenate(pose, axis=1), betas=values['betas'],
        translation=values['translation'],
    )  # fmt: skip


def _take(root: Path) -> None:
    """Make an empty folder of the data set.

    Raises:
        DataError: it holds something, is no folder, or cannot be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        occupied = any(root.iterdir())
    except OSError as error:
        raise DataError(
            f'{root} cannot be used for a data set ({error.strerror}): name a new folder'
        ) from error
    if occupied:
        raise DataError(f'{root} is not empty and is left as it is: name a new folder')


def _full_size(rig: RigDescription) -> RigDescription:
    """Return the rig with images of the sizes that calibration files are about."""
    cameras = {}
    for name, size in EGO_SIZES.items():
        description = rig.cameras.get(name)
        if description is None or description.camera is None:
            raise DataError(
                f'{rig.name} has no calibrated {name} camera, which a ThermoHands data set needs: '
                'use simulated_head_rig or an ego_calib.json'
            )
        camera = _fitted(description.camera, size)
        cameras[name] = replace(description, camera=camera, size=size)
    return replace(rig, cameras=cameras)


def _image_sizes(layout: Layout) -> dict[str, tuple[int, int]]:
    """Return (width, height) by stream; what is registered to NIR has its size."""
    sizes = SIZES if layout == 'training' else EGO_SIZES
    return {'thermal': sizes['thermal'], **dict.fromkeys(('nir', 'depth', 'rgb'), sizes['nir'])}


def _fitted(camera: Camera, size: tuple[int, int]) -> Camera:
    """Return a camera whose images, of another size, hold the whole view without stretching."""
    if size == (camera.width, camera.height):
        return camera  # not a bit of it changes
    factor = min(size[0] / camera.width, size[1] / camera.height)
    view = camera.scaled(round(camera.width * factor), round(camera.height * factor))
    intrinsics = view.intrinsics.copy()
    intrinsics[:2, 2] += (np.array(size) - (view.width, view.height)) / 2
    return replace(view, width=size[0], height=size[1], intrinsics=intrinsics)


def _registered(rig: RigDescription) -> RigDescription:
    """Return the rig whose RGB images are seen from the NIR camera."""
    nir: CameraDescription = rig.cameras['nir']
    rgb = replace(rig.cameras['rgb'], camera=nir.camera, size=nir.size, T_rig_cam=nir.T_rig_cam)
    return replace(rig, cameras={**rig.cameras, 'rgb': rgb})


def _grey(images: Tensor) -> NDArray[np.uint8]:
    return (images[:, 0] * 255).round().byte().cpu().numpy()


def _bgr(images: Tensor) -> NDArray[np.uint8]:
    return (images.flip(1).permute(0, 2, 3, 1) * 255).round().byte().cpu().numpy()


def _millimetres(metres: Tensor) -> NDArray[np.uint16]:
    return (metres[:, 0] * _MILLIMETRES).round().cpu().numpy().astype(np.uint16)


def _mask(gbuffer: GBuffer) -> NDArray[np.uint8]:
    return ((gbuffer.hand_mask > 0) * 255).byte().cpu().numpy()
