"""What the tasks share: their configuration out of YAML, choice of hands, and measures."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.errors import ModelError, TrainingError
from hand_pose_ros.evaluation.metrics import mepe, mepe_root_aligned
from hand_pose_ros.rig.parsing import suggestion
from hand_pose_ros.training.mapping import typed
from hand_pose_ros.training.tasks.base import Arrays

Config = TypeVar('Config')

_MILLIMETRES = 1000.0


def preset(kind: type[Config], values: Mapping[str, Any], *of: str) -> Config:
    """Return a network's configuration: a preset, by ``size``, with other fields changed.

    Args:
        kind: class of the configuration.
        values: the YAML mapping.
        of: arguments of the preset.

    Raises:
        TrainingError: the preset or a field does not exist.
    """
    changes = dict(values)
    size = changes.pop('size', 'small')
    if size not in ('small', 'base'):
        raise TrainingError(f'network.size is {size!r}{suggestion(str(size), ["small", "base"])}')
    base = getattr(kind, size)(*of)
    try:
        return typed(kind, changes, 'the configuration', 'network', base)
    except ModelError as error:
        raise TrainingError(f'network cannot be used: {error}') from None


def options(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """Return the options of a task.

    Raises:
        TrainingError: an option does not exist or has the wrong type.
    """
    return typed(kind, values, 'the configuration', 'options')


def labelled_hands(batch: ViewBatch) -> tuple[Tensor, Tensor]:
    """Return which hands of a batch can be trained on: their frames (M,) and sides (M,)."""
    known = torch.isfinite(batch.joints).all(dim=-1).any(dim=-1)
    usable = known & batch.valid['joints_3d'] & (batch.not_padding > 0.5)[:, None]
    frames, sides = usable.nonzero(as_tuple=True)
    return frames, sides


def no_loss(network: nn.Module) -> Tensor:
    """Return the loss of a batch without labels: 0, with a gradient of 0 for every weight."""
    return torch.stack([weight.sum() for weight in network.parameters()]).sum() * 0.0


def camera_space(predicted: Arrays, truth: Arrays) -> dict[str, float]:
    """Return MEPE and MEPE-RA in millimetres, means of the two sides."""
    sides = [(predicted['joints'][:, side], truth['joints'][:, side]) for side in range(2)]
    return {
        'MEPE': mean([mepe(*pair) for pair in sides]) * _MILLIMETRES,
        'MEPE-RA': mean([mepe_root_aligned(*pair) for pair in sides]) * _MILLIMETRES,
    }


def mean(values: list[float]) -> float:
    """Return the mean of the values that are there, NaN without any."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float('nan')
