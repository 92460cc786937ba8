"""Hands and frames for tests of the command."""

import numpy as np

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.rig.frame import RigFrame, StreamImage


def camera(width=320, height=256, focal=200.0):
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(width=width, height=height, intrinsics=K, distortion=np.zeros(5))


def open_hand(x=0.0, z=0.5):
    """Joints (21, 3) of a flat open hand, palm towards the camera, wrist down."""
    joints = np.zeros((21, 3))
    for finger in range(5):
        angle = (finger - 2) * 0.25
        for bone in range(4):
            reach = 0.05 + 0.03 * bone
            joints[1 + 4 * finger + bone, :2] = reach * np.sin(angle), -reach * np.cos(angle)
    return joints + np.array([x, 0.05, z])


def hand(side='left', joints=None, **changes):
    values = {
        'side': side,
        'track_id': 1,
        'state': 'tracked',
        'score': 0.91234,
        'joints': open_hand() if joints is None else joints,
        'confidence': np.linspace(0, 1, 21),
        'covariance': np.tile(np.eye(3) * 0.004**2, (21, 1, 1)),
        'joints_2d': {'thermal': np.full((21, 2), 100.123)},
        'parameters': HandModelParameters(
            global_orient=np.zeros(3),
            hand_pose=np.zeros((15, 3)),
            betas=np.arange(10) / 10,
            translation=np.zeros(3),
        ),
    }
    return HandPose(**{**values, **changes})


def frame(image=None, stamp=1_000, calibrated=True):
    image = np.zeros((256, 320), np.uint8) if image is None else image
    stream = StreamImage(
        image=image,
        stamp=stamp,
        camera=camera() if calibrated else None,
        frame_id='thermal_optical_frame',
    )
    return RigFrame(
        streams={'thermal': stream}, reference='thermal', frame_id='thermal_optical_frame'
    )
