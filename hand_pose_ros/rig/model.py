"""What a rig is: its cameras, how they sit, and how their streams are put together."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import is_rigid
from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.frame import MODALITIES, Modality
from hand_pose_ros.rig.synchronizer import SynchronizerConfig
from hand_pose_ros.rig.thermal import ThermalValues

ENCODINGS: dict[Modality, tuple[str, ...]] = {
    'thermal': ('mono16', 'mono8'),
    'nir': ('mono8', 'mono16'),
    'depth': ('16UC1', '32FC1'),
    'rgb': ('rgb8', 'bgr8', 'rgba8', 'bgra8'),
}

# What a camera whose images come from somebody else's ROS driver has as its driver.
EXTERNAL_DRIVER = 'external'

# A camera's name becomes a topic namespace and a frame.
_NAME = re.compile(r'[a-z][a-z0-9_]*\Z')


@dataclass(frozen=True, kw_only=True, eq=False)
class CameraDescription:
    """One camera of the rig.

    Attributes:
        name: stream and topic namespace, for example ``thermal``.
        modality: ``thermal``, ``nir``, ``depth`` or ``rgb``.
        driver: registered driver name, or ``external`` when another ROS node publishes the images.
        driver_options: keyword options of that driver.
        camera: intrinsics, or None when they come from ``camera_info`` (without it: 2D only).
        size: (width, height) of the images in pixels; taken from ``camera`` when not given.
        rate: nominal images per second.
        encoding: ROS encoding of the images.
        T_rig_cam: (4, 4) maps points of the camera's optical frame into the rig frame, metres; of
            a camera on another body, into that body's frame.
        body: name of the body the camera stands on when it is not the rig, for example ``exo``
            for a tripod; such a camera moves against the rig, so only recorded sessions, which
            have its trajectory, use it.
        extrinsics_from_tf: whether ``T_rig_cam`` is to be replaced by what ``/tf_static`` says.
        time_offset: constant lateness of the stamps in nanoseconds; true stamp = stamp - offset.
        values: what the pixel values of a thermal or depth camera mean, None for the others.
    """

    name: str
    modality: Modality
    driver: str = EXTERNAL_DRIVER
    driver_options: dict[str, Any] = field(default_factory=dict)
    camera: Camera | None = None
    size: tuple[int, int] = (0, 0)
    rate: float = 30.0
    encoding: str = ''
    T_rig_cam: NDArray[np.float64] = field(default_factory=lambda: np.eye(4))
    extrinsics_from_tf: bool = False
    time_offset: int = 0
    values: ThermalValues | DepthValues | None = None
    body: str = ''

    def __post_init__(self) -> None:
        """Fill in what follows from the rest and refuse contradictions."""
        if not _NAME.match(self.name):
            raise RigError(f'camera name {self.name!r} must be lower-case letters, digits and _')
        if self.body and not _NAME.match(self.body):
            raise RigError(f'body {self.body!r} must be lower-case letters, digits and _')
        if self.modality not in MODALITIES:
            raise RigError(f'modality {self.modality!r} is unknown: use {", ".join(MODALITIES)}')
        transform = np.array(self.T_rig_cam, dtype=np.float64)
        if transform.shape != (4, 4) or not np.isfinite(transform).all() or not is_rigid(transform):
            raise RigError(
                'T_rig_cam is not a rigid transform: its 3x3 part must be a rotation '
                '(orthonormal, determinant +1) and its last row 0 0 0 1'
            )
        object.__setattr__(self, 'T_rig_cam', transform)
        if self.camera is not None:
            calibrated = (self.camera.width, self.camera.height)
            if self.size == (0, 0):
                object.__setattr__(self, 'size', calibrated)
            elif self.size != calibrated:
                raise RigError(f'size {self.size} differs from the calibrated size {calibrated}')
        if not self.encoding:
            object.__setattr__(self, 'encoding', ENCODINGS[self.modality][0])
        if self.encoding not in ENCODINGS[self.modality]:
            known = ', '.join(ENCODINGS[self.modality])
            raise RigError(
                f'encoding {self.encoding!r} does not fit a {self.modality} camera: use {known}'
            )
        if not 0 < self.rate < 10_000:
            raise RigError(f'rate must be above 0 images per second, got {self.rate}')
        self._check_values()

    def _check_values(self) -> None:
        expected = {'thermal': ThermalValues, 'depth': DepthValues}.get(self.modality)
        if self.values is None and expected is not None:
            object.__setattr__(self, 'values', expected())
        elif expected is None and self.values is not None:
            raise RigError(f'values have no meaning for a {self.modality} camera, remove them')
        elif expected is not None and not isinstance(self.values, expected):
            raise RigError(
                f'values of a {self.modality} camera must be {expected.__name__}, '
                f'got {type(self.values).__name__}'
            )

    @property
    def frame_id(self) -> str:
        """Name of the optical frame."""
        return f'{self.name}_optical_frame'

    @property
    def white_hot(self) -> bool:
        """Whether warmer is brighter; True for everything but a black-hot thermal camera."""
        return self.values.white_hot if isinstance(self.values, ThermalValues) else True


@dataclass(frozen=True, kw_only=True, eq=False)
class RigDescription:
    """Cameras that sit on one rigid body, and what is done with their streams.

    Attributes:
        name: for people and reports.
        cameras: descriptions by camera name, in the order of the file.
        reference: camera whose optical frame and stamps the results carry.
        rig_frame: name of the body frame (x forward, y left, z up).
        synchronizer: how the streams are put together; by default all of the rig's own body.
        estimator: registered estimator name.
        estimator_options: options of that estimator.
        metadata: what else the source file said, kept for writing it back.
    """

    name: str
    cameras: dict[str, CameraDescription]
    reference: str = ''
    rig_frame: str = 'head_rig'
    synchronizer: SynchronizerConfig = None  # type: ignore[assignment]
    estimator: str = 'landmarks'
    estimator_options: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fill in the defaults and refuse names that point nowhere."""
        if not self.cameras:
            raise RigError('cameras is empty: a rig needs at least one')
        if not self.own_cameras:
            raise RigError('cameras are all on other bodies: a rig needs one without body')
        for name, camera in self.cameras.items():
            if name != camera.name:
                raise RigError(f'cameras.{name} is called {camera.name!r} inside: use one name')
        if not self.reference:
            object.__setattr__(self, 'reference', _first_by_modality(self.own_cameras))
        if self.reference not in self.own_cameras:
            known = ', '.join(self.own_cameras)
            raise RigError(f'reference names {self.reference!r}, use one of {known}')
        if self.synchronizer is None:
            offsets = {name: self.time_offsets.get(name, 0) for name in self.own_cameras}
            config = SynchronizerConfig(
                streams=tuple(self.own_cameras),
                reference=self.reference,
                offsets={name: offset for name, offset in offsets.items() if offset},
            )
            object.__setattr__(self, 'synchronizer', config)
        for stream in self.synchronizer.streams:
            if stream not in self.own_cameras:
                known = ', '.join(self.own_cameras)
                raise RigError(f'synchronizer.streams names {stream!r}, use one of {known}')

    @property
    def own_cameras(self) -> dict[str, CameraDescription]:
        """The cameras that sit on the rig itself."""
        return {name: camera for name, camera in self.cameras.items() if not camera.body}

    @property
    def time_offsets(self) -> dict[str, int]:
        """Non-zero time offsets of the cameras in nanoseconds."""
        return {name: cam.time_offset for name, cam in self.cameras.items() if cam.time_offset}

    @property
    def reference_camera(self) -> CameraDescription:
        """The camera whose optical frame the results are expressed in."""
        return self.cameras[self.reference]


def _first_by_modality(cameras: dict[str, CameraDescription]) -> str:
    return min(cameras, key=lambda name: MODALITIES.index(cameras[name].modality))
