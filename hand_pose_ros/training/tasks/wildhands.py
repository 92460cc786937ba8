"""WildHands: crops of both hands from colour images with known intrinsics."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.evaluation.arctic_protocol import HandArrays, evaluate_arctic
from hand_pose_ros.networks.hand_crops import (
    HandViews,
    hand_boxes,
    hand_views,
    jitter_boxes,
    jitter_gains,
    too_dark,
)
from hand_pose_ros.networks.precision import full_precision
from hand_pose_ros.networks.registry import create_network
from hand_pose_ros.networks.view_turns import (
    draw_turns,
    turn_matrices,
    turn_pixels,
    turn_views,
)
from hand_pose_ros.networks.wildhands import WildHandsConfig
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.losses.wildhands import (
    WildHandsLossConfig,
    wildhands_loss,
    wildhands_targets,
)
from hand_pose_ros.training.tasks.base import Arrays
from hand_pose_ros.training.tasks.common import options, preset


@dataclass(frozen=True, kw_only=True)
class WildHandsOptions:
    """How views are changed and compared.

    Attributes:
        loss: weights of the terms.
        box_scale: side of a crop in longer sides of the joints' bounding box.
        box_shift: largest move of a crop, in its size.
        box_resize: largest change of its size, as a share.
        gain: channels are multiplied by 1 +- this.
        turn: standard deviation of the rotation of views, degrees.
        turn_limit: largest rotation, degrees.
        turn_probability: share of the clips that are rotated.

    Source: methods specification, section 2.6.
    """

    loss: WildHandsLossConfig = field(default_factory=WildHandsLossConfig)
    box_scale: float = 1.5
    box_shift: float = 0.2
    box_resize: float = 0.0
    gain: float = 0.4
    turn: float = 30.0
    turn_limit: float = 60.0
    turn_probability: float = 0.4


class WildHandsTask:
    """Trains WildHands with boxes around the labelled joints."""

    name = 'wildhands'
    metric = 'MPJPE'

    def __init__(self, config: TrainingConfig) -> None:
        """Read the network's and the task's options."""
        self.network_config = preset(WildHandsConfig, config.network)
        self._options = options(WildHandsOptions, config.options)

    def build_network(self) -> nn.Module:
        """Return the new network."""
        return create_network(self.name, self.network_config)

    def augment(self, batch: ViewBatch, draws: Sequence[Generator]) -> ViewBatch:
        """Rotate views about their principal ray and change the gains of their channels."""
        own = self._options
        # What no loss reads need not be turned.
        batch = dataclasses.replace(
            batch, surface=None, hand_mask=batch.hand_mask if own.loss.mask else None
        )
        if own.turn_probability:
            angles = torch.cat(
                [
                    draw_turns(
                        1, draw, deviation=own.turn, limit=own.turn_limit,
                        probability=own.turn_probability,
                    )
                    for draw in draws
                ]
            )  # fmt: skip
            batch = _turned(batch, angles)
        if own.gain:
            batch = dataclasses.replace(batch, image=jitter_gains(batch.image, draws, own.gain))
        return batch

    def loss(
        self, network: nn.Module, batch: ViewBatch, generator: Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of all labelled hands that have a box, in images light enough."""
        with torch.no_grad(), full_precision(batch.image):
            batch = _lit(batch)
            views = self._views(batch, generator)
            targets = wildhands_targets(batch, views, self._options.loss)
        mesh = targets.mask is not None
        output = network(views.image, views.crops, views.intrinsics, views.boxes, mesh=mesh)
        layer: Any = network.hand_model
        faces = layer.faces if mesh else None
        terms = wildhands_loss(output, targets, views, self._options.loss, faces)
        total = terms.pop('total')
        return total, terms

    def predict(self, network: nn.Module, batch: ViewBatch) -> Mapping[str, Tensor]:
        """Return joints (N, 2, 21, 3) in metres and pixels (N, 2, 21, 2); NaN without a box."""
        views = self._views(batch, None)
        output = network(views.image, views.crops, views.intrinsics, views.boxes)
        missing = ~views.present[..., None, None]
        return {
            'joints': output.joints.masked_fill(missing, torch.nan),
            'pixels': views.frame.to_native(output.pixels).masked_fill(missing, torch.nan),
        }

    def measure(self, predicted: Arrays, truth: Arrays) -> dict[str, float]:
        """Return the ARCTIC measures in millimetres."""
        found = evaluate_arctic(
            HandArrays(joints=predicted['joints']), HandArrays(joints=truth['joints'])
        ).headline
        names = {'mpjpe_mm': 'MPJPE', 'mrrpe_mm': 'MRRPE', 'pa_mpjpe_mm': 'PA-MPJPE'}
        return {name: found[key] for key, name in names.items()}

    def _views(self, batch: ViewBatch, generator: Generator | None) -> HandViews:
        """Cut the views of a batch; with a generator, boxes are jittered."""
        own = self._options
        height, width = batch.image.shape[-2:]
        boxes = hand_boxes(batch.pixels, height, width, own.box_scale)
        if batch.boxes is not None:
            # Data sets without joints come with a detector's or an annotator's boxes.
            boxes = torch.where(torch.isfinite(boxes), boxes, _squares(batch.boxes, own.box_scale))
        if generator is not None:
            boxes = jitter_boxes(boxes, generator, own.box_shift, own.box_resize)
        return hand_views(batch.image, batch.intrinsics, boxes, self.network_config.patch)


def _lit(batch: ViewBatch) -> ViewBatch:
    """Return the frames in which something can be seen; all of them where there is none."""
    (rows,) = (~too_dark(batch.image)).nonzero(as_tuple=True)
    if len(rows) in (0, len(batch.image)):
        return batch
    return dataclasses.replace(batch, frames=1).select(rows)


def _turned(batch: ViewBatch, angles: Tensor) -> ViewBatch:
    """Rotate the clips of a batch by angles (B,), on the CPU; those by zero are not resampled."""
    angles = angles.repeat_interleave(batch.frames)
    (rows,) = angles.nonzero(as_tuple=True)
    if not len(rows):
        return batch
    device = batch.image.device
    angles, rows = (one.to(device, non_blocking=True) for one in (angles[rows], rows))
    part = dataclasses.replace(batch, frames=1).select(rows)
    turned = turn_views(
        angles, image=part.image, intrinsics=part.intrinsics, joints=part.joints,
        pixels=part.pixels, visible=part.visible, global_orient=part.global_orient,
        translation=part.translation, hand_mask=part.hand_mask, surface=part.surface,
    )  # fmt: skip
    if part.boxes is not None:
        turned['boxes'] = _turned_boxes(part.boxes, part.intrinsics, turn_matrices(angles))
    changes = {
        name: getattr(batch, name).index_copy(0, rows, values)
        for name, values in turned.items()
        if values is not None
    }
    return dataclasses.replace(batch, **changes)


def _turned_boxes(boxes: Tensor, intrinsics: Tensor, turn: Tensor) -> Tensor:
    """Return boxes (N, 2, 4) of the same size about the turned centres."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    step = turn_pixels(centre, intrinsics, turn) - centre
    return boxes + torch.cat([step, step], dim=-1)


def _squares(boxes: Tensor, scale: float) -> Tensor:
    """Return squares (..., 4) about boxes, ``scale`` times their longer sides."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]).amax(dim=-1, keepdim=True) * (scale / 2)
    return torch.cat([centre - half, centre + half], dim=-1)
