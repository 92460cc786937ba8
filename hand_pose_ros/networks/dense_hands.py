"""Hands of DenseReg: found in every look at them, joined, and completed.

A network errs otherwise in a crop that is turned a little, so that two looks at a hand, each joint
weighed by how sure the network is of it, err less than one. Not in the paper.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from hand_pose_ros.networks.dense_crop import UNIT, DenseCrop
from hand_pose_ros.networks.dense_votes import (
    AggregationConfig,
    DenseFields,
    DenseJoints,
    aggregate,
)

# Joints (N, J, 3) and the logarithms of their expected errors (N, J), normalised: found, completed.
Complete = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def look_turns(turns: Sequence[float], count: int) -> Tensor:
    """Return the turns (T * N,), radians, of crops in which ``count`` hands are looked at.

    The looks come one after the other, each with all hands.
    """
    return torch.tensor(list(turns)).repeat_interleave(count)


def find_hands(
    fields: DenseFields, crop: DenseCrop, config: AggregationConfig | None = None, *,
    looks: int = 1, complete: Complete | None = None,
) -> DenseJoints:  # fmt: skip
    """Find N hands that a network has looked at.

    Args:
        fields: predicted, (looks * N, ...), one look after the other.
        crop: they belong to.
        config: of the votes; the published method if None.
        looks: how often each hand is there.
        complete: a network's ``completer``, if it has one.

    Returns:
        the joints of the N hands.
    """
    hands = joined(aggregate(fields, crop, config), looks)
    if complete is None or hands.error is None:
        return hands
    first = crop.rows(slice(len(hands.joints)))
    joints, log_error = complete(first.normalise(hands.joints), (hands.error / UNIT).log())
    return replace(hands, joints=first.to_camera(joints), error=log_error.exp() * UNIT)


def joined(hands: DenseJoints, looks: int) -> DenseJoints:
    """Join what was found of hands in several looks (looks * N, ...), one after the other.

    Joints are averaged with the inverse squares of how far off the network expects them to be, if
    it says so. A look in which nothing was found of a hand does not count.
    """
    if looks == 1:
        return hands
    joints = hands.joints.unflatten(0, (looks, -1))
    known = torch.isfinite(joints).all(dim=-1)  # (looks, N, J)
    share = known.to(joints.dtype)
    error = None if hands.error is None else hands.error.unflatten(0, (looks, -1))
    if error is not None:
        share = share / error.nan_to_num(1.0).square()
    share = share / share.sum(dim=0)  # NaN where no look found the hand
    spread = hands.spread.unflatten(0, (looks, -1))
    return DenseJoints(
        joints=(share[..., None] * joints.nan_to_num(0.0)).sum(dim=0),
        spread=(share * spread.nan_to_num(0.0)).sum(dim=0),
        error=None if error is None else (share * error.nan_to_num(0.0)).sum(dim=0),
    )
