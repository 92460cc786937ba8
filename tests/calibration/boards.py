"""Sightings of a moving target made by projection, and small rigs to make recordings of."""

from dataclasses import replace

import numpy as np

from hand_pose_ros.calibration.bundle import Sighting
from hand_pose_ros.calibration.detection import Detection
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.target import parse_target
from hand_pose_ros.simulation.board_motion import BoardMotion
from hand_pose_ros.simulation.boards import START

TARGET = parse_target('chessboard:9x6:0.025')
SIZES = {'thermal': (320, 256), 'nir': (640, 480), 'rgb': (640, 480)}
PERIOD = 33_333_333


def head_rig(*names, **changes):
    """The simulated rig with some of its cameras, some fields of each changed."""
    rig = find_rig('simulated_head_rig')
    cameras = {name: replace(rig.cameras[name], **changes) for name in names}
    return replace(rig, cameras=cameras, reference=names[0], synchronizer=None)


def sightings(
    rig, *, seed=0, noise=0.05, offsets=None, moments=40, views=20, motion=None, turned=(),
    span=1, target=TARGET,
):  # fmt: skip
    """Return sightings, the moments' stamps, and the number of images looked at by camera."""
    generator = np.random.default_rng(seed)
    held = BoardMotion(list(rig.cameras.values()), target, seed=seed, views=views)
    path = motion or held.at
    stamps = [START + int(1e9 * held.duration * (k + 0.4) / moments) for k in range(moments)]
    found, looked = [], dict.fromkeys(rig.cameras, 0)
    for number, moment in enumerate(stamps):
        for name, camera in rig.cameras.items():
            phase = int(generator.integers(0, PERIOD))
            for step in range(-span, span + 1):
                looked[name] += 1
                true = moment + phase - PERIOD // 2 + step * PERIOD
                pose = inverse(camera.T_rig_cam) @ path((true - START) * 1e-9)
                pixels = camera.camera.project(apply(pose, target.points))
                pixels = pixels + generator.normal(0, noise, pixels.shape)
                size = np.array(camera.size)
                if pose[2, 2] < 0.1 or not np.all((pixels > 1) & (pixels < size - 2)):
                    continue
                ids = np.arange(len(pixels))
                late = (offsets or {}).get(name, 0)
                detection = Detection(camera=name, stamp=true + late, ids=ids, pixels=pixels)
                if name in turned:
                    detection = replace(detection, pixels=pixels[::-1])
                found.append(Sighting(detection=detection, moment=number))
    return found, stamps, looked
