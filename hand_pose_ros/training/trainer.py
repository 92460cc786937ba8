"""The trainer: steps, validation, checkpoints; a run that was killed goes on bit for bit."""

import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors.torch
import torch
from torch import Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.networks.checkpoint import save_checkpoint
from hand_pose_ros.networks.precision import mixed_precision
from hand_pose_ros.networks.resnet import freeze_statistics
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.data import TrainingData
from hand_pose_ros.training.distributed import World
from hand_pose_ros.training.ema import MovingAverage
from hand_pose_ros.training.initialise import backbones_of, initialise
from hand_pose_ros.training.journal import Journal
from hand_pose_ros.training.mapping import plain, typed
from hand_pose_ros.training.optimiser import clip_gradients, make_optimiser
from hand_pose_ros.training.schedule import rate_factor
from hand_pose_ros.training.seeds import generator, seed_step
from hand_pose_ros.training.state import read_state, write_state
from hand_pose_ros.training.tasks.base import Task
from hand_pose_ros.training.validation import stated, validate

STATE = 'state.pt'
MODEL = 'model.safetensors'


class Progress(Protocol):
    """Told what a run does."""

    def rendered(self, done: int, total: int) -> None:
        """Some clips are in the cache."""

    def stepped(self, step: int, total: int, loss: float, seconds: float) -> None:
        """A step is done; ``seconds`` of training so far."""

    def validated(self, step: int, metrics: Mapping[str, float]) -> None:
        """A validation is done."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """How a run ended.

    Attributes:
        steps: optimiser steps done, those of earlier parts of the run included.
        seconds: training time, likewise.
        reason: ``finished``, ``time limit`` or ``stopped``.
        metrics: of the exported weights on the validation set.
        model: the exported checkpoint.
    """

    steps: int
    seconds: float
    reason: str
    metrics: dict[str, float]
    model: Path


class Trainer:
    """Trains one task in one folder.

    The folder gets ``state.pt`` (to resume), ``model.safetensors`` with its card (the best weights
    so far), ``metrics.jsonl``, TensorBoard logs and pictures.
    """

    def __init__(
        self, config: TrainingConfig, task: Task, folder: Path, *,
        world: World | None = None, resume: bool = False, progress: Progress | None = None,
        pictures: bool = True,
    ) -> None:  # fmt: skip
        """Build the network and the data, or take up the run in ``folder``.

        Args:
            config: what is trained and how.
            task: made from it.
            folder: of the run.
            world: the processes that train it together.
            resume: take up the run in the folder.
            progress: told what happens.
            pictures: draw curves and samples with every validation.

        Raises:
            TrainingError: the run cannot start or be resumed.
        """
        self._config, self._task, self._folder = config, task, folder
        self._world = world or World()
        self._progress = progress
        self._pictures = pictures
        self._check_folder(resume)
        _set_up_torch(config, self._world.device)
        # Initial weights are the same on every process and do not depend on the data.
        torch.manual_seed(config.seed)
        network = task.build_network()
        self._frozen: list[nn.Module] = [*backbones_of(network)]
        if config.initialise_from is not None:
            self._frozen = initialise(network, task, config.initialise_from, config.data.stream)
        self._held = _hold(network, config.freeze)
        network = network.to(self._world.device)
        if config.channels_last:
            network = network.to(memory_format=torch.channels_last)
        self._world.share_weights(network)
        self.network = network.train()
        self.average = MovingAverage(network, config.ema) if config.ema else None
        self.optimiser = make_optimiser(network, config.optimiser)
        self.step = 0
        self._seconds = 0.0
        self._best: dict[str, float] = {}
        self._validated_at = -1
        if resume:
            self._load()
        report = progress.rendered if progress is not None else None
        self._data = TrainingData(
            config.data, task, seed=config.seed, world=self._world, report=report
        )
        self._journal = (
            Journal(folder, step=self.step, tensorboard=config.tensorboard)
            if self._world.is_first
            else None
        )

    @property
    def evaluated(self) -> nn.Module:
        """The network that is validated and exported: the moving average, if there is one."""
        return self.average.network if self.average is not None else self.network

    def run(
        self, *, steps: int | None = None, minutes: float | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Summary:  # fmt: skip
        """Train until the configured number of steps, a limit, or until told to stop.

        Args:
            steps: stop after this many steps of the whole run.
            minutes: stop, validate and export after this time; the learning rate then falls
                with the time that has passed, so that it has annealed at the end.
            stopped: asked after each step.

        Raises:
            TrainingError: the loss is not finite.
        """
        config, began = self._config, time.monotonic()
        earlier = self._seconds
        last = min(config.steps, steps) if steps is not None else config.steps
        limit = minutes * 60.0 if minutes is not None else None
        reason = 'finished'
        reserve = 0.0
        try:
            while self.step < last:
                passed = time.monotonic() - began
                share = (passed + reserve) / limit if limit else 0.0
                self._take_step(max(self.step / config.steps, share))
                self._seconds = earlier + time.monotonic() - began
                if self.step % config.validate_every == 0 and self.step < last:
                    start = time.monotonic()
                    self._validate()
                    reserve = max(reserve, time.monotonic() - start)
                if self.step % config.checkpoint_every == 0:
                    self._save()
                if self._world.agree(stopped()):
                    reason = 'stopped'
                    break
                passed = time.monotonic() - began
                if limit and self._world.agree(passed + reserve >= limit):
                    reason = 'time limit'
                    break
            self._seconds = earlier + time.monotonic() - began
            if reason != 'stopped' and self._validated_at != self.step:
                self._validate()
            self._save()
        finally:
            self._data.close()
            if self._journal is not None:
                self._journal.close()
        return Summary(
            steps=self.step, seconds=self._seconds, reason=reason, metrics=dict(self._best),
            model=self._folder / MODEL,
        )  # fmt: skip

    def _take_step(self, progress: float) -> None:
        """Do one optimiser step."""
        config = self._config
        factor = rate_factor(config.schedule, self.step, progress)
        for group in self.optimiser.param_groups:
            group['lr'] = config.optimiser.learning_rate * factor
        seed_step(config.seed, self.step, self._world.rank)
        self.network.train()
        for module in (*self._held, *(self._frozen if config.freeze_norm else ())):
            freeze_statistics(module)
        self.optimiser.zero_grad(set_to_none=True)
        parts = config.optimiser.accumulate
        numbers = range(self.step * parts, (self.step + 1) * parts)
        losses = []
        for number in numbers:
            value, terms = self._accumulate(number)
            losses.append(value)
        self._world.average_gradients(self.network)
        norm = clip_gradients(self.network, config.optimiser)
        # The one place of a step that waits for the device.
        found = torch.stack(losses if norm is None else [*losses, norm]).tolist()
        for number, value in zip(numbers, found, strict=False):
            if not math.isfinite(value):
                self._fail(self._data.make(number), 'loss')
        if not math.isfinite(found[-1]):
            self._fail(self._data.make(numbers[-1]), 'gradient')
        loss = found[parts - 1]
        self.optimiser.step()
        if self.average is not None:
            self.average.update()
        self.step += 1
        if self._progress is not None and self._world.is_first:
            self._progress.stepped(self.step, config.steps, loss, self._seconds)
        if self._journal is not None and self.step % config.log_every == 0:
            values = {name: float(term.detach()) for name, term in terms.items()} | {
                'total': loss, 'learning_rate': config.optimiser.learning_rate * factor,
                'seconds': self._seconds,
            }  # fmt: skip
            if norm is not None:
                values['gradient_norm'] = found[-1]
            self._journal.add('train', self.step, values)

    def _accumulate(self, number: int) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Add the gradient of one batch; return its loss over all processes and its terms."""
        config = self._config
        batch = self._data.take(number)
        draws = generator(config.seed, 3, number, self._world.rank)
        with mixed_precision(config.precision, self._world.device):
            total, terms = self._task.loss(self.network, batch, draws)
        value = self._world.mean(total.detach().float().clone())
        (total / config.optimiser.accumulate).backward()
        return value, terms

    def _fail(self, batch: ViewBatch, what: str) -> None:
        path = self._folder / f'not_finite_step_{self.step}_rank_{self._world.rank}.safetensors'
        tensors = {
            name: value.detach().cpu().contiguous().clone()
            for name, value in vars(batch).items()
            if isinstance(value, Tensor)
        }
        safetensors.torch.save_file(tensors, path)
        raise TrainingError(
            f'the {what} of step {self.step} is not finite, its batch is in {path}: look at it, '
            'lower optimiser.learning_rate or set optimiser.clip_norm, and --resume'
        )

    def _validate(self) -> None:
        """Measure the weights, export them if they are the best, draw pictures."""
        self._validated_at = self.step
        if self._journal is not None:
            result = validate(self._task, self.evaluated, self._data.validation())
            self._journal.add('validation', self.step, result.metrics)
            # Not a number, from a network that found no hand at all, is worse than any.
            new, best = result.metrics[self._task.metric], self._best.get(self._task.metric)
            if best is None or math.isnan(best) or new <= best:
                self._best = result.metrics
                self._export()
            if self._pictures:
                self._draw()
            if self._progress is not None:
                self._progress.validated(self.step, result.metrics)
        self._world.wait()

    def _export(self) -> None:
        config = self._config
        save_checkpoint(
            self._folder / MODEL, self.evaluated, self._task.name, self._task.network_config,
            {
                'training': plain(config), 'data': plain(config.data), 'seed': config.seed,
                'steps': self.step, 'seconds': round(self._seconds, 1),
                'metrics': stated(self._best),
                'hardware': _hardware(self._world), 'torch': torch.__version__,
            },
            half=config.half,
        )  # fmt: skip

    def _draw(self) -> None:
        from hand_pose_ros.training.pictures import draw_curves, draw_samples

        draw_curves(self._folder)
        batch = next(self._data.validation())
        draw_samples(self._folder / 'samples.png', self._task, self.evaluated, batch)

    def _save(self) -> None:
        if self._world.is_first:
            write_state(self._folder / STATE, {
                'network': self.network.state_dict(),
                'average': self.average.network.state_dict() if self.average else None,
                'updates': self.average.updates if self.average else 0,
                'optimiser': self.optimiser.state_dict(),
                'step': self.step, 'seconds': self._seconds, 'best': self._best,
                'validated_at': self._validated_at, 'config': _identity(self._config),
            })  # fmt: skip
        self._world.wait()

    def _load(self) -> None:
        path = self._folder / STATE
        state = read_state(path)
        own = _identity(self._config)
        # Options that came with a newer version take their defaults.
        stated = {**state['config'], 'steps': self._config.steps}
        stored = _identity(typed(TrainingConfig, stated, str(path)))
        different = sorted(key for key in own if stored[key] != own[key])
        if different:
            raise TrainingError(
                f'{path} was written with another {different[0]}: resume with the configuration '
                'the run was started with'
            )
        self.network.load_state_dict(state['network'])
        if self.average is not None:
            self.average.network.load_state_dict(state['average'])
            self.average.updates = state['updates']
        self.optimiser.load_state_dict(state['optimiser'])
        self.step, self._seconds = state['step'], state['seconds']
        self._best, self._validated_at = state['best'], state['validated_at']

    def _check_folder(self, resume: bool) -> None:
        if not resume and (self._folder / STATE).exists():
            raise TrainingError(
                f'{self._folder} holds a run already: give --resume to go on with it, or another '
                '--output'
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainingError(
                f'cannot make {self._folder} ({error.strerror}): name another --output'
            ) from error


def _set_up_torch(config: TrainingConfig, device: torch.device) -> None:
    if config.threads:
        torch.set_num_threads(config.threads)
    if config.deterministic:
        os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    torch.use_deterministic_algorithms(config.deterministic, warn_only=True)
    # No cudnn.benchmark: the number of hands changes from batch to batch.
    if device.type == 'cuda':
        # Loads torch's library of matrix functions, which several threads at once cannot.
        torch.linalg.inv(torch.eye(2, device=device))
    # Geometry must not be rounded to 10 bits; large products are 16 bits wide in any case.
    torch.set_float32_matmul_precision('highest')


def _hold(network: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Let parts of a network keep their weights; return them.

    Raises:
        TrainingError: there is no such part, or nothing is left to learn.
    """
    parts = dict(network.named_modules())
    for name in names:
        if not name or name not in parts:
            known = ', '.join(part for part in parts if part and '.' not in part)
            raise TrainingError(f'freeze names {name!r}, which the network has not: use {known}')
        parts[name].requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise TrainingError(f'freeze {list(names)} leaves nothing to learn: name fewer parts')
    return [parts[name] for name in names]


def _identity(config: TrainingConfig) -> dict[str, Any]:
    """The parts of a configuration that a resumed run must share with the one it goes on with."""
    values = plain(config)
    for free in ('steps', 'threads', 'tensorboard', 'half', 'checkpoint_every', 'log_every'):
        values.pop(free)
    for free in ('workers', 'ahead', 'cache'):
        values['data'].pop(free)
    return values


def _hardware(world: World) -> str:
    if world.device.type == 'cuda':
        return f'{world.size} x {torch.cuda.get_device_name(world.device)}'
    return f'{platform.processor() or platform.machine()} CPU, {torch.get_num_threads()} threads'
