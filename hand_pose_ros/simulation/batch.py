"""BatchSimulator: labelled clips of two hands before the cameras of a rig, many at once."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.batch_bodies import BatchBodies
from hand_pose_ros.simulation.batch_config import SimulationConfig
from hand_pose_ros.simulation.batch_labels import hand_labels, joined, view_batch
from hand_pose_ros.simulation.batch_planner import Drawn, Planner, draw
from hand_pose_ros.simulation.batch_rasterizer import Backend, Meshes
from hand_pose_ros.simulation.batch_sensors import native_images, render
from hand_pose_ros.simulation.batch_stage import Stage
from hand_pose_ros.simulation.batch_truth import true_poses
from hand_pose_ros.simulation.gbuffer import GBuffer


class BatchSimulator:
    """Renders clips by number; may be used by several threads.

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
        workers: int = 0,
    ) -> None:
        """Put the meshes on the device.

        Args:
            config: what is rendered.
            device: where.
            backend: rasterizer, by default what suits the device.
            workers: processes that draw the clips, for a device that renders faster than one
                core draws (200 clips a second); 0 draws in the calling thread.
        """
        self._backend: Backend | None = backend
        self._planner = Planner(config, workers)
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
            DataError: a stream does not exist or is not calibrated, or there is nothing to render.
        """
        parts = [self._clips(part, streams, frames) for part in self._parts(numbers)]
        return {stream: joined([part[stream] for part in parts]) for stream in streams}

    def geometry(
        self, numbers: Sequence[int], streams: Sequence[str] = ('thermal',), frames: int = 8
    ) -> dict[str, tuple[GBuffer, dict[str, Tensor]]]:
        """Render the G-buffers of clips and label them.

        Returns:
            Per stream the G-buffer of N = clips * frames images and the hands' labels.
        """
        stage = self._stage(draw(self.config, numbers, frames))
        return {stream: (gbuffer, labels) for stream, gbuffer, labels in _rendered(stage, streams)}

    def gbuffers(
        self, numbers: Sequence[int], streams: Sequence[str] = ('thermal',), frames: int = 8
    ) -> Iterator[tuple[str, GBuffer, dict[str, Tensor]]]:
        """Render as ``clips`` does, without the sensors.

        Yields:
            Stream, G-buffer and labels, on CPUs clip by clip; the next one may take the memory of
            the G-buffer before.
        """
        for part in self._parts(numbers):
            stage = self._stage(draw(self.config, part, frames), self._memory())
            yield from _rendered(stage, streams)

    def scene(self, numbers: Sequence[int], stream: str, frames: int) -> tuple[GBuffer, Meshes]:
        """Return the G-buffer of one stream and the meshes in the scene that it shows."""
        stage = self._stage(draw(self.config, numbers, frames))
        return stage.see(stream)[1], stage.meshes

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
        drawn, environment = self._planner.draw([number], frames, self.device)
        stage, plan = self._stage(drawn), drawn.plans[0]
        stamps = [round(1e9 * (1 + moment / plan.rate)) for moment in range(frames)]
        images: list[dict[str, StreamImage]] = [{} for _ in stamps]
        for stream in stage.grouped(streams or tuple(rig.cameras)):
            _, gbuffer = stage.see(stream, native=True)
            description = rig.cameras[stream]
            native = native_images(description, gbuffer, environment)
            for image, stamp, kept in zip(native, stamps, images, strict=True):
                late = stamp + description.time_offset
                kept[stream] = stream_image(image, description.encoding, late, description)
        hands = self._bodies.hands(stage.meshes.vertices)
        truth = true_poses(rig, stage.states, plan.T_scene_rig, hands)
        return [rig_frame(rig, kept) for kept in images], truth

    def _clips(
        self, numbers: Sequence[int], streams: Sequence[str], frames: int
    ) -> dict[str, ViewBatch]:
        drawn, environment = self._planner.draw(numbers, frames, self.device)
        stage = self._stage(drawn, self._memory())
        result = {}
        for stream, gbuffer, labels in _rendered(stage, streams):
            modality = self.config.rig.cameras[stream].modality
            image = render(modality, gbuffer, environment)
            result[stream] = view_batch(image, gbuffer, labels, modality)
        return result

    def _parts(self, numbers: Sequence[int]) -> list[Sequence[int]]:
        """Cut a batch: on CPUs clip by clip, where memory is used again and caches help."""
        if self.device.type != 'cpu' or not len(numbers):
            return [numbers]
        return [[number] for number in numbers]

    def _memory(self) -> dict[str, Any] | None:
        """Return what this thread's G-buffers are kept in from call to call; on CPUs only."""
        return self._scratch.__dict__ if self.device.type == 'cpu' else None

    def _stage(self, drawn: Drawn, scratch: dict[str, Any] | None = None) -> Stage:
        return Stage(self.config, self._bodies, drawn, backend=self._backend, scratch=scratch)

    def close(self) -> None:
        """End the processes that draw clips, if there are any."""
        self._planner.close()


def _rendered(
    stage: Stage, streams: Sequence[str]
) -> Iterator[tuple[str, GBuffer, dict[str, Tensor]]]:
    """Yield streams with G-buffers and labels, in an order that renders twins once."""
    for stream in stage.grouped(streams):
        views, gbuffer = stage.see(stream)
        yield stream, gbuffer, hand_labels(stage.states, views, gbuffer)
