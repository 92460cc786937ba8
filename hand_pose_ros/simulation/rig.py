"""SimulatedRig: the cameras of a rig looking at two moving hands, with exact ground truth."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.simulation import kernels
from hand_pose_ros.simulation.bodies import Bodies
from hand_pose_ros.simulation.lens import lens_reach, rational_coefficients
from hand_pose_ros.simulation.motion import ArmState, Motion
from hand_pose_ros.simulation.other_body import OtherBody
from hand_pose_ros.simulation.rasterizer import rasterize
from hand_pose_ros.simulation.scene import background
from hand_pose_ros.simulation.sensor_models import make_sensor
from hand_pose_ros.simulation.sensors import Sensor, View
from hand_pose_ros.simulation.truth import true_hands

Array = NDArray[np.float64]

# Moments kept, so that cameras that fire together share their work.
_CACHED = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moment:
    """Both arms at one stamp in the rig frame: state, joints and vertices a hand, whole mesh."""

    state: ArmState
    hands: list[tuple[Array, Array]]
    mesh: Array
    normals: Array


class SimulatedRig:
    """Renders the streams of a rig at any stamp; deterministic in rig, seed, scenario and stamp.

    Attributes:
        rig: the description it renders.
        motion: what the hands do.
        bodies: the mesh that is rendered.
    """

    def __init__(self, rig: RigDescription, *, seed: int = 0, scenario: str = 'demo') -> None:
        """Prepare the scene; sensors are made when first asked for.

        Raises:
            CameraError: the scenario does not exist.
        """
        self.rig = rig
        self.bodies = Bodies(seed)
        self.motion = Motion(scenario, seed, self.bodies.models)
        self._seed = seed
        self._lock = threading.Lock()
        self._sensors: dict[str, Sensor] = {}
        self._reach: dict[str, float] = {}
        self._poses: OrderedDict[int, _Moment] = OrderedDict()
        self._views: OrderedDict[Any, tuple[View, Array]] = OrderedDict()
        self._order = list(rig.cameras)
        self._other_body = OtherBody(seed)

    def render(self, stream: str, stamp: int) -> NDArray[Any]:
        """Return the image of one stream in its description's encoding.

        Args:
            stream: name of a camera of the rig.
            stamp: time in nanoseconds.

        Raises:
            CameraError: the stream does not exist or has no calibration to render with.
        """
        description, camera = self._camera(stream)
        with self._lock:
            sensor = self._sensor(description, camera)
            view, pixels = self._view(description, camera, stamp)
        fragments = rasterize(
            pixels, view.points[:, 2], self.bodies.faces, sensor.paint(view),
            (camera.width, camera.height),
        )  # fmt: skip
        return sensor.image(fragments, stamp)

    def truth(self, stamp: int) -> list[HandPose]:
        """Return both hands at a stamp in the optical frame of the rig's reference camera.

        Joints, parameters and vertices are exact. ``joints_2d`` has the pixels of every camera,
        NaN outside its image; ``sources`` are the cameras that have the wrist or most joints in
        view; ``confidence`` is 1 for joints in some camera's view; a hand that no camera sees
        is ``lost`` with score 0. Occlusion is not considered.
        """
        with self._lock:
            moment = self._pose(stamp)
        cameras = {
            name: (description.camera, self.T_rig_cam(name, stamp))
            for name, description in self.rig.cameras.items()
            if description.camera is not None
        }
        return true_hands(
            moment.state, moment.hands, self.bodies.models,
            self.rig.reference_camera.T_rig_cam, cameras,
        )  # fmt: skip

    def T_rig_body(self, stamp: int) -> Array:
        """Return where the body of the rig's exo cameras stands (4, 4) at a stamp."""
        return self._other_body.at(stamp * 1e-9)

    def T_rig_cam(self, stream: str, stamp: int) -> Array:
        """Return where a camera is (4, 4) at a stamp, on the rig or on the other body."""
        description = self.rig.cameras[stream]
        if not description.body:
            return description.T_rig_cam
        return self.T_rig_body(stamp) @ description.T_rig_cam

    def _camera(self, stream: str) -> tuple[CameraDescription, Camera]:
        if stream not in self.rig.cameras:
            known = ', '.join(self.rig.cameras)
            raise CameraError(f'the rig has no camera {stream!r}, use one of {known}')
        description = self.rig.cameras[stream]
        if description.camera is None:
            raise CameraError(
                f'{stream} has no intrinsics to render with: put them into the rig file'
            )
        return description, description.camera

    def _sensor(self, description: CameraDescription, camera: Camera) -> Sensor:
        """Return the sensor model of a camera, made once."""
        name = description.name
        if name not in self._sensors:
            seed = self._seed * 101 + self._order.index(name)
            scene = background(camera, self.T_rig_cam(name, 0), self._seed)
            self._sensors[name] = make_sensor(
                description, scene, self.bodies.surface, seed, self._seed
            )
            self._reach[name] = lens_reach(camera)
        return self._sensors[name]

    def _pose(self, stamp: int) -> '_Moment':
        """Return everything at a stamp in the rig frame."""
        if stamp not in self._poses:
            state = self.motion.at(stamp * 1e-9)
            hands = self.bodies.hands(state)
            mesh = self.bodies.vertices([vertices for _, vertices in hands], state)
            moment = _Moment(state=state, hands=hands, mesh=mesh, normals=self.bodies.normals(mesh))
            _remember(self._poses, stamp, moment)
        return self._poses[stamp]

    def _view(
        self, description: CameraDescription, camera: Camera, stamp: int
    ) -> tuple[View, Array]:
        """Return the mesh in a camera's frame and its pixels; cameras of one body share it."""
        T_rig_cam = self.T_rig_cam(description.name, stamp)
        key = (
            stamp, camera.intrinsics.tobytes(), camera.distortion.tobytes(), T_rig_cam.tobytes(),
        )  # fmt: skip
        if key not in self._views:
            moment = self._pose(stamp)
            points, normals, facing, pixels = kernels.view(
                moment.mesh, moment.normals, inverse(T_rig_cam), camera.intrinsics,
                rational_coefficients(camera), self._reach[description.name],
            )  # fmt: skip
            if camera.distortion_model == 'equidistant':
                pixels = _project(camera, points, self._reach[description.name])
            view = View(points=points, normals=normals, facing=facing)
            _remember(self._views, key, (view, pixels))
        return self._views[key]


def _remember(cache: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    while len(cache) > _CACHED:
        cache.popitem(last=False)


def _project(camera: Camera, points: Array, reach: float) -> Array:
    """Project (N, 3) through any lens to pixels (N, 2), NaN where ``kernels.view`` has NaN."""
    depth = points[:, 2]
    usable = depth > 0.05
    ideal = points[:, :2] / np.where(usable, depth, 1.0)[:, None]
    usable &= np.einsum('ij,ij->i', ideal, ideal) < reach**2
    pixels = np.full((len(points), 2), np.nan)
    pixels[usable] = camera.distort(ideal[usable])
    return pixels
