"""What a worker process does: renders clips, or trains a variant and measures it."""

import platform
import time
from typing import Any

import torch

from benchmarks.ablations.experiments import Experiment
from benchmarks.ablations.results import RESULT, write_json
from benchmarks.ablations.runs import (
    Clips,
    Place,
    Run,
    configuration,
    described,
    measured_clips,
    trained,
)
from hand_pose_ros.networks.checkpoint import load_checkpoint
from hand_pose_ros.networks.dense_votes import AggregationConfig
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.data import batches_of
from hand_pose_ros.training.distributed import World
from hand_pose_ros.training.sources import make_source
from hand_pose_ros.training.tasks.registry import make_task
from hand_pose_ros.training.trainer import MODEL, STATE, Trainer
from hand_pose_ros.training.validation import validate

# Ways of reading a trained DenseReg (methods specification, section 3.9).
VIEWS = {
    'single': AggregationConfig(votes=1),
    'unweighted': AggregationConfig(weighted=False),
    'wide': AggregationConfig(sigma=0.8),
}

# Setting -> metric -> millimetres.
Errors = dict[str, dict[str, float]]


def render(clips: Clips, place: Place) -> float:
    """Render clips into the cache, unless they are there, and return the seconds it took."""
    began = time.monotonic()
    torch.set_num_threads(place.threads)
    make_source(clips.source, clips.data, torch.device(place.device))
    if place.device == 'cuda':
        torch.cuda.empty_cache()  # other processes need it now
    return time.monotonic() - began


def execute(run: Run, place: Place) -> bool:
    """Train and measure a run and write its result; False if there was no time to finish it."""
    experiment, variant = described(run)
    began = time.monotonic()
    torch.set_num_threads(place.threads)
    config = configuration(run, place)
    if not variant.of and not _train(run, config, place):
        return False
    training, began = time.monotonic() - began, time.monotonic()
    errors = _errors(run, experiment, config, place)
    result = {
        'experiment': run.experiment, 'variant': run.variant, 'seed': run.seed,
        'steps': config.steps, 'frames': config.steps * config.data.batch * config.data.frames,
        'training_s': round(training, 1), 'measuring_s': round(time.monotonic() - began, 1),
        'device': _name(place), 'errors': errors,
    }  # fmt: skip
    write_json(place.folder(run) / RESULT, result)
    return True


def _train(run: Run, config: TrainingConfig, place: Place) -> bool:
    """Train a network; False where the time was up before its end."""
    folder = place.folder(run)
    trainer = Trainer(
        config, make_task(config), folder, world=World(device=torch.device(place.device)),
        resume=(folder / STATE).exists(), pictures=False,
    )  # fmt: skip
    summary = trainer.run(stopped=lambda: time.time() > place.deadline)
    return summary.reason == 'finished'


def _errors(run: Run, experiment: Experiment, config: TrainingConfig, place: Place) -> Errors:
    """Measure the network of a run on the test clips of every setting."""
    _, variant = described(run)
    device = torch.device(place.device)
    model = place.folder(trained(run)) / MODEL
    network = load_checkpoint(model, device, expected=config.task).network
    task: Any = make_task(config)
    if variant.view:
        task.aggregation = VIEWS[variant.view]
    errors: Errors = {}
    for setting, clips in measured_clips(run, place).items():
        source = make_source(clips.source, clips.data, device, render=False)
        batches = batches_of(source, clips.data.validation_batch, device)
        found = validate(task, network, batches).metrics
        errors[setting] = {name: found[name] for name in experiment.metrics}
    return errors


def _name(place: Place) -> str:
    if place.device == 'cuda':
        return torch.cuda.get_device_name()
    return f'{platform.machine()} CPU, {place.threads} threads'
