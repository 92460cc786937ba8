"""BatchSimulator: labelled clips of two hands before the cameras of a rig, many at once."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.batch_background import plane_tables
from hand_pose_ros.simulation.batch_bodies import BatchBodies
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_draw import draw_plan, generator, rotation_vectors
from hand_pose_ros.simulation.batch_labels import HandStates, hand_labels, joined, view_batch
from hand_pose_ros.simulation.batch_meshes import scene_meshes
from hand_pose_ros.simulation.batch_plan import ClipPlan
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.batch_rasterizer import Backend, Meshes, rasterize
from hand_pose_ros.simulation.batch_sensors import draw_environments, native_images, render
from hand_pose_ros.simulation.batch_truth import true_poses
from hand_pose_ros.simulation.batch_views import Views, make_views, varied_intrinsics
from hand_pose_ros.simulation.gbuffer import GBuffer
from hand_pose_ros.skeleton import SIDES


class BatchSimulator:
    """Renders clips by number.

    Attributes:
        config: what is rendered.
        device: where.
    """

    def __init__(
        self,
        config: SimulationConfig,
        device: str | torch.device = 'cpu',
        *,
        backend: Backend | None = None,
    ) -> None:
        """Put the meshes on the device.

        Args:
            config: what is rendered.
            device: where.
            backend: rasterizer, by default what suits the device.
        """
        self._backend = backend
        self.config = config
        self.device = torch.device(device)
        self._bodies = BatchBodies(self.device)
        self._scratch = threading.local()

    def clips(
        self, numbers: Sequence[int], streams: Sequence[str] = ('thermal',), frames: int = 8
    ) -> dict[str, ViewBatch]:
        """Render labelled clips.

        Args:
            numbers: of the clips; number and configuration fix a clip, whatever it comes with.
            streams: cameras of the rig.
            frames: consecutive images a clip.

        Returns:
            Per stream a batch of N = clips * frames images, clip after clip.

        Raises:
            DataError: a stream does not exist or is not calibrated.
        """
        if self.device.type == 'cpu':  # clip by clip, memory is used again and caches help
            parts = [self._clips([number], streams, frames) for number in numbers]
            return {stream: joined([part[stream] for part in parts]) for stream in streams}
        return self._clips(numbers, streams, frames)

    def geometry(
        self, numbers: Sequence[int], streams: Sequence[str] = ('thermal',), frames: int = 8
    ) -> dict[str, tuple[GBuffer, dict[str, Tensor]]]:
        """Render the G-buffers of clips and label them.

        Returns:
            Per stream the G-buffer of N = clips * frames images and the hands' labels.
        """
        rendered = self._render(numbers, streams, frames, None)
        return {stream: (gbuffer, labels) for stream, gbuffer, labels in rendered}

    def gbuffers(
        self, numbers: Sequence[int], streams: Sequence[str] = ('thermal',), frames: int = 8
    ) -> Iterator[tuple[str, GBuffer, dict[str, Tensor]]]:
        """Render as ``clips`` does, without the sensors.

        Yields:
            Stream, G-buffer and labels, on CPUs clip by clip; the next one takes the memory of
            the G-buffer before.
        """
        parts = [[number] for number in numbers] if self.device.type == 'cpu' else [numbers]
        for part in parts:
            yield from self._render(part, streams, frames, self._memory())

    def scene(self, numbers: Sequence[int], stream: str, frames: int) -> tuple[GBuffer, Meshes]:
        """Return the G-buffer of one stream and the meshes in the scene that it shows."""
        plans = [draw_plan(self.config, number, frames) for number in numbers]
        _, meshes = self._pose(plans, frames)
        views = self._views(stream, numbers, plans, frames)
        planes = self._planes(plans, views, frames)
        return rasterize(meshes, planes, views, frames, backend=self._backend), meshes

    def rig_frames(
        self, number: int, frames: int, streams: Sequence[str] | None = None
    ) -> tuple[list[RigFrame], list[list[HandPose]]]:
        """Render a clip as a live rig delivers it: native sizes and encodings, through the lens.

        Args:
            number: of the clip.
            frames: moments; all of a stream's are rendered together.
            streams: cameras of the rig, all by default.

        Returns:
            One frame per moment, all its images of one stamp, and the hands that are there, in
            the optical frame of the rig's reference camera.

        Raises:
            DataError: a stream does not exist or is not calibrated.
        """
        rig = self.config.rig
        plan = draw_plan(self.config, number, frames)
        states, meshes = self._pose([plan], frames)
        environment = draw_environments(self.config, [number], self.device)
        stamps = [round(1e9 * (1 + moment / plan.rate)) for moment in range(frames)]
        images: list[dict[str, StreamImage]] = [{} for _ in stamps]
        for stream in streams or tuple(rig.cameras):
            camera = self.config.native_camera(stream)
            description = rig.cameras[stream]
            poses = plan.T_scene_rig @ description.T_rig_cam
            intrinsics = np.tile(camera.intrinsics, (frames, 1, 1))
            views = make_views(camera, intrinsics, poses, False, self.device)
            planes = self._planes([plan], views, frames)
            gbuffer = rasterize(meshes, planes, views, frames, backend=self._backend)
            native = native_images(description, gbuffer, environment)
            for image, stamp, kept in zip(native, stamps, images, strict=True):
                late = stamp + description.time_offset
                kept[stream] = stream_image(image, description.encoding, late, description)
        hands = self._bodies.hands(meshes.vertices)
        truth = true_poses(rig, states, plan.T_scene_rig, hands)
        return [rig_frame(rig, kept) for kept in images], truth

    def _clips(
        self, numbers: Sequence[int], streams: Sequence[str], frames: int
    ) -> dict[str, ViewBatch]:
        environment = draw_environments(self.config, numbers, self.device)
        result = {}
        for stream, gbuffer, labels in self._render(numbers, streams, frames, self._memory()):
            modality = self.config.rig.cameras[stream].modality
            image = render(modality, gbuffer, environment)
            result[stream] = view_batch(image, gbuffer, labels, modality)
        return result

    def _render(
        self,
        numbers: Sequence[int],
        streams: Sequence[str],
        frames: int,
        scratch: dict[str, Any] | None,
    ) -> Iterator[tuple[str, GBuffer, dict[str, Tensor]]]:
        """Yield streams with G-buffers and labels; with ``scratch`` each ends the one before."""
        plans = [draw_plan(self.config, number, frames) for number in numbers]
        states, meshes = self._pose(plans, frames)
        for stream in streams:
            views = self._views(stream, numbers, plans, frames)
            planes = self._planes(plans, views, frames)
            gbuffer = rasterize(
                meshes, planes, views, frames, backend=self._backend, scratch=scratch
            )
            yield stream, gbuffer, hand_labels(states, views, gbuffer)

    def _memory(self) -> dict[str, Any] | None:
        """Return what this thread's G-buffers are kept in from call to call; on CPUs only."""
        return self._scratch.__dict__ if self.device.type == 'cpu' else None

    def _pose(self, plans: Sequence[ClipPlan], frames: int) -> tuple[HandStates, Meshes]:
        """Pose all hands and make the meshes of all moments."""
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
        vertices = self._bodies.vertices(
            betas, np.stack(rotations, 1), np.stack(origins, 1), hands, forearms
        )
        present = np.repeat([plan.present for plan in plans], frames, 0)
        gone = torch.as_tensor(~present, device=self.device).repeat_interleave(
            self._bodies.vertex_count // 2, 1
        )
        normals = self._bodies.normals(vertices)
        states = HandStates(
            joints=np.stack(joints, 1), rotations=hands, hand_pose=poses, betas=betas,
            grasp=np.concatenate([plan.grasp for plan in plans]), present=present,
        )  # fmt: skip
        vertices = torch.where(gone[..., None], torch.nan, vertices)
        return states, scene_meshes(self._bodies, plans, vertices, normals)

    def _planes(self, plans: Sequence[ClipPlan], views: Views, frames: int) -> Tensor:
        clips = np.repeat(np.arange(len(plans)), frames)
        planes = plane_tables([plan.room for plan in plans], clips, views.T_scene_cam)
        return torch.as_tensor(planes, device=self.device)

    def _views(
        self, stream: str, numbers: Sequence[int], plans: Sequence[ClipPlan], frames: int
    ) -> Views:
        config = self.config
        camera = config.camera(stream)
        intrinsics = []
        for number in numbers:
            if config.varies_intrinsics:
                cameras = generator(config, number, 'cameras').spawn(len(config.rig.cameras))
                child = cameras[list(config.rig.cameras).index(stream)]
                intrinsics.append(varied_intrinsics(child, camera))
            else:
                intrinsics.append(camera.intrinsics)
        T_rig_cam = config.rig.cameras[stream].T_rig_cam
        poses = np.concatenate([plan.T_scene_rig for plan in plans]) @ T_rig_cam
        return make_views(
            camera, np.repeat(intrinsics, frames, 0), poses, config.rectified, self.device
        )
