"""Training of what completes hands: on poses alone, then on what the network finds.

Poses cost nothing beside images, and a pass over them is quick, so that a completer sees each
hundreds of times, with other joints hidden and other errors every time. Not in the papers.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Generator, Tensor
from torch.nn import functional

from hand_pose_ros.networks.dense_crop import UNIT
from hand_pose_ros.networks.hand_completer import HandCompleter
from hand_pose_ros.networks.rotations import rotation_from_axis_angle
from hand_pose_ros.training.losses.densereg import error_cost, joint_distance

_BATCH = 512
# Of rehearsed hands, normalised: errors of joints that show and of others, how they differ from
# hand to hand and from joint to joint (standard deviations of logarithms), and the largest share of
# joints that are hidden beside those which are.
_SHOWN, _HIDDEN = 0.07, 0.20
_HAND, _JOINT, _MORE = 0.4, 0.3, 0.15
_PER_COORDINATE = 1.6  # mean length of a normal vector in space with deviation 1
_TURN_POSES, _TURN_FOUND = 0.4, 0.2  # largest turns about the view, radians
_RATE_POSES, _RATE_FOUND, _WARM_UP, _DECAY = 1e-3, 5e-4, 100, 0.02
_EXPECTED = 1 / 6  # of what it costs to expect wrong errors


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundHands:
    """What a network finds of N hands whose joints are known, normalised.

    Attributes:
        joints: (N, J, 3) found, before they are completed.
        log_error: (N, J) logarithm of how far off it expects them to be.
        true: (N, J, 3).
        visible: (N, J) bool, as labelled.
    """

    joints: Tensor
    log_error: Tensor
    true: Tensor
    visible: Tensor

    def rows(self, index: Tensor) -> 'FoundHands':
        """Return some of the hands."""
        return FoundHands(**{one.name: getattr(self, one.name)[index] for one in fields(self)})


def joined(parts: list[FoundHands]) -> FoundHands:
    """Return all hands of several parts."""
    return FoundHands(
        **{
            one.name: torch.cat([getattr(part, one.name) for part in parts])
            for one in fields(FoundHands)
        }
    )


def rehearsal(hands: FoundHands, generator: Generator) -> FoundHands:
    """Return the same hands as if found otherwise, from labels alone.

    Joints are moved at random, hidden ones farther, and are expected to be as far off as that
    makes them on average; some more are hidden.
    """
    shape = hands.visible.shape
    more = _MORE * torch.rand(shape[0], 1, generator=generator)
    shown = hands.visible & (torch.rand(shape, generator=generator) >= more)
    strayed = _HAND * torch.randn(shape[0], 1, generator=generator)
    strayed = strayed + _JOINT * torch.randn(shape, generator=generator)
    error = torch.where(shown, _SHOWN, _HIDDEN) * strayed.exp()
    noise = torch.randn(*shape, 3, generator=generator) * (error / _PER_COORDINATE)[..., None]
    return replace(hands, joints=hands.true + noise, log_error=error.log(), visible=shown)


def train_completer(
    completer: HandCompleter, hands: FoundHands, generator: Generator, *,
    poses: int, found: int, report: Callable[[int, int], None] | None = None,
) -> None:  # fmt: skip
    """Teach a completer, first by rehearsals, then by what was found.

    Args:
        completer: changed in place.
        hands: to learn from.
        generator: draws hands, turns and errors.
        poses: steps of rehearsals.
        found: steps of what was found.
        report: told the steps done and all.
    """
    completer.train()
    completer.requires_grad_(True)
    stages = (
        (poses, _RATE_POSES, _TURN_POSES, partial(rehearsal, generator=generator)),
        (found, _RATE_FOUND, _TURN_FOUND, lambda some: some),
    )
    done = 0
    for steps, rate, turn, seen in stages:
        optimiser = torch.optim.AdamW(completer.parameters(), rate, weight_decay=_DECAY)
        for step in range(steps):
            optimiser.param_groups[0]['lr'] = (
                rate * min(1.0, (step + 1) / _WARM_UP) * (1.0 - step / steps)
            )
            index = torch.randint(len(hands.true), (_BATCH,), generator=generator)
            some = seen(_turned(hands.rows(index), turn, generator))
            joints, log_error = completer(some.joints, some.log_error)
            optimiser.zero_grad()
            _cost(joints, log_error, some.true).backward()
            optimiser.step()
            done += 1
            if report is not None:
                report(done, poses + found)
    completer.eval()


def _cost(joints: Tensor, log_error: Tensor, true: Tensor) -> Tensor:
    """Return how far off completed hands are, and what it costs to expect that of them."""
    joints, true = joints * UNIT, true * UNIT
    return joint_distance(joints, true) / UNIT + _EXPECTED * error_cost(log_error, joints, true)


def _turned(hands: FoundHands, largest: float, generator: Generator) -> FoundHands:
    """Return hands turned about the view at random."""
    angle = largest * (2 * torch.rand(len(hands.true), generator=generator) - 1)
    turn = rotation_from_axis_angle(functional.pad(angle[:, None], (2, 0)))
    return replace(hands, joints=hands.joints @ turn, true=hands.true @ turn)
