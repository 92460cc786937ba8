"""A cheap rig, plausible hands and an estimator that invents them."""

import time
from dataclasses import replace

import numpy as np

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.rig.description import CameraDescription, RigDescription
from hand_pose_ros.rig.synchronizer import SynchronizerConfig

SIZE = (64, 48)
MILLISECOND = 1_000_000


class FakeEstimator:
    """Finds a left and a right hand in every frame, or raises what it is told to."""

    name = 'fake'
    model_hash = 'f' * 64

    def __init__(self):
        self.timings = {}
        self.frames = []
        self.resets = 0
        self.error = None
        self.empty = False
        self.pause = 0.0

    def estimate(self, frame):
        self.frames.append(frame)
        time.sleep(self.pause)
        if self.error is not None:
            raise self.error
        self.timings = {'detect': 0.002, 'fit': 0.003}
        if self.empty:
            return []
        return [make_hand(side, number + 1) for number, side in enumerate(('left', 'right'))]

    def reset(self):
        self.resets += 1


def make_hand(side='right', track_id=1, state='tracked', parameters=True, vertices=None):
    """A plausible open hand 40 cm in front of the camera, back of the hand towards the camera."""
    joints = np.zeros((21, 3))
    sign = 1.0 if side == 'right' else -1.0
    for finger in range(5):
        spread = sign * (finger - 2) * 0.02
        for joint in range(4):
            joints[1 + 4 * finger + joint] = (spread, -0.06 - 0.025 * joint, 0.0)
    joints += (0.1 * sign, 0.05, 0.4)
    return HandPose(
        side=side,
        track_id=track_id,
        state=state,
        score=0.9,
        joints=joints,
        joints_raw=joints + 0.001,
        confidence=np.linspace(0, 1, 21),
        covariance=np.tile(np.diag([1e-6, 1e-6, 4e-6]), (21, 1, 1)),
        joints_2d={'thermal': joints[:, :2] * 100},
        sources=('thermal', 'depth'),
        parameters=HandModelParameters(
            global_orient=np.array([0.1, 0.2, 0.3]),
            hand_pose=np.arange(45.0).reshape(15, 3) / 100,
            betas=np.linspace(-1, 1, 10),
            translation=np.array([0.1, 0.2, 0.4]),
        )
        if parameters
        else None,
        vertices=vertices,
    )


def make_camera(size=SIZE, focal=60.0):
    intrinsics = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])
    return Camera(width=size[0], height=size[1], intrinsics=intrinsics, distortion=np.zeros(5))


ENCODINGS = {'thermal': 'mono16', 'nir': 'mono8', 'depth': '16UC1', 'rgb': 'rgb8'}


def make_rig(*names, calibrated=True, **changes):
    """A rig of small cameras at the same place."""
    cameras = {
        name: CameraDescription(
            name=name,
            modality=name,
            driver='external',
            camera=make_camera() if calibrated else None,
            size=SIZE,
            rate=30.0,
            encoding=ENCODINGS[name],
        )
        for name in names or ('thermal', 'nir')
    }
    config = SynchronizerConfig(streams=tuple(cameras), timeout=100 * MILLISECOND)
    return replace(RigDescription(name='small', cameras=cameras, synchronizer=config), **changes)
