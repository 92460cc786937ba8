"""``hand-pose train``: trains a network from one YAML file."""

import argparse
import dataclasses
import math
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from hand_pose_ros.cli.common import Verbs, add_json_option, notices, write_json

_EXAMPLE = 'example: hand-pose train config/train/therformer_small_start_cpu.yaml --time-limit 60'
# Seconds between two lines of progress where there is no terminal to draw a bar on.
_QUIET = 60.0


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'train',
        help='train a network on simulated or recorded hands',
        description='Trains TherFormer, WildHands or DenseReg as a YAML file says, validates, and '
        'exports the best weights. Ctrl-C saves the state; --resume goes on from there. Several '
        'GPUs: torchrun --nproc-per-node N --no-python hand-pose train ...',
        epilog=_EXAMPLE,
    )
    parser.add_argument('config', type=Path, metavar='CONFIG.yaml', help='what to train on what')
    parser.add_argument(
        '--output', type=Path, metavar='FOLDER',
        help='folder of the run (default: output/train/ and the name of the configuration)',
    )  # fmt: skip
    parser.add_argument(
        '--root', type=Path, metavar='FOLDER',
        help='where the recorded data lie, instead of the folder in the file',
    )  # fmt: skip
    parser.add_argument('--resume', action='store_true', help='go on with the run in the folder')
    parser.add_argument('--steps', type=int, metavar='N', help="instead of the file's number")
    parser.add_argument(
        '--time-limit', type=float, metavar='MINUTES',
        help='stop after this time; the learning rate falls with the time, so that it ends low',
    )  # fmt: skip
    parser.add_argument('--threads', type=int, metavar='N', help='CPU threads')
    parser.add_argument('--device', choices=('cpu', 'cuda'), help='default: a GPU if there is one')
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train; 0 when the run is finished, 130 when it was interrupted and saved."""
    from hand_pose_ros.errors import TrainingError
    from hand_pose_ros.training.config import load_config
    from hand_pose_ros.training.distributed import joined
    from hand_pose_ros.training.mapping import plain
    from hand_pose_ros.training.tasks.registry import make_task
    from hand_pose_ros.training.trainer import Trainer

    config = load_config(arguments.config, arguments.root)
    for name in ('steps', 'threads'):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise TrainingError(f'--{name} is {value}: give a number of at least 1')
        if value is not None:
            config = dataclasses.replace(config, **{name: value})
    if arguments.time_limit is not None and not arguments.time_limit > 0:
        raise TrainingError(f'--time-limit is {arguments.time_limit}: give minutes above 0')
    folder = arguments.output or Path('output/train') / arguments.config.stem
    with joined(arguments.device or '') as world, _stop_signals() as stopped:
        with _Bars(quiet=not world.is_first, minutes=arguments.time_limit) as bars:
            trainer = Trainer(
                config, make_task(config), folder, world=world, resume=arguments.resume,
                progress=bars,
            )  # fmt: skip
            bars.start(trainer.step)
            summary = trainer.run(minutes=arguments.time_limit, stopped=lambda: bool(stopped))
        if world.is_first:
            values = {
                name: value if math.isfinite(value) else None
                for name, value in summary.metrics.items()
            }  # fmt: skip
            numbers = ', '.join(f'{name} {value:.2f}' for name, value in summary.metrics.items())
            minutes = summary.seconds / 60.0
            print(f'{summary.reason} at step {summary.steps} after {minutes:.1f} min: {numbers}')
            print(f'model: {summary.model}' if summary.metrics else 'no validation yet: no model')
            write_json(arguments.json, {**plain(summary), 'metrics': values})
    return 130 if summary.reason == 'stopped' else 0


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM instead of dying in the middle of a step."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    earlier = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class _Bars:
    """Progress as bars on a terminal, as lines anywhere else."""

    def __init__(self, *, quiet: bool, minutes: float | None) -> None:
        self._limit = minutes
        self._console = notices()
        self._quiet = quiet
        self._bars = Progress(
            TextColumn('{task.description}'), BarColumn(), TextColumn('{task.fields[text]}'),
            TimeRemainingColumn(), console=self._console, transient=True,
            disable=quiet or not self._console.is_terminal,
        )  # fmt: skip
        self._task: Any = None
        self._from = (0, 0.0)
        self._last_line = time.monotonic()

    def __enter__(self) -> '_Bars':
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, step: int) -> None:
        """The training begins at a step."""
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = None
        self._from = (step, time.monotonic())

    def rendered(self, done: int, total: int) -> None:
        """Some clips are in the cache."""
        self._update('rendering clips', done, total, f'{done}/{total}')
        if done == total:
            self._bars.remove_task(self._task)
            self._task = None

    def stepped(self, step: int, total: int, loss: float, seconds: float) -> None:
        """A step is done."""
        rate = (step - self._from[0]) / max(time.monotonic() - self._from[1], 1e-6)
        text = f'{step}/{total}  loss {loss:.4g}  {rate:.2f} steps/s  {seconds / 60:.1f} min'
        if self._limit is None:
            self._update('training', step, total, text)
        else:
            # Where time ends the run, the bar shows time.
            passed = min((time.monotonic() - self._from[1]) / 60.0, self._limit)
            self._update('training', passed, self._limit, text)

    def validated(self, step: int, metrics: Mapping[str, float]) -> None:
        """A validation is done."""
        if not self._quiet:
            numbers = '  '.join(f'{name} {value:.2f}' for name, value in metrics.items())
            self._console.print(f'step {step}: {numbers}')

    def _update(self, name: str, done: float, total: float, text: str) -> None:
        if self._task is None:
            self._task = self._bars.add_task(name, total=total, text='')
        self._bars.update(self._task, completed=done, total=total, text=text)
        now = time.monotonic()
        if self._bars.disable and not self._quiet and now - self._last_line > _QUIET:
            self._last_line = now
            self._console.print(f'{name}: {text}')
