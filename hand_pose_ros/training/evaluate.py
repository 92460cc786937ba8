"""Evaluation of a checkpoint on simulated or recorded data, as in its training's validation."""

import dataclasses
from pathlib import Path

import torch

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.networks.checkpoint import LoadedNetwork, load_checkpoint
from hand_pose_ros.training.config import DataConfig, SourceConfig, TrainingConfig
from hand_pose_ros.training.data import batches_of
from hand_pose_ros.training.mapping import plain, typed
from hand_pose_ros.training.sources import Rendered, make_source
from hand_pose_ros.training.tasks.registry import make_task
from hand_pose_ros.training.validation import Validation, stated, validate


def evaluate_checkpoint(
    path: Path, data: str = 'simulated:test', *, setting: str = 'office', clips: int = 128,
    seed: int = 0, root: Path | None = None, truth: bool = False, cache: Path | None = None,
    device: str | torch.device = 'cpu', report: Rendered | None = None,
) -> Validation:  # fmt: skip
    """Run a trained network over a data set and measure it.

    Args:
        path: checkpoint that ``hand-pose train`` exported.
        data: ``simulated:test`` (or ``:val``, ``:train``), or a data set of the catalogue and its
            split, for example ``thermohands:test``.
        setting: of the simulation.
        clips: simulated: how many; recorded: at most so many, 0 for all.
        seed: of the simulation.
        root: recorded: folder of the data set.
        truth: sessions: compare with the exact hands of a simulated one instead of its labels.
        cache: folder of rendered clips; the training's if None.
        device: where to compute.
        report: told the progress of rendering.

    Returns:
        Metrics, and predictions and truth by name.

    Raises:
        ModelError: the checkpoint cannot be used.
        TrainingError: its card does not say how it was trained, or the data do not exist.
    """
    loaded = load_checkpoint(path, device)
    config = training_of(loaded, path)
    name, _, split = data.partition(':')
    content = {
        'data': name, 'split': split or 'test', 'setting': setting, 'clips': clips, 'seed': seed,
        'root': root, 'rectified': config.data.validation.rectified,
        'options': {'truth': True} if truth else {},
    }  # fmt: skip
    source = make_source(
        typed(SourceConfig, content, f'data {data!r}'), _data(config, cache), torch.device(device),
        report=report,
    )  # fmt: skip
    if source.count == 0:
        raise TrainingError(f'clips is {clips}: give at least 1')
    batches = batches_of(source, config.data.validation_batch, torch.device(device))
    return validate(make_task(config), loaded.network, batches)


def validation_metrics(loaded: LoadedNetwork, path: Path) -> dict[str, float | None]:
    """Return, as cards state it, how a network does on the validation data that its card names.

    ``path`` is for errors.

    Raises:
        TrainingError: the card does not say how the network was trained.
    """
    config = training_of(loaded, path)
    source = make_source(config.data.validation, config.data, torch.device('cpu'))
    batches = batches_of(source, config.data.validation_batch, torch.device('cpu'))
    return stated(validate(make_task(config), loaded.network, batches).metrics)


def training_of(loaded: LoadedNetwork, path: Path) -> TrainingConfig:
    """Return the configuration of the training that a card states; ``path`` is for errors.

    Raises:
        TrainingError: the card does not say how the network was trained.
    """
    stated = loaded.card.get('training')
    if not isinstance(stated, dict):
        raise TrainingError(
            f'the card of {path} does not say how it was trained: give a checkpoint that '
            '`hand-pose train` wrote'
        )
    return typed(TrainingConfig, {**stated, 'network': plain(loaded.config)}, f'the card of {path}')


def _data(config: TrainingConfig, cache: Path | None) -> DataConfig:
    if cache is None:
        return config.data
    return dataclasses.replace(config.data, cache=cache)
