"""The pose of a target in one image of a calibrated camera."""

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.detection import Detection
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]


def board_pose(detection: Detection, camera: Camera, target: Target) -> Array:
    """Return ``T_cam_board`` (4, 4): the flat solution of least error, refined."""
    points = target.points[detection.ids]
    ideal = camera.undistort(detection.pixels).reshape(-1, 1, 2)
    _, turns, shifts, _ = cv2.solvePnPGeneric(
        points, ideal, np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
    )
    turn, shift = cv2.solvePnPRefineLM(points, ideal, np.eye(3), None, turns[0], shifts[0])
    return rigid(cv2.Rodrigues(turn)[0], shift)


def tilt(T_cam_board: Array) -> float:
    """Return the angle in degrees between the target's normal and the line of sight to it."""
    sight = T_cam_board[:3, 3] / np.linalg.norm(T_cam_board[:3, 3])
    return float(np.degrees(np.arccos(np.clip(abs(sight @ T_cam_board[:3, 2]), 0, 1))))
