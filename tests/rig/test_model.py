"""Descriptions made in code are checked like those from files."""

import numpy as np
import pytest

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.synchronizer import SynchronizerConfig
from hand_pose_ros.rig.thermal import ThermalValues

CAMERA = Camera(
    width=8,
    height=6,
    intrinsics=np.array([[5.0, 0, 4], [0, 5, 3], [0, 0, 1]]),
    distortion=np.zeros(0),
)


def test_defaults_follow_from_the_modality():
    thermal = CameraDescription(name='thermal', modality='thermal', camera=CAMERA)
    assert (thermal.encoding, thermal.size, thermal.values) == ('mono16', (8, 6), ThermalValues())
    assert CameraDescription(name='d', modality='depth').values == DepthValues()
    assert CameraDescription(name='c', modality='rgb').values is None


def test_only_a_black_hot_thermal_camera_is_not_white_hot():
    values = ThermalValues(white_hot=False)
    assert not CameraDescription(name='t', modality='thermal', values=values).white_hot
    assert CameraDescription(name='t', modality='thermal').white_hot
    assert CameraDescription(name='n', modality='nir').white_hot


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'name': 'Thermal/1'}, 'lower-case letters'),
        ({'modality': 'lidar'}, "'lidar' is unknown"),
        ({'T_rig_cam': np.diag([1, 1, -1, 1])}, 'not a rigid transform'),
        ({'T_rig_cam': np.eye(3)}, 'not a rigid transform'),
        ({'T_rig_cam': np.full((4, 4), np.nan)}, 'not a rigid transform'),
        ({'size': (9, 6)}, 'differs from the calibrated size'),
        ({'encoding': '16UC1'}, 'does not fit a nir camera'),
        ({'rate': 0.0}, 'rate must be above 0'),
        ({'values': DepthValues()}, 'no meaning for a nir camera'),
        ({'modality': 'depth', 'values': ThermalValues()}, 'must be DepthValues'),
    ],
)
def test_contradictions_are_refused(change, message):
    with pytest.raises(RigError, match=message):
        CameraDescription(**({'name': 'nir', 'modality': 'nir', 'camera': CAMERA} | change))


def cameras(*modalities):
    return {name: CameraDescription(name=name, modality=name) for name in modalities}


def test_the_reference_is_thermal_where_there_is_one():
    assert (
        RigDescription(name='r', cameras=cameras('rgb', 'depth', 'thermal')).reference == 'thermal'
    )
    assert RigDescription(name='r', cameras=cameras('rgb', 'depth')).reference == 'depth'


def test_time_offsets_reach_the_synchroniser():
    late = CameraDescription(name='rgb', modality='rgb', time_offset=7)
    rig = RigDescription(name='r', cameras=cameras('thermal') | {'rgb': late})
    assert rig.synchronizer.offsets == {'rgb': 7}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'cameras': {}}, 'cameras is empty'),
        ({'cameras': {'x': CameraDescription(name='nir', modality='nir')}}, "called 'nir' inside"),
        ({'reference': 'lidar'}, "reference names 'lidar', use one of thermal, nir"),
        ({'synchronizer': SynchronizerConfig(streams=('rgb',))}, "streams names 'rgb'"),
    ],
)
def test_rigs_with_dangling_names_are_refused(change, message):
    with pytest.raises(RigError, match=message):
        RigDescription(**({'name': 'r', 'cameras': cameras('thermal', 'nir')} | change))


def test_cameras_on_another_body_are_neither_synchronised_nor_the_reference():
    exo = CameraDescription(name='exo', modality='thermal', body='tripod', time_offset=3)
    rig = RigDescription(name='r', cameras=cameras('depth', 'rgb') | {'exo': exo})
    assert rig.reference == 'depth'
    assert rig.synchronizer.streams == ('depth', 'rgb')
    assert set(rig.own_cameras) == {'depth', 'rgb'}
    with pytest.raises(RigError, match="reference names 'exo'"):
        RigDescription(name='r', cameras=rig.cameras, reference='exo')
    with pytest.raises(RigError, match='all on other bodies'):
        RigDescription(name='r', cameras={'exo': exo})
    with pytest.raises(RigError, match='body'):
        CameraDescription(name='e', modality='rgb', body='Tripod 1')
