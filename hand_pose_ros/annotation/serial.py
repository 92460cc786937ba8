"""Serial: the published annotator's schedule, each hand alone and frame after frame.

It is kept as the faithful baseline that the session's fit is measured against, for clouds, views
and landmarks alike. Source: methods specification, section 1.9.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from hand_pose_ros.annotation.energies import (
    HandEvidence,
    LimitEnergy,
    Weights,
    cloud_energy,
    joint_energy,
    point_energy,
    shape_energy,
    silhouette_energy,
)
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.networks.hand_layer import HandLayer
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.skeleton import SIDES

_DISTANCE = 0.4  # metres from the first view, where no cloud and no second view says more


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The published optimiser.

    Attributes:
        first: steps of the first stage, on the first frame, in which the shape is free.
        steps: steps of every frame, the first one again, with the shape held.
        rate: Adam's learning rate.
        decay: factor on it every ``every`` steps.
        every: see ``decay``.
    """

    first: int = 500
    steps: int = 300
    rate: float = 0.1
    decay: float = 0.9
    every: int = 50


@dataclass(kw_only=True, eq=False)
class SerialHand:
    """Parameters of one hand, what the optimiser moves; the shapes are of a batch of one.

    Attributes:
        global_orient: (1, 3) axis-angle, rad.
        hand_pose: (1, 15, 3) axis-angle, rad, zero = flat hand.
        betas: (1, 10).
        translation: (1, 3) metres.
    """

    global_orient: Tensor
    hand_pose: Tensor
    betas: Tensor
    translation: Tensor

    def copy(self) -> 'SerialHand':
        """Return the same hand, apart from the optimiser."""
        return SerialHand(
            global_orient=self.global_orient.detach().clone(),
            hand_pose=self.hand_pose.detach().clone(),
            betas=self.betas.detach().clone(),
            translation=self.translation.detach().clone(),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class SerialFit:
    """The published fit of one side.

    Attributes:
        side: 0 left, 1 right.
        layer: both hands.
        schedule: of the optimiser.
        weights: of the energies.
    """

    side: int
    layer: HandLayer
    schedule: Schedule = field(default_factory=Schedule)
    weights: Weights = field(default_factory=Weights)

    def frames(self, evidence: HandEvidence) -> Iterator[SerialHand]:
        """Yield the hand of each of the B frames, warm-started from the one before."""
        hand = self._start(evidence.take(slice(0, 1)))
        self._descend(hand, evidence.take(slice(0, 1)), self.schedule.first, shape=True)
        for row in range(len(evidence.cloud)):
            self._descend(hand, evidence.take(slice(row, row + 1)), self.schedule.steps)
            yield hand.copy()

    def posed(self, hand: SerialHand, *, mesh: bool = True) -> tuple[Tensor, Tensor | None]:
        """Return joints (1, 21, 3) and vertices (1, V, 3) of a hand, metres."""
        turns = torch.cat([hand.global_orient[:, None], hand.hand_pose], dim=1)
        # The layer poses both sides; the other one repeats this one's parameters.
        rotations = rotation_from_axis_angle(turns)[:, None].expand(-1, 2, -1, -1, -1)
        hands = self.layer(
            rotations, hand.betas[:, None].expand(-1, 2, -1),
            hand.translation[:, None].expand(-1, 2, -1), mesh=mesh,
        )  # fmt: skip
        vertices = None if hands.vertices is None else hands.vertices[:, self.side]
        return hands.joints[:, self.side], vertices

    def energy(self, hand: SerialHand, evidence: HandEvidence, *, shape: bool = False) -> Tensor:
        """Return the weighted sum of all terms for one frame."""
        joints, vertices = self.posed(hand)
        assert vertices is not None
        weights = self.weights
        total = weights.silhouette * silhouette_energy(vertices, evidence, weights.ego)
        total = total + weights.points * point_energy(joints, evidence, weights.ego)
        total = total + weights.joints * joint_energy(joints, evidence)
        total = total + weights.cloud * cloud_energy(vertices, evidence)
        total = total + weights.limits * self._limits(hand.hand_pose)
        if shape:
            total = total + weights.shape * shape_energy(hand.betas)
        return total.sum()

    @cached_property
    def _limits(self) -> LimitEnergy:
        return LimitEnergy(load_hand_model(SIDES[self.side]))

    def _descend(
        self, hand: SerialHand, evidence: HandEvidence, steps: int, *, shape: bool = False
    ) -> None:
        moved = [hand.global_orient, hand.hand_pose, hand.translation]
        moved += [hand.betas] if shape else []
        for tensor in (hand.global_orient, hand.hand_pose, hand.translation, hand.betas):
            tensor.requires_grad_(False)
        for tensor in moved:
            tensor.requires_grad_(True)
        schedule = self.schedule
        optimiser = torch.optim.Adam(moved, lr=schedule.rate)
        decay = torch.optim.lr_scheduler.StepLR(optimiser, schedule.every, schedule.decay)
        for _ in range(steps):
            optimiser.zero_grad(set_to_none=True)
            self.energy(hand, evidence, shape=shape).backward()
            optimiser.step()
            decay.step()

    def _start(self, evidence: HandEvidence) -> SerialHand:
        """Return a flat hand at the triangulated joints, or at what else says where it is."""
        zero = {'device': evidence.cloud.device, 'dtype': evidence.cloud.dtype}
        return SerialHand(
            global_orient=torch.zeros(1, 3, **zero), hand_pose=torch.zeros(1, 15, 3, **zero),
            betas=torch.zeros(1, 10, **zero), translation=_place(evidence)[None],
        )  # fmt: skip


def _place(evidence: HandEvidence) -> Tensor:
    """Return where the hand of the first frame is, (3,) metres, world."""
    for points in (evidence.joints[0], evidence.cloud[0]):
        known = points[torch.isfinite(points).all(dim=1)]
        if len(known):
            return known.mean(dim=0)
    for view in range(len(evidence.exo)):
        points = evidence.points[view, 0]
        known = points[torch.isfinite(points).all(dim=1)]
        if len(known):
            ray = torch.cat([known.mean(dim=0), points.new_ones(1)]) * _DISTANCE
            transform = evidence.T_cam_world[view, 0]
            return transform[:3, :3].T @ (ray - transform[:3, 3])
    return evidence.cloud.new_tensor([0.0, 0.0, _DISTANCE])


def handed_by_place(left: HandEvidence, right: HandEvidence) -> tuple[HandEvidence, HandEvidence]:
    """Return the evidence of both sides, told apart as published: by where hands are in a view.

    The hand with the smaller mean x is the left one; in an exo view, which faces the wearer, it is
    the right one. Hands that cross are taken for each other; a view that saw one hand keeps it.
    Source: methods specification, section 1.9, step 5.
    """
    x = [hand.points[..., 0].nanmean(dim=2) for hand in (left, right)]  # (V, B)
    exo = torch.tensor(left.exo, device=x[0].device)[:, None]
    crossed = torch.where(exo, x[0] < x[1], x[0] > x[1])

    def exchanged(one: HandEvidence, other: HandEvidence) -> HandEvidence:
        places = crossed[..., None, None]
        return replace(
            one, points=torch.where(places, other.points, one.points),
            masks=torch.where(places, other.masks, one.masks),
            spacing=torch.where(crossed, other.spacing, one.spacing),
        )  # fmt: skip

    return exchanged(left, right), exchanged(right, left)


def reused_where_failed(evidence: HandEvidence, other: HandEvidence) -> HandEvidence:
    """Return evidence in which views that lost a hand, or saw one twice, repeat their last look.

    A view fails where it saw fewer than two hands or two less than 20 px apart, and then keeps the
    landmarks and the mask of the frame before. A clip whose first frames failed keeps them
    missing: there is nothing to repeat.

    Args:
        evidence: of one side.
        other: of the other side, the same frames and views.
    """
    points, masks = evidence.points.clone(), evidence.masks.clone()
    spacing = evidence.spacing.clone()
    middle, beside = points.nanmean(dim=2), other.points.nanmean(dim=2)
    apart = (middle - beside).norm(dim=-1) * evidence.focal[:, None]
    failed = ~(apart >= _LEAST_APART)
    for row in range(1, points.shape[1]):
        for view in torch.nonzero(failed[:, row])[:, 0].tolist():
            for array in (points, masks, spacing):
                array[view, row] = array[view, row - 1]
    return replace(evidence, points=points, masks=masks, spacing=spacing)


_LEAST_APART = 20.0  # pixels between the middles of two hands
