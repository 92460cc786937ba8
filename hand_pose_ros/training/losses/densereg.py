"""DenseReg's loss: half squared differences of all fields, at all pixels, over all stacks."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from hand_pose_ros.networks.dense_crop import UNIT
from hand_pose_ros.networks.dense_votes import DenseFields, DenseTargets
from hand_pose_ros.networks.densereg import Head

Reduction = Literal['sum', 'mean']

_TINY = 1e-4  # metres
_MILLIMETRE = 1e-3


def densereg_loss(
    stages: Sequence[DenseFields], targets: DenseTargets, *,
    head: Head = 'dense', reduction: Reduction = 'sum', background: bool = True,
) -> dict[str, Tensor]:  # fmt: skip
    """Compare the fields of all stacks with their targets.

    Zero targets far from a joint count as much as any others: leaving them out is the variant
    ``masked_offset``. Joints without label take no part.
    Source: methods specification, sections 3.5 and 3.8.

    Args:
        stages: predicted, one per stack.
        targets: from ``dense_targets``.
        head: the network's variant.
        reduction: ``sum`` is the published form, divided by nothing; with it each value of the
            averaged gradient is clipped to 0.2. ``mean`` divides by labelled joints and pixels:
            use it without that clip.
        background: whether pixels without a hand learn S and V, as published. They never vote.

    Returns:
        ``heat_2d``, ``heat_3d`` and ``direction``, or what the variant learns instead of the last
        two (``offset``, ``depth`` or ``coordinates``), and ``total``.
    """
    labelled = targets.labelled.to(targets.joints.dtype)
    terms: dict[str, Tensor] = {}
    for fields in stages:
        for name, squares in _squares(fields, targets, head, background).items():
            value = 0.5 * (squares.flatten(2).sum(dim=2) * labelled).sum()
            terms[name] = terms[name] + value if name in terms else value
    if reduction == 'mean':
        pixels = 1 if head == 'coordinates' else targets.foreground[0].numel()
        divisor = labelled.sum().clamp(min=1) * pixels
        terms = {name: value / divisor for name, value in terms.items()}
    return {**terms, 'total': torch.stack(list(terms.values())).sum()}


def joint_distance(found: Tensor, true: Tensor) -> Tensor:
    """Return the mean distance of joints (N, J, 3) from the true ones; NaN in either is left out.

    Joints found by ``aggregate`` pass their slopes to the votes that led to them.
    """
    known = _known(found, true)
    distances = (found[known] - true[known]).square().sum(dim=-1).clamp(min=_TINY**2).sqrt()
    return distances.sum() / known.sum().clamp(min=1)


def error_cost(log_error: Tensor, found: Tensor, true: Tensor) -> Tensor:
    """Return the mean cost of expecting errors, least where they are expected as large as they are.

    ``log e + d / e`` for a distance d where e was expected, e in millimetres in the logarithm: the
    likelihood of distances that are distributed exponentially. Distances pass no slopes on.

    Args:
        log_error: (N, J) of the expected distances, in units of 100 mm.
        found: (N, J, 3) metres.
        true: (N, J, 3) metres; NaN in either is left out.
    """
    known = _known(found, true)
    distances = (found[known] - true[known]).norm(dim=-1).detach() / UNIT
    expected = log_error[known]
    costs = expected + math.log(UNIT / _MILLIMETRE) + distances * (-expected).exp()
    return costs.sum() / known.sum().clamp(min=1)


def _known(found: Tensor, true: Tensor) -> Tensor:
    """Return which joints (N, J) are finite in both."""
    return torch.isfinite(found).all(dim=-1) & torch.isfinite(true).all(dim=-1)


def _squares(
    fields: DenseFields, targets: DenseTargets, head: Head, background: bool
) -> dict[str, Tensor]:
    """Return the squared differences of every term, (N, J, ...)."""
    if fields.coordinates is not None:
        return {'coordinates': (fields.coordinates - targets.joints).square()}
    wanted = targets.fields
    squares = {'heat_2d': (fields.heat_2d - wanted.heat_2d).square()}
    if head == 'dense':
        heat_3d = fields.heat_3d - wanted.heat_3d
        direction = fields.direction - wanted.direction
        if not background:
            shown = targets.foreground[:, None]
            heat_3d, direction = heat_3d * shown, direction * shown
        squares['heat_3d'] = heat_3d.square()
        squares['direction'] = direction.unflatten(1, (-1, 3)).square()
        return squares
    difference = fields.offsets() - targets.offsets
    if head == 'masked_offset':
        near = (wanted.heat_3d > 0) & targets.foreground[:, None]
        squares['offset'] = (difference * near[:, :, None]).square()
    else:
        seen = (wanted.heat_2d > 0) & (wanted.heat_3d > 0) & targets.foreground[:, None]
        squares['depth'] = (difference[:, :, 2] * seen).square()
    return squares
