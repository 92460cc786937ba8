"""ThermoHands' calibration files (ego_calib.json, exo_calib.json) to rig descriptions and back.

Source: methods specification, section 1.8. The files hold no image sizes and no body frame: the
sizes are those of the published rig, and the rig frame sits in the depth camera with body axes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse, is_rigid, rigid
from hand_pose_ros.rig.camera_file import R_BODY_OPTICAL
from hand_pose_ros.rig.model import CameraDescription, RigDescription

Array = NDArray[np.float64]

EGO_SIZES = {'thermal': (640, 512), 'nir': (640, 480), 'depth': (640, 480), 'rgb': (1920, 1080)}
EXO_SIZE = (1280, 720)

_METADATA_KEY = 'thermohands'
_EGO_CAMERAS = {'thermal': 'thermal', 'rgb': 'rgb', 'nir': 'ir', 'depth': 'ir'}
_EXO_CAMERAS = {'rgb': 'ir', 'depth': 'ir'}
_ENCODINGS = {'thermal': 'mono8', 'nir': 'mono8', 'depth': '16UC1', 'rgb': 'rgb8'}

# Depth camera in the rig frame: body axes at its optical centre.
_T_RIG_DEPTH = rigid(R_BODY_OPTICAL, np.zeros(3))


@dataclass(frozen=True, kw_only=True, eq=False)
class ThermoHandsCalibration:
    """The content of a calibration file, every number and every unknown key as it was.

    Attributes:
        document: the parsed JSON object.
        source: file name for messages.
    """

    document: dict[str, Any]
    source: str = 'calibration'

    @property
    def is_ego(self) -> bool:
        """Whether this is the head rig (four cameras) rather than the exocentric camera."""
        return 'thermal_mtx' in self.document

    def intrinsics(self, prefix: str) -> Array:
        """K (3, 3) in pixels of ``thermal``, ``rgb`` or ``ir``."""
        return self._numbers(f'{prefix}_mtx', (9,)).reshape(3, 3)

    def distortion(self, prefix: str) -> Array:
        """Distortion coefficients k1, k2, p1, p2(, k3) of ``thermal``, ``rgb`` or ``ir``."""
        return self._numbers(f'{prefix}_dist', (4, 5, 8))

    def transform(self, pair: str) -> Array:
        """Rigid transform (4, 4) of ``depth2rgb`` or ``rgb2thermal``, metres."""
        rotation = self._numbers(f'{pair}_rotation_matrix', (9,)).reshape(3, 3)
        transform = rigid(rotation, self._numbers(f'{pair}_translation_vector', (3,)))
        if not is_rigid(transform):
            raise RigError(
                f'{self.source}: {pair}_rotation_matrix is not a rotation (orthonormal, '
                'determinant +1), calibrate again'
            )
        return transform

    def _numbers(self, key: str, counts: tuple[int, ...]) -> Array:
        if key not in self.document:
            raise RigError(f'{self.source}: {key} is missing, is this a complete calibration?')
        try:
            numbers = np.array(self.document[key], dtype=np.float64).ravel()
        except (TypeError, ValueError):
            numbers = np.full(1, np.nan)
        if numbers.size not in counts or not np.isfinite(numbers).all():
            wanted = ' or '.join(map(str, counts))
            raise RigError(f'{self.source}: {key} must hold {wanted} finite numbers')
        return numbers


def is_calibration(document: Any) -> bool:
    """Say whether a parsed file is a ThermoHands calibration."""
    return isinstance(document, Mapping) and ('ir_mtx' in document or 'thermal_mtx' in document)


def read_calibration(path: str | Path) -> ThermoHandsCalibration:
    """Read ``ego_calib.json`` or ``exo_calib.json``; raises RigError with file and key."""
    path = Path(path)
    try:
        document = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise RigError(f'{path}: cannot be read ({error.strerror}), check the path') from error
    except ValueError as error:
        raise RigError(f'{path}: not valid JSON ({error}), correct that place') from error
    return parse_calibration(document, str(path))


def parse_calibration(document: Any, source: str) -> ThermoHandsCalibration:
    """Check a parsed calibration file; every key its kind needs must be there and make sense."""
    if not is_calibration(document):
        raise RigError(f'{source}: has neither thermal_mtx nor ir_mtx, it is no calibration file')
    calibration = ThermoHandsCalibration(document=dict(document), source=source)
    prefixes = ('thermal', 'rgb', 'ir') if calibration.is_ego else ('ir',)
    for prefix in prefixes:
        calibration.intrinsics(prefix)
        calibration.distortion(prefix)
    if calibration.is_ego:
        calibration.transform('depth2rgb')
        calibration.transform('rgb2thermal')
    return calibration


def write_calibration(calibration: ThermoHandsCalibration, path: str | Path) -> None:
    """Write a calibration file; every number reads back to the same bits."""
    try:
        Path(path).write_text(json.dumps(calibration.document, indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise RigError(f'{path}: cannot be written ({error.strerror})') from error


def rig_from_calibration(calibration: ThermoHandsCalibration) -> RigDescription:
    """Describe the calibrated rig; NIR and depth are one camera, as in the data set.

    The original document travels in ``metadata``, so that writing it back loses nothing.
    """
    ego = calibration.is_ego
    poses = {'nir': _T_RIG_DEPTH, 'depth': _T_RIG_DEPTH, 'rgb': _T_RIG_DEPTH}
    if ego:
        poses['rgb'] = _T_RIG_DEPTH @ inverse(calibration.transform('depth2rgb'))
        poses['thermal'] = poses['rgb'] @ inverse(calibration.transform('rgb2thermal'))
    cameras = {}
    for name, prefix in (_EGO_CAMERAS if ego else _EXO_CAMERAS).items():
        size = EGO_SIZES[name] if ego else EXO_SIZE
        cameras[name] = CameraDescription(
            name=name,
            modality=name,  # type: ignore[arg-type]
            camera=_camera(calibration, prefix, size),
            encoding=_ENCODINGS[name],
            rate=30.0,
            T_rig_cam=poses[name],
        )
    return RigDescription(
        name='thermohands_ego' if ego else 'thermohands_exo',
        cameras=cameras,
        rig_frame='head_rig' if ego else 'exo_rig',
        metadata={_METADATA_KEY: calibration.document},
    )


def calibration_from_rig(rig: RigDescription) -> ThermoHandsCalibration:
    """Return the calibration file of a rig with ThermoHands' cameras.

    A number that still says what the original document said (to rounding) is written as it was
    there, bit for bit; changed ones are written anew; unknown keys of the document are kept.

    Raises:
        RigError: when a camera is missing or NIR and depth differ, which the format cannot say.
    """
    values = _values(rig)
    original = rig.metadata.get(_METADATA_KEY)
    if not original:
        return ThermoHandsCalibration(document=values, source=rig.name)
    # Composing and inverting transforms rounds, so "unchanged" is judged after the same steps.
    unchanged = _values(rig_from_calibration(parse_calibration(original, rig.name)))
    document = dict(original)
    for key, value in values.items():
        if key not in unchanged or not _says_the_same(unchanged[key], value):
            document[key] = value
    return ThermoHandsCalibration(document=document, source=rig.name)


def _values(rig: RigDescription) -> dict[str, Any]:
    ego = 'thermal' in rig.cameras
    prefixes = _EGO_CAMERAS if ego else _EXO_CAMERAS
    cameras = {name: _calibrated(rig, name) for name in prefixes}
    twin = 'nir' if ego else 'rgb'
    if not _same_camera(rig, twin, 'depth'):
        raise RigError(
            f'{rig.name}: {twin} and depth have different calibrations, which a ThermoHands file '
            'cannot hold: save the rig as YAML instead'
        )
    values: dict[str, Any] = {}
    for name, prefix in prefixes.items():
        values[f'{prefix}_mtx'] = cameras[name].intrinsics.tolist()
        values[f'{prefix}_dist'] = [_five(cameras[name].distortion)]
    if ego:
        pose = {name: rig.cameras[name].T_rig_cam for name in prefixes}
        pairs = {
            'depth2rgb': inverse(pose['rgb']) @ pose['depth'],
            'rgb2thermal': inverse(pose['thermal']) @ pose['rgb'],
        }
        for pair, transform in pairs.items():
            values[f'{pair}_rotation_matrix'] = transform[:3, :3].tolist()
            values[f'{pair}_translation_vector'] = [transform[:3, 3].tolist()]
    return values


def _camera(calibration: ThermoHandsCalibration, prefix: str, size: tuple[int, int]) -> Camera:
    distortion = calibration.distortion(prefix)
    try:
        return Camera(
            width=size[0],
            height=size[1],
            intrinsics=calibration.intrinsics(prefix),
            distortion=distortion,
            distortion_model='rational_polynomial' if distortion.size == 8 else 'plumb_bob',
        )
    except RigError as error:
        raise RigError(f'{calibration.source}: {prefix}_mtx: {error}') from None


def _calibrated(rig: RigDescription, name: str) -> Camera:
    if name not in rig.cameras or rig.cameras[name].camera is None:
        raise RigError(
            f'{rig.name}: a ThermoHands file needs a calibrated {name} camera, add its intrinsics'
        )
    camera = rig.cameras[name].camera
    assert camera is not None
    return camera


def _same_camera(rig: RigDescription, first: str, second: str) -> bool:
    a, b = _calibrated(rig, first), _calibrated(rig, second)
    pose_a, pose_b = rig.cameras[first].T_rig_cam, rig.cameras[second].T_rig_cam
    return (
        np.array_equal(a.intrinsics, b.intrinsics)
        and np.array_equal(_five(a.distortion), _five(b.distortion))
        and np.allclose(pose_a, pose_b, rtol=0, atol=1e-12)
    )


def _five(distortion: Array) -> list[float]:
    padded = distortion.tolist()
    return padded + [0.0] * (5 - len(padded))


def _says_the_same(original: Any, value: Any) -> bool:
    a, b = np.ravel(np.array(original, float)), np.ravel(np.array(value, float))
    return a.size == b.size and bool(np.allclose(a, b, rtol=1e-12, atol=1e-12))
