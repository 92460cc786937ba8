"""Predictions and errors of a network over a set of batches."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.training.tasks.base import Arrays, Task

# What the truth of an evaluation consists of, as far as a batch has it.
_TRUTH = ('joints', 'pixels', 'visible', 'intrinsics', 'not_padding')


@dataclass(frozen=True, kw_only=True, eq=False)
class Validation:
    """What a network predicts for a data set, and how far off it is.

    Attributes:
        metrics: errors by name.
        predicted, truth: arrays by name, N frames each; ``joints`` (N, 2, 21, 3) metres.
    """

    metrics: dict[str, float]
    predicted: Arrays
    truth: Arrays


def stated(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Return metrics as cards state them: rounded, None for what is no number."""
    return {
        name: round(value, 4) if math.isfinite(value) else None for name, value in metrics.items()
    }


@torch.no_grad()
def validate(task: Task, network: nn.Module, batches: Iterable[ViewBatch]) -> Validation:
    """Measure a network on all batches; padded frames are left out."""
    was_training = network.training
    network.eval()
    predicted: dict[str, list[Tensor]] = {}
    truth: dict[str, list[Tensor]] = {}
    for batch in batches:
        real = batch.not_padding > 0.5
        for name, values in task.predict(network, batch).items():
            predicted.setdefault(name, []).append(values[real].float().cpu())
        for name in _TRUTH:
            truth.setdefault(name, []).append(getattr(batch, name)[real].cpu())
    network.train(was_training)
    arrays = [
        {name: torch.cat(parts).numpy().astype(np.float64) for name, parts in group.items()}
        for group in (predicted, truth)
    ]
    return Validation(metrics=task.measure(*arrays), predicted=arrays[0], truth=arrays[1])
