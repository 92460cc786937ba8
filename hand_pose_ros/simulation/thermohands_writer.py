"""Writes simulated clips as a data set in the folders and files of ThermoHands.

Source: methods specification, section 1.8. RGB images are registered to the NIR camera there, so
they are rendered from it.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.thermohands import EGO_SIZES, calibration_from_rig, write_calibration
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SimulationConfig, Split
from hand_pose_ros.simulation.batch_sensors import draw_environments, render
from hand_pose_ros.simulation.gbuffer import GBuffer

Layout = Literal['training', 'released']
LAYOUTS: tuple[Layout, ...] = ('training', 'released')

# Subjects of each split in the published data set.
_SUBJECTS: dict[Split, tuple[int, ...]] = {
    'train': (3, 4, 11, 19, 22, 23, 24, 27, 28, 29, 31, 33, 34, 35, 36, 37),
    'val': (1, 18, 21, 25),
    'test': (2, 6, 13, 16, 20, 26, 30, 32),
}
_SUFFIXES = {'darkness': '_dark', 'sun_glare': '_strong', 'gloves': '_glove', 'kitchen': '_kit'}
_SIZES: dict[Layout, dict[str, tuple[int, int]]] = {
    'training': {'thermal': (320, 256), 'nir': (320, 240)},
    'released': {'thermal': EGO_SIZES['thermal'], 'nir': EGO_SIZES['nir']},
}
_FOLDERS: dict[Layout, dict[str, str]] = {
    'training': {
        'thermal': 'thermal320_256', 'jet': 'jet_320_256', 'thermal_mask': 'mask320_256',
        'rgb': 'rgb320_240', 'nir': 'ir320_240', 'depth': 'depth320_240',
        'nir_mask': 'rgbmask320_240',
    },
    'released': {'thermal': 'thermal', 'rgb': 'rgb', 'nir': 'ir', 'depth': 'depth'},
}  # fmt: skip
_FIRST_STAMP = 1_700_000_000_000  # milliseconds; frames of the released layout carry stamps
_MILLIMETRES = 1000


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
            config, rig=_registered(rig), image_size=_SIZES[layout], vary_intrinsics=False,
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
            for kind, folder in _FOLDERS[self.layout].items():
                self._write_image(f'{clip.folder}/{folder}/{self._name(frame)}.png',
                                  images[kind][frame])  # fmt: skip
            document = gt_info({name: value[frame] for name, value in labels.items()})
            self._write(f'{clip.folder}/gt_info/{self._name(frame)}.json', json.dumps(document))
        self._written.append(clip)
        return clip

    def finish(self) -> None:
        """Write the calibration and the split lists."""
        (self.root / 'calibration').mkdir(exist_ok=True)
        write_calibration(self._calibration, self.root / 'calibration' / 'ego_calib.json')
        if self.layout == 'training':
            for split in _SUBJECTS:
                rows = ['id path action first last']
                clips = self._written if split == self._split else []
                for place, clip in enumerate(clips, start=1):
                    rows.append(f'{place} {clip.folder} 0 0 {clip.frames - 1}')
                self._write(f'action_labels/action_{split}.txt', '\n'.join(rows) + '\n')

    def _folder(self, number: int, setting: str) -> str:
        subjects = _SUBJECTS[self._split]
        subject = f'subject_{subjects[number % len(subjects)]:02d}{_SUFFIXES.get(setting, "")}'
        folder = f'{subject}/simulated_{number:06d}'
        return f'egocentric/{folder}' if self.layout == 'released' else folder

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


def gt_info(labels: dict[str, Tensor]) -> dict[str, Any]:
    """Return the label document of one frame.

    Args:
        labels: of both hands (left, right) in the NIR camera's frame, see
            ``batch_labels.hand_labels``. A hand that is not in view has null for its numbers.
    """
    document: dict[str, Any] = {}
    for index, side in enumerate('LR'):
        pose = [labels['global_orient'][index], labels['hand_pose'][index].flatten()]
        coefficients = np.concatenate([part.double().cpu().numpy() for part in pose])
        document[f'kps3D_{side}'] = _numbers(labels['joints'][index])
        document[f'poseCoeff_{side}'] = _numbers(coefficients[None])
        document[f'beta_{side}'] = _numbers(labels['betas'][index][None])
        document[f'trans_{side}'] = _numbers(labels['translation'][index][None])
    return document


def _numbers(values: Tensor | NDArray[Any]) -> Any:
    """Return nested lists of numbers as JSON has them: what is unknown is null."""
    array = np.asarray(values.cpu() if isinstance(values, Tensor) else values, np.float64)
    known = array.astype(object)
    known[~np.isfinite(array)] = None
    return known.tolist()


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
