"""Makes the sensor model that a camera description asks for."""

from typing import Any

import numpy as np

from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.model import CameraDescription
from hand_pose_ros.rig.thermal import ThermalValues
from hand_pose_ros.simulation.bodies import Surface
from hand_pose_ros.simulation.depth import DepthSensor
from hand_pose_ros.simulation.nir import NirSensor
from hand_pose_ros.simulation.rgb import RgbSensor
from hand_pose_ros.simulation.scene import Background
from hand_pose_ros.simulation.sensors import Sensor
from hand_pose_ros.simulation.thermal import ThermalSensor

_DTYPES: dict[str, Any] = {
    'mono8': np.uint8, 'mono16': np.uint16, '16UC1': np.uint16, '32FC1': np.float32,
}  # fmt: skip


def make_sensor(
    description: CameraDescription, scene: Background, surface: Surface, seed: int, person: int
) -> Sensor:
    """Make a sensor model.

    Args:
        description: the camera.
        scene: the empty scene before it.
        surface: what the hands are made of.
        seed: varies this camera's noise.
        person: varies the looks of the hands, the same for all cameras.
    """
    dtype = _DTYPES.get(description.encoding, np.uint8)
    values = description.values
    if description.modality == 'thermal':
        thermal = values if isinstance(values, ThermalValues) else None
        return ThermalSensor(scene, surface, values=thermal, dtype=dtype, seed=seed)
    if description.modality == 'depth':
        depth = values if isinstance(values, DepthValues) else None
        return DepthSensor(scene, values=depth, dtype=dtype, seed=seed)
    if description.modality == 'nir':
        return NirSensor(scene, surface, dtype=dtype, seed=seed)
    return RgbSensor(
        scene, surface, T_rig_cam=description.T_rig_cam, encoding=description.encoding,
        seed=seed, person=person,
    )  # fmt: skip
