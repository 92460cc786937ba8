"""Rig views: the calibrated streams of one frame, as seen from the frame of the results."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.hand_model.residuals import DepthMeasurement
from hand_pose_ros.rig.frame import MODALITIES, Modality, RigFrame, StreamImage
from hand_pose_ros.rig.model import RigDescription

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One calibrated stream of a frame.

    Attributes:
        name: of the stream.
        stream: its image.
        camera: its intrinsics.
        rotation: (3, 3) and
        translation: (3,) map points of the results' frame into the camera, metres.
        lag: seconds from the frame's stamp to the image's.
    """

    name: str
    stream: StreamImage
    camera: Camera
    rotation: Array
    translation: Array
    lag: float

    def project(self, points: Array) -> Array:
        """Return pixels (N, 2) of points (N, 3) in the results' frame; NaN behind the camera."""
        return self.camera.project(points @ self.rotation.T + self.translation)

    def unproject(self, pixels: Array, depth: Array) -> Array:
        """Return points (N, 3) in the results' frame of pixels (N, 2) at depths (N,) in metres."""
        return (self.camera.unproject(pixels, depth) - self.translation) @ self.rotation

    def depth_measurement(self) -> DepthMeasurement:
        """Return this depth stream as the fit wants it."""
        return DepthMeasurement(
            image=self.stream.image,
            camera=self.camera,
            rotation=self.rotation,
            translation=self.translation,
            lag=self.lag,
        )


def views_of(frame: RigFrame) -> dict[str, View]:
    """Return the streams of a frame that have a calibration, by name."""
    views = {}
    for name, stream in frame.streams.items():
        if stream.camera is None or stream.image.shape[:2] != _size(stream.camera):
            continue
        transform = inverse(stream.T_rig_cam) @ frame.T_rig_frame
        views[name] = View(
            name=name,
            stream=stream,
            camera=stream.camera,
            rotation=transform[:3, :3],
            translation=transform[:3, 3],
            lag=(stream.stamp - frame.stamp) * 1e-9,
        )
    return views


def camera_arrays(views: Sequence[View]) -> dict[str, Array]:
    """Return ``rotation`` (S, 3, 3), ``translation`` (S, 3) and ``lag`` (S,) of S views."""
    return {
        'rotation': np.stack([view.rotation for view in views]),
        'translation': np.stack([view.translation for view in views]),
        'lag': np.array([view.lag for view in views]),
    }


def modalities_of(rig: RigDescription | None) -> dict[str, Modality]:
    """Return the modality of each stream by name; without a rig, streams are called by it."""
    if rig is None:
        return {modality: modality for modality in MODALITIES}
    return {name: camera.modality for name, camera in rig.cameras.items()}


def _size(camera: Camera) -> tuple[int, int]:
    return camera.height, camera.width
