"""ThermoHands tree: a labelled session in the folders and files of the released data set.

Source: methods specification, section 1.8.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.datasets.thermohands_layout import (
    CALIBRATION,
    FOLDERS,
    LABELS,
    RELEASED_ROOTS,
    FrameLabels,
    gt_info,
    subject_folder,
)
from hand_pose_ros.errors import DataError, RigError
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.frame import MODALITIES, Modality, StreamImage
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.rig.thermohands import EGO_SIZES, calibration_from_rig, write_calibration
from hand_pose_ros.sessions.labels import SessionLabels
from hand_pose_ros.sessions.session import Session

Array = NDArray[np.float64]

_MILLIMETRES = 1000.0


def write_thermohands(
    root: Path,
    session: Session,
    labels: SessionLabels,
    *,
    subject: int,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the sets that have all four images, and their labels in the NIR camera's frame.

    The tree is replaced when it is complete. The format knows the intrinsics of images of certain
    shapes only; others are set into the next larger image of that shape, without resampling.

    Args:
        root: the data set.
        session: the labels are of.
        labels: of its sets.
        subject: number, which decides the part (train, val, test) the recording is of.
        progress: told the number of rows done.

    Returns:
        the number of frames written.

    Raises:
        RigError: if the rig does not have the four cameras, or the format cannot hold them.
        DataError: if a file cannot be written.
    """
    rig = session.rig
    names = _cameras(rig)
    calibration = calibration_from_rig(_as_published(rig, names))
    unfinished = root.with_name(f'.{root.name}.new')
    shutil.rmtree(unfinished, ignore_errors=True)
    folder = unfinished / RELEASED_ROOTS[1] / subject_folder(subject) / session.path.name
    T_nir_world = inverse(rig.cameras[names['nir']].T_rig_cam) @ rig.reference_camera.T_rig_cam
    in_nir = _moved(labels, T_nir_world)
    rows = {int(number): row for row, number in enumerate(labels.numbers)}
    written = 0
    try:
        for kind in (*FOLDERS['released'].values(), LABELS):
            (folder / kind).mkdir(parents=True)
        (unfinished / CALIBRATION).parent.mkdir()
        write_calibration(calibration, unfinished / CALIBRATION)
        for number, frame in session.frames(sorted(rows), list(names.values())):
            row = rows[number]
            progress(row + 1)
            if len(frame.streams) < len(names):
                continue
            stem = str(int(labels.stamps[row]) // 1_000_000)
            for modality, kind in FOLDERS['released'].items():
                stream = frame.streams[names[modality]]  # type: ignore[index]
                image = _png(stream, modality)  # type: ignore[arg-type]
                (folder / kind / f'{stem}.png').write_bytes(image)
            document = json.dumps(gt_info(in_nir[row]))
            (folder / LABELS / f'{stem}.json').write_text(document, encoding='utf-8')
            written += 1
        shutil.rmtree(root, ignore_errors=True)
        unfinished.rename(root)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise DataError(
            f'{error.filename or root} cannot be written ({error.strerror}): free space.'
        ) from None
    return written


def _cameras(rig: RigDescription) -> dict[Modality, str]:
    """Return the first calibrated camera of each modality on the rig's own body."""
    names: dict[Modality, str] = {}
    for camera in rig.cameras.values():
        if not camera.body and camera.camera is not None:
            names.setdefault(camera.modality, camera.name)
    missing = [modality for modality in MODALITIES if modality not in names]
    if missing:
        raise RigError(
            f'{rig.name} has no calibrated {", ".join(missing)} camera, which a ThermoHands tree '
            'needs: use the other outputs.'
        )
    return names


def _as_published(rig: RigDescription, names: dict[Modality, str]) -> RigDescription:
    """Return the rig with the names and image sizes that the calibration file is about."""
    cameras: dict[str, CameraDescription] = {}
    for modality, name in names.items():
        description = rig.cameras[name]
        camera = description.camera
        assert camera is not None
        width, height = EGO_SIZES[modality]
        if (camera.width, camera.height) != (width, height):
            shape = _framed((camera.width, camera.height), (width, height))
            intrinsics = camera.intrinsics.copy()
            intrinsics[:2, 2] += np.array(_offset((camera.width, camera.height), shape))
            framed = replace(camera, width=shape[0], height=shape[1], intrinsics=intrinsics)
            camera = framed.scaled(width, height)
        cameras[modality] = replace(description, name=modality, camera=camera, size=(width, height))
    limits = replace(
        rig.synchronizer, streams=tuple(cameras), reference='thermal', required=(), offsets={}
    )
    return replace(rig, cameras=cameras, reference='thermal', synchronizer=limits)


def _framed(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Return the smallest (width, height) of a shape that holds an image of a size."""
    unit = np.array(shape) // np.gcd(*shape)
    units = int(np.ceil(np.array(size) / unit).max())
    return int(unit[0] * units), int(unit[1] * units)


def _offset(size: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    return (shape[0] - size[0]) // 2, (shape[1] - size[1]) // 2


def _png(stream: StreamImage, modality: Modality) -> bytes:
    """Return an image as the data set stores it, black around it when its shape is another."""
    pixels: NDArray[Any]
    if modality == 'depth':
        metres = np.nan_to_num(stream.image, nan=0.0, posinf=0.0)
        pixels = np.rint(np.clip(metres * _MILLIMETRES, 0, 65535)).astype(np.uint16)
    elif modality == 'rgb':
        pixels = stream.image[..., ::-1]
    elif modality == 'thermal' or stream.image.dtype != np.uint8:
        pixels = agc(stream.image, white_hot=stream.white_hot)
    else:
        pixels = stream.image
    height, width = pixels.shape[:2]
    frame_width, frame_height = _framed((width, height), EGO_SIZES[modality])
    left, top = _offset((width, height), (frame_width, frame_height))
    framed = np.zeros((frame_height, frame_width, *pixels.shape[2:]), pixels.dtype)
    framed[top : top + height, left : left + width] = pixels
    done, data = cv2.imencode('.png', framed)
    assert done
    return data.tobytes()


def _moved(labels: SessionLabels, T_nir_world: Array) -> list[FrameLabels]:
    """Return the usable labels of each row in the NIR camera's frame; the others are NaN."""
    usable = labels.usable & np.isfinite(labels.joints).all(axis=(2, 3))
    joints = np.where(usable[..., None, None], apply(T_nir_world, labels.joints), np.nan)
    orient = np.full(labels.global_orient.shape, np.nan)
    turned = Rotation.from_matrix(T_nir_world[:3, :3]) * Rotation.from_rotvec(
        labels.global_orient[usable]
    )
    orient[usable] = turned.as_rotvec().reshape(-1, 3)
    pose = np.concatenate([orient, labels.hand_pose.reshape(*orient.shape[:2], 45)], axis=2)
    # The model turns about its wrist at rest, J0 = wrist - translation, which stays in place.
    rest = labels.joints[:, :, 0] - labels.translation
    translation = joints[:, :, 0] - rest
    return [
        FrameLabels(
            joints=joints[row], pose=np.where(usable[row][:, None], pose[row], np.nan),
            betas=np.where(usable[row][:, None], labels.betas[row], np.nan),
            translation=np.where(usable[row][:, None], translation[row], np.nan),
        )
        for row in range(len(labels.stamps))
    ]  # fmt: skip
