"""DenseReg: single hands in crops of depth images."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Generator, Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.evaluation.metrics import joint_errors
from hand_pose_ros.networks.dense_crop import (
    UNIT,
    DenseCrop,
    background_limit,
    crop_boxes,
    crop_cubes,
    draw_augmentation,
    jitter_boxes,
    joint_boxes,
)
from hand_pose_ros.networks.dense_hands import find_hands, look_turns
from hand_pose_ros.networks.dense_votes import (
    AggregationConfig,
    DenseFields,
    aggregate,
    dense_targets,
)
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.networks.precision import full_precision
from hand_pose_ros.networks.registry import create_network
from hand_pose_ros.training.completion import FoundHands
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.losses.densereg import (
    Reduction,
    densereg_loss,
    error_cost,
    joint_distance,
)
from hand_pose_ros.training.tasks.base import Arrays
from hand_pose_ros.training.tasks.common import labelled_hands, no_loss, options, preset

_MILLIMETRES = 1000.0
# Hands that a forward pass without gradients takes at once.
_CHUNK = 64
# Of what it costs to expect wrong errors: a tenth of the slopes that joints have.
_EXPECTED_WEIGHT = 0.1


@dataclass(frozen=True, kw_only=True)
class DenseRegOptions:
    """How crops are cut and compared.

    Attributes:
        crop: ``cube`` of ``side`` metres about the hand, as live; ``box`` around the projected
            joints, as published.
        side: of the cube, metres.
        padding: of the box, pixels.
        jitter: standard deviation of the cube's centre, metres, while training.
        turn: largest rotation of a crop in its plane, radians.
        reach: of the votes that are learnt, see ``dense_targets``.
        reduction: of the loss, see ``losses.densereg``.
        background: whether pixels without a hand learn to vote, see ``losses.densereg``.
        joint_weight: of the mean distance between the joints that votes lead to and the true ones,
            per metre; 0 leaves the term out, as published, and a refiner as it is. Fields do not
            know which pixels vote.
    """

    crop: Literal['cube', 'box'] = 'cube'
    side: float = 0.28
    padding: float = 10.0
    jitter: float = 0.015
    turn: float = 3.1416
    reach: float = 1.0
    reduction: Reduction = 'sum'
    background: bool = True
    joint_weight: float = 0.0

    def __post_init__(self) -> None:
        """Refuse votes that reach less far than S, which is 80 mm wide."""
        if self.reach < 1:
            raise ValueError(f'reach is {self.reach:g}: use 1, as published, or more')


class DenseRegTask:
    """Trains DenseReg on every labelled hand; left hands are mirrored.

    Attributes:
        aggregation: how votes become joints in ``predict``.
    """

    name = 'densereg'
    metric = 'mean joint error'

    def __init__(self, config: TrainingConfig) -> None:
        """Read the network's and the task's options."""
        self.network_config = preset(DenseRegConfig, config.network)
        self._options = options(DenseRegOptions, config.options)
        self.aggregation = AggregationConfig()

    def build_network(self) -> nn.Module:
        """Return the new network."""
        network = create_network(self.name, self.network_config)
        if not self._options.joint_weight and network.refiner is not None:
            network.refiner.requires_grad_(False)  # no other term teaches it
        if network.completer is not None:
            network.completer.requires_grad_(False)  # learns afterwards, see ``completion``
        return network

    def augment(self, batch: ViewBatch, draws: Sequence[Generator]) -> ViewBatch:
        """Return the batch as it is: crops change when they are cut."""
        del draws
        return batch

    def loss(
        self, network: nn.Module, batch: ViewBatch, generator: Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss of all labelled hands of a batch, turned, stretched and moved."""
        frames, sides = labelled_hands(batch)
        if not len(frames):
            return no_loss(network), {}
        with torch.no_grad(), full_precision(batch.image):
            crop = self._crops(batch, frames, sides, generator)
            joints = self._joints(batch, frames, sides)
            targets = dense_targets(crop, joints, self._options.reach)
        stages = self._stages(network, crop)
        with full_precision(batch.image):
            terms = densereg_loss(
                stages, targets, head=self.network_config.head,
                reduction=self._options.reduction, background=self._options.background,
            )  # fmt: skip
            total = terms.pop('total')
            if self._options.joint_weight:
                found = aggregate(stages[-1], crop, self.aggregation).joints
                terms['joints'] = joint_distance(found, joints)
                total = total + self._options.joint_weight * terms['joints']
                if stages[-1].log_error is not None:
                    terms['expected'] = error_cost(stages[-1].log_error, found, joints)
                    total = total + _EXPECTED_WEIGHT * terms['expected']
        return total, terms

    @torch.no_grad()
    def find(self, network: DenseReg, batch: ViewBatch, generator: Generator) -> FoundHands | None:
        """Return what a network with a refiner finds in crops as in training, and the truth.

        Only hands whose joints are all labelled and of which some pixel shows; None without a hand.
        """
        frames, sides = labelled_hands(batch)
        if not len(frames):
            return None
        config = self.network_config
        crop = self._crops(batch, frames, sides, generator, config.turns)
        fields = self._stages(network, crop)[-1]
        hands = find_hands(fields, crop, self.aggregation, looks=config.looks)
        assert hands.error is not None
        first = crop.rows(slice(len(frames)))
        true = first.normalise(self._joints(batch, frames, sides))
        joints = first.normalise(hands.joints)
        rows = torch.isfinite(torch.cat([true, joints], dim=2)).all(dim=2).all(dim=1)
        return FoundHands(
            joints=joints[rows],
            log_error=(hands.error[rows] / UNIT).log(),
            true=true[rows],
            visible=batch.visible[frames, sides, : config.joints][rows],
        )

    def predict(self, network: nn.Module, batch: ViewBatch) -> Mapping[str, Tensor]:
        """Return joints (N, 2, 21, 3) in metres of labelled hands, given a good box; else NaN."""
        frames, sides = labelled_hands(batch)
        joints = torch.full_like(batch.joints, torch.nan)
        spread = torch.full_like(batch.joints[..., 0], torch.nan)
        config = self.network_config
        for rows, side in zip(frames.split(_CHUNK), sides.split(_CHUNK), strict=True):
            with full_precision(batch.image):
                crop = self._crops(batch, rows, side, None, config.turns)
            fields = self._stages(network, crop)[-1]
            with full_precision(batch.image):
                hands = find_hands(
                    fields, crop, self.aggregation,
                    looks=config.looks, complete=network.completer,
                )  # fmt: skip
            joints[rows, side, : config.joints] = hands.joints.to(joints.dtype)
            spread[rows, side, : config.joints] = hands.spread.to(spread.dtype)
        return {'joints': joints, 'spread': spread}

    def measure(self, predicted: Arrays, truth: Arrays) -> dict[str, float]:
        """Return the mean joint error in mm and shares of hands by their worst joint, per cent.

        Source: methods specification, section 3.7.
        """
        errors = np.concatenate(
            [
                joint_errors(predicted['joints'][:, side], truth['joints'][:, side])
                for side in range(2)
            ]
        )
        known = np.concatenate(
            [np.isfinite(truth['joints'][:, side]).all(axis=-1) for side in range(2)]
        )
        count = max(int(known.any(axis=1).sum()), 1)
        found = known.any(axis=1) & (np.isfinite(errors) | ~known).all(axis=1)
        errors = np.where(known, errors, 0.0)[found]
        worst = errors.max(axis=1, initial=0.0)
        return {
            'mean joint error': float(errors.sum() / known[found].sum()) * _MILLIMETRES
            if found.any()
            else float('nan'),
            'worst joint < 20 mm': 100.0 * float((worst < 0.02).sum()) / count,
            'worst joint < 40 mm': 100.0 * float((worst < 0.04).sum()) / count,
        }

    def _stages(self, network: nn.Module, crop: DenseCrop) -> list[DenseFields]:
        """Return the fields of every stack, in 32 bits whatever the network's precision."""
        return [
            _full(fields) for fields in network(crop.channels(unseen=self.network_config.unseen))
        ]

    def _joints(self, batch: ViewBatch, frames: Tensor, sides: Tensor) -> Tensor:
        """Return the joints (M, J, 3) of hands that the network has."""
        return batch.joints[frames, sides, : self.network_config.joints]

    def _crops(
        self, batch: ViewBatch, frames: Tensor, sides: Tensor, generator: Generator | None,
        turns: tuple[float, ...] = (0.0,),
    ) -> DenseCrop:  # fmt: skip
        """Cut the crops of hands; with a generator, jittered and augmented.

        With ``turns`` all of them so often, turned that much farther, look by look.
        """
        depth, intrinsics = batch.image[frames, :1], batch.intrinsics[frames]
        joints = self._joints(batch, frames, sides)
        looks = len(turns)
        turn, stretch = look_turns(turns, len(frames)).to(depth.device), None
        if generator is not None:
            drawn, stretch = draw_augmentation(len(frames), generator, self._options.turn)
            turn = turn + drawn.to(depth.device).repeat(looks)
            stretch = stretch.to(depth.device).repeat(looks, 1)
        placed = {'mirrored': (sides == 0).repeat(looks), 'turn': turn, 'stretch': stretch}
        images = depth.repeat(looks, 1, 1, 1), intrinsics.repeat(looks, 1, 1)
        if self._options.crop == 'box':
            pixels = batch.pixels[frames, sides]
            boxes = joint_boxes(pixels, self._options.padding)
            if generator is None and batch.boxes is not None:
                # The boxes of a benchmark's protocol, where it has them (NYU).
                given = batch.boxes[frames, sides]
                boxes = torch.where(torch.isfinite(given), given, boxes)
            if generator is not None:
                boxes = jitter_boxes(boxes.cpu(), generator).to(boxes.device)
            farthest = background_limit(depth, pixels).repeat(looks)
            return crop_boxes(*images, boxes.repeat(looks, 1), farthest=farthest, **placed)
        centres = joints.nanmean(dim=1)
        if generator is not None:
            noise = torch.randn(centres.shape, generator=generator)
            centres = centres + self._options.jitter * noise.to(centres.device)
        return crop_cubes(*images, centres.repeat(looks, 1), self._options.side, **placed)


def _full(fields: DenseFields) -> DenseFields:
    """Return fields in 32 bits, whatever the precision of the network that predicted them."""
    changes = {name: value.float() for name, value in vars(fields).items() if value is not None}
    return dataclasses.replace(fields, **changes)
