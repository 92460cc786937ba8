"""One camera's part of a rig file: parsing with precise complaints, and writing."""

import math
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.geometry.camera import DISTORTION_MODELS, Camera
from hand_pose_ros.geometry.transforms import from_quaternion, is_rigid, rigid
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.frame import MODALITIES, Modality
from hand_pose_ros.rig.model import ENCODINGS, EXTERNAL_DRIVER, CameraDescription
from hand_pose_ros.rig.parsing import Section
from hand_pose_ros.rig.thermal import ABSOLUTE_ZERO, THERMAL_KINDS, ThermalKind, ThermalValues

Array = NDArray[np.float64]

FROM_CAMERA_INFO = 'camera_info'
FROM_TF = 'tf'

# Optical axes (x right, y down, z forward) seen from body axes (x forward, y left, z up).
R_BODY_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

_PLANCK_KEYS = ('R1', 'R2', 'B', 'F', 'O')


def parse_camera(name: str, section: Section) -> CameraDescription:
    """Read one entry of ``cameras``; raises RigError naming the key."""
    default = name if name in MODALITIES else None
    if default is None and not section.has('modality'):
        section.error('modality', f'is missing, use one of {", ".join(MODALITIES)}')
    modality = cast(Modality, section.text('modality', default, choices=MODALITIES))
    size = _size(section)
    description: dict[str, Any] = {
        'name': name,
        'modality': modality,
        'driver': section.text('driver', EXTERNAL_DRIVER),
        'driver_options': section.mapping('driver_options'),
        'size': size,
        'camera': _camera(section, size),
        'rate': section.number('rate', 30.0, above=0.0, maximum=1000.0),
        'encoding': section.text('encoding', ENCODINGS[modality][0], choices=ENCODINGS[modality]),
        'time_offset': section.nanoseconds('time_offset', 0),
        'body': section.text('body', ''),
    }
    description['extrinsics_from_tf'] = section.take('T_rig_cam', None) == FROM_TF
    if not description['extrinsics_from_tf']:
        description['T_rig_cam'] = _transform(section)
    if modality == 'thermal':
        description['values'] = _thermal_values(section.section('values'))
    elif modality == 'depth':
        description['values'] = _depth_values(section.section('values'))
    elif section.has('values'):
        section.error('values', f'has no meaning for a {modality} camera, remove it')
    section.finish()
    return cast(CameraDescription, section.wrap('', lambda: CameraDescription(**description)))


def camera_document(camera: CameraDescription) -> dict[str, Any]:
    """Return the mapping that ``parse_camera`` reads back to the same description."""
    document: dict[str, Any] = {'modality': camera.modality, 'driver': camera.driver}
    if camera.driver_options:
        document['driver_options'] = camera.driver_options
    document |= {'size': list(camera.size), 'rate': camera.rate, 'encoding': camera.encoding}
    if camera.camera is None:
        document['intrinsics'] = FROM_CAMERA_INFO
    else:
        document['intrinsics'] = camera.camera.intrinsics.tolist()
        document['distortion'] = camera.camera.distortion.tolist()
        document['distortion_model'] = camera.camera.distortion_model
    document['T_rig_cam'] = FROM_TF if camera.extrinsics_from_tf else camera.T_rig_cam.tolist()
    if camera.body:
        document['body'] = camera.body
    if camera.time_offset:
        document['time_offset'] = camera.time_offset / 1e9
    if isinstance(camera.values, ThermalValues):
        document['values'] = _thermal_document(camera.values)
    elif isinstance(camera.values, DepthValues):
        document['values'] = {'scale': camera.values.scale, 'minimum': camera.values.minimum}
        if math.isfinite(camera.values.maximum):
            document['values']['maximum'] = camera.values.maximum
    return document


def _size(section: Section) -> tuple[int, int]:
    value = section.take('size')
    if (
        not isinstance(value, list)
        or len(value) != 2
        or not all(isinstance(v, int) and not isinstance(v, bool) and 0 < v < 65536 for v in value)
    ):
        section.error('size', f'must be [width, height] in pixels, got {value!r}')
    return value[0], value[1]


def _camera(section: Section, size: tuple[int, int]) -> Camera | None:
    value = section.take('intrinsics')
    model = section.text('distortion_model', 'plumb_bob', choices=tuple(DISTORTION_MODELS))
    counts = tuple((count,) for count in DISTORTION_MODELS[model])
    distortion = section.array('distortion', counts, np.zeros(4 if model == 'equidistant' else 0))
    if model == 'rational_polynomial' and not section.has('distortion'):
        section.error('distortion', 'is missing, rational_polynomial takes 8 numbers')
    if isinstance(value, str):
        if value != FROM_CAMERA_INFO:
            section.error('intrinsics', f'is {value!r}, give fx, fy, cx, cy or "camera_info"')
        return None
    intrinsics = _intrinsics(section, value)
    make = lambda: Camera(  # noqa: E731 - deferred, so that its error gets the key path
        width=size[0],
        height=size[1],
        intrinsics=intrinsics,
        distortion=distortion,
        distortion_model=model,
    )
    return cast(Camera, section.wrap('intrinsics', make))


