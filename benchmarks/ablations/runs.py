"""The runs of the ablations: which there are, in which order, and how each is configured."""

import copy
import json
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ablations.experiments import EXPERIMENTS, Experiment, Variant
from hand_pose_ros.training.config import DataConfig, SourceConfig, TrainingConfig
from hand_pose_ros.training.mapping import plain, typed


@dataclass(frozen=True, kw_only=True)
class Run:
    """One variant of one experiment with one seed."""

    experiment: str
    variant: str
    seed: int

    def __str__(self) -> str:
        """Name it for people."""
        return f'{self.experiment}, {self.variant}, seed {self.seed}'


@dataclass(frozen=True, kw_only=True)
class Clips:
    """A collection of clips that is rendered once; ``data`` says of which stream."""

    source: SourceConfig
    data: DataConfig

    @property
    def images(self) -> int:
        """How many there are."""
        return self.source.clips * self.data.frames

    @property
    def key(self) -> str:
        """Tell collections apart."""
        data = self.data
        content = [data.stream, data.frames, data.labels, plain(self.source)]
        return json.dumps(content, sort_keys=True)

    def __str__(self) -> str:
        """Name them for people."""
        source, data = self.source, self.data
        many = f'{source.clips} x {data.frames} from {source.first}'
        return f'{data.stream}, {source.setting}, {source.split}, {many}'


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and how much is computed.

    Attributes:
        output: folder of the runs.
        cache: folder of rendered clips.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads of a process.
        scale: steps of every training are multiplied by this, and
        batch: the clips of every step by this.
        deadline: ``time.time()`` at which trainings are given up.
    """

    output: Path
    cache: Path
    device: str = 'cpu'
    threads: int = 1
    scale: float = 1.0
    batch: float = 1.0
    deadline: float = math.inf

    def folder(self, run: Run) -> Path:
        """Return the folder of a run."""
        name = ''.join(letter if letter.isalnum() else '_' for letter in run.variant)
        return self.output / run.experiment / str(run.seed) / name


def described(run: Run) -> tuple[Experiment, Variant]:
    """Return the experiment and the variant of a run."""
    experiment = EXPERIMENTS[run.experiment]
    return experiment, experiment.variant(run.variant)


def needed(run: Run) -> Run | None:
    """Return the run whose network this one measures, if it is another's."""
    _, variant = described(run)
    if not variant.of:
        return None
    experiment, _, own = variant.of.rpartition('/')
    return Run(experiment=experiment or run.experiment, variant=own, seed=run.seed)


def planned(names: Collection[str], seeds: Iterable[int]) -> list[Run]:
    """Return the runs of experiments, all of the first seed first, each after what it needs."""
    runs: dict[Run, None] = {}
    for seed in seeds:
        for name in names:
            for variant in EXPERIMENTS[name].variants:
                run = Run(experiment=name, variant=variant.name, seed=seed)
                before = needed(run)
                if before is not None:
                    runs[before] = None
                runs[run] = None
    return list(runs)


def configuration(run: Run, place: Place) -> TrainingConfig:
    """Return the training configuration of a run."""
    experiment, variant = described(run)
    content: dict[str, Any] = copy.deepcopy(dict(experiment.config))
    for key, value in variant.changes.items():
        level = content
        *parents, last = key.split('.')
        for parent in parents:
            level = level[parent]
        level[last] = value
    data = experiment.data()
    batch = max(1, round(data['batch'] * place.batch))
    content['data'] |= {**data, 'batch': batch, 'cache': str(place.cache)}
    steps = max(1, round(content['steps'] * place.scale))
    content |= {
        'seed': run.seed, 'steps': steps, 'validate_every': steps, 'checkpoint_every': steps,
        'threads': place.threads, 'precision': 'auto',
    }  # fmt: skip
    return typed(TrainingConfig, content, f'ablation {run}')


def measured_clips(run: Run, place: Place) -> dict[str, Clips]:
    """Return the test clips of a run by setting."""
    experiment, _ = described(run)
    data = configuration(run, place).data
    return {
        setting: Clips(
            source=typed(SourceConfig, experiment.test_source(setting), f'ablation {run}'),
            data=data,
        )
        for setting in experiment.settings
    }


def trained(run: Run) -> Run:
    """Return the run that trained the network which a run measures: itself in most cases."""
    return needed(run) or run


def clip_stores(run: Run, place: Place) -> dict[str, Clips]:
    """Return the collections of clips that a run reads, by what tells them apart."""
    data = configuration(run, place).data
    read = [Clips(source=source, data=data) for source in data.train] if trained(run) == run else []
    return {clips.key: clips for clips in [*read, *measured_clips(run, place).values()]}
