"""Stage: the posed scene of a batch of clips, which any camera of the rig can look at."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.simulation.batch_background import plane_tables
from hand_pose_ros.simulation.batch_bodies import BatchBodies
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_draw import generator, rotation_vectors
from hand_pose_ros.simulation.batch_labels import HandStates
from hand_pose_ros.simulation.batch_meshes import scene_meshes
from hand_pose_ros.simulation.batch_planner import Drawn
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.batch_rasterizer import Backend, Meshes, rasterize
from hand_pose_ros.simulation.batch_views import Views, make_views, varied_intrinsics
from hand_pose_ros.simulation.gbuffer import GBuffer
from hand_pose_ros.skeleton import SIDES


class Stage:
    """All moments of some clips.

    Attributes:
        plans: of the clips.
        states: both hands in the scene.
        meshes: what stands before the background, in the scene.
    """

    def __init__(
        self,
        config: SimulationConfig,
        bodies: BatchBodies,
        drawn: Drawn,
        *,
        backend: Backend | None = None,
        scratch: dict[str, Any] | None = None,
    ) -> None:
        """Pose the clips.

        Args:
            config: what is rendered.
            bodies: the arms' mesh, on the device.
            drawn: the clips.
            backend, scratch: see ``rasterize``.
        """
        self._config, self._numbers, self._frames = config, drawn.numbers, drawn.frames
        self._backend: Backend | None = backend
        self._scratch = scratch
        self._device = bodies.faces.device
        self._seen: tuple[Any, Views, GBuffer] | None = None
        self.plans = drawn.plans
        self.states, self.meshes = _pose(bodies, drawn)

    def grouped(self, streams: Sequence[str]) -> list[str]:
        """Return streams so that those of one body, which share their G-buffer, are neighbours."""
        return sorted(streams, key=lambda stream: (_first_twin(self._config, stream), stream))

    def see(self, stream: str, *, native: bool = False) -> tuple[Views, GBuffer]:
        """Return the cameras of a stream and what they see.

        A stream with the same camera as the one asked for before gets the same G-buffer; any
        other one may take its memory.

        Args:
            stream: name of a camera of the rig.
            native: as the rig has it, through the lens, instead of at training size.

        Raises:
            DataError: the stream does not exist or is not calibrated.
        """
        config = self._config
        camera = config.native_camera(stream) if native else config.camera(stream)
        key = (_first_twin(config, stream), camera.width, camera.height, native)
        if self._seen is None or self._seen[0] != key:
            self._seen = None  # before the next one takes memory
            views = self._views(stream, camera, native)
            gbuffer = rasterize(
                self.meshes, self._planes(views), views, self._frames,
                backend=self._backend, scratch=self._scratch,
            )  # fmt: skip
            self._seen = (key, views, gbuffer)
        return self._seen[1:]

    def _views(self, stream: str, camera: Camera, native: bool) -> Views:
        config = self._config
        intrinsics = [camera.intrinsics] * len(self._numbers)
        if config.varies_intrinsics and not native:
            twin = _first_twin(config, stream)
            intrinsics = [
                varied_intrinsics(draws.spawn(twin + 1)[twin], camera)
                for draws in (generator(config, number, 'cameras') for number in self._numbers)
            ]
        T_rig_cam = config.rig.cameras[stream].T_rig_cam
        poses = np.concatenate([plan.T_scene_rig for plan in self.plans]) @ T_rig_cam
        rectified = config.rectified and not native
        K = np.repeat(intrinsics, self._frames, 0)
        return make_views(camera, K, poses, rectified, self._device)

    def _planes(self, views: Views) -> Tensor:
        clips = np.repeat(np.arange(len(self.plans)), self._frames)
        planes = plane_tables([plan.room for plan in self.plans], clips, views.T_scene_cam)
        return put(planes, self._device)


def _first_twin(config: SimulationConfig, stream: str) -> int:
    """Return the number of the first camera of the rig that has the same lens and place."""
    camera, pose = config.native_camera(stream), config.rig.cameras[stream].T_rig_cam
    for number, description in enumerate(config.rig.cameras.values()):
        other = description.camera
        if other is not None and _looks(other, description.T_rig_cam) == _looks(camera, pose):
            return number
    raise AssertionError('a camera is its own twin')


def _looks(camera: Camera, pose: np.ndarray) -> tuple[Any, ...]:
    arrays = (camera.intrinsics, camera.distortion, pose)
    return (
        camera.width, camera.height, camera.distortion_model, *(array.tobytes() for array in arrays)
    )  # fmt: skip


def _pose(bodies: BatchBodies, drawn: Drawn) -> tuple[HandStates, Meshes]:
    """Pose all hands and make the meshes of all moments."""
    plans, frames = drawn.plans, drawn.frames
    betas = np.repeat([plan.betas for plan in plans], frames, 0)
    hands = np.concatenate([plan.rotations for plan in plans])
    poses = np.concatenate([plan.hand_pose for plan in plans])
    shifts = np.concatenate([plan.translation for plan in plans])
    orient = rotation_vectors(hands)
    rotations, origins, joints = [], [], []
    for index, side in enumerate(SIDES):
        arguments = orient[:, index], poses[:, index], betas, shifts[:, index]
        turned, places = models()[side].kinematics(*arguments)
        rotations.append(turned)
        origins.append(places)
        joints.append(models()[side].joints(*arguments))
    forearms = np.concatenate([plan.forearms for plan in plans])
    vertices = bodies.vertices(betas, np.stack(rotations, 1), np.stack(origins, 1), hands, forearms)
    normals = bodies.normals(vertices)
    present = np.repeat([plan.present for plan in plans], frames, 0)
    gone = put(~present, vertices.device)
    gone = gone.repeat_interleave(bodies.vertex_count // 2, 1)
    vertices = torch.where(gone[..., None], torch.nan, vertices)
    states = HandStates(
        joints=np.stack(joints, 1), rotations=hands, hand_pose=poses, betas=betas,
        grasp=np.concatenate([plan.grasp for plan in plans]), present=present,
    )  # fmt: skip
    return states, scene_meshes(bodies, plans, drawn.things, vertices, normals)