def _intrinsics(section: Section, value: Any) -> Array:
    if isinstance(value, dict):
        inner = section.section('intrinsics')
        fx, fy, cx, cy = (inner.number(key) for key in ('fx', 'fy', 'cx', 'cy'))
        inner.finish()
    else:
        array = section.array('intrinsics', ((4,), (3, 3)))
        if array.shape == (3, 3):
            if array[0, 1] or array[1, 0] or tuple(array[2]) != (0.0, 0.0, 1.0):
                # An all-zero K is CameraInfo's "not calibrated", which Camera explains better.
                if np.any(array):
                    section.error('intrinsics', 'must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]')
                array = np.diag([0.0, 0.0, 1.0])
            return array
        fx, fy, cx, cy = array
    if fx < 0 or fy < 0:
        section.error('intrinsics', f'has a negative focal length ({fx:g}, {fy:g}), flip its sign')
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def _transform(section: Section) -> Array:
    value = section.take('T_rig_cam')
    if not isinstance(value, dict):
        transform = section.array('T_rig_cam', ((4, 4),))
        if not is_rigid(transform):
            section.error(
                'T_rig_cam',
                'is not a rigid transform: its 3x3 part must be a rotation (orthonormal, '
                'determinant +1) and its last row 0 0 0 1',
            )
        return transform
    inner = section.section('T_rig_cam')
    translation = inner.array('translation', ((3,),))
    kinds = [key for key in ('quaternion', 'rpy', 'mounting_degrees') if inner.has(key)]
    if len(kinds) > 1:
        inner.error(kinds[1], f'is given beside {kinds[0]}, keep one of them')
    if 'quaternion' in kinds:
        transform = from_quaternion(_unit_quaternion(inner), translation)
    elif 'rpy' in kinds:
        rotation = Rotation.from_euler('xyz', inner.array('rpy', ((3,),)))
        transform = rigid(rotation.as_matrix(), translation)
    else:
        angles = inner.array('mounting_degrees', ((3,),))
        housing = Rotation.from_euler('xyz', angles, degrees=True).as_matrix()
        transform = rigid(housing @ R_BODY_OPTICAL, translation)
    inner.finish()
    return transform


def _unit_quaternion(section: Section) -> Array:
    quaternion = section.array('quaternion', ((4,),))
    norm = float(np.linalg.norm(quaternion))
    if abs(norm - 1.0) > 1e-3:
        section.error('quaternion', f'has length {norm:.4g}, give a unit quaternion (x, y, z, w)')
    return quaternion / norm


def _thermal_values(section: Section) -> ThermalValues:
    kind = cast(ThermalKind, section.text('kind', 'none', choices=THERMAL_KINDS))
    constants: dict[str, float] = {}
    if kind == 'tlinear':
        constants['gain'] = section.number('gain', above=0.0)
        constants['offset'] = section.number('offset', ABSOLUTE_ZERO)
    elif kind == 'planck':
        constants['R1'] = section.number('R1', above=0.0)
        constants['B'] = section.number('B', above=0.0)
        for key, default in (('R2', 1.0), ('F', 1.0), ('O', 0.0)):
            constants[key] = section.number(key, default)
    white_hot = section.flag('white_hot', True)
    section.finish()
    make = lambda: ThermalValues(kind=kind, white_hot=white_hot, **constants)  # noqa: E731
    return cast(ThermalValues, section.wrap('', make))


def _thermal_document(values: ThermalValues) -> dict[str, Any]:
    keys = {'tlinear': ('gain', 'offset'), 'planck': _PLANCK_KEYS, 'none': ()}[values.kind]
    constants = {key: getattr(values, key) for key in keys}
    return {'kind': values.kind, **constants, 'white_hot': values.white_hot}


def _depth_values(section: Section) -> DepthValues:
    limits = {
        'scale': section.number('scale', 0.001, above=0.0),
        'minimum': section.number('minimum', 0.0, minimum=0.0),
        'maximum': section.number('maximum', math.inf, above=0.0, finite=False),
    }
    section.finish()
    return cast(DepthValues, section.wrap('', lambda: DepthValues(**limits)))
