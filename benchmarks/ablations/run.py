"""The papers' findings on the simulator: trains every variant for several seeds and compares.

    python benchmarks/ablations/run.py [kpe mask_guidance frames dense sensors]
        [--seeds 0,1,2] [--steps N] [--output output/ablations] [--json FILE]

What was measured is kept in the output folder and not trained again, so that the script can be
stopped at any time and goes on where it was. The exit status says whether every claim held in the
mean over the seeds.
"""

import argparse
import copy
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.ablations.experiments import (  # noqa: E402
    EXPERIMENTS,
    Claim,
    Experiment,
    Variant,
)
from hand_pose_ros.networks.checkpoint import load_checkpoint  # noqa: E402
from hand_pose_ros.networks.dense_votes import AggregationConfig  # noqa: E402
from hand_pose_ros.training.config import DataConfig, SourceConfig, TrainingConfig  # noqa: E402
from hand_pose_ros.training.mapping import typed  # noqa: E402
from hand_pose_ros.training.sources import make_source  # noqa: E402
from hand_pose_ros.training.tasks.registry import make_task  # noqa: E402
from hand_pose_ros.training.trainer import MODEL, Trainer  # noqa: E402
from hand_pose_ros.training.validation import validate  # noqa: E402

# Ways of reading a trained DenseReg (methods specification, section 3.9).
VIEWS = {
    'single': AggregationConfig(votes=1),
    'unweighted': AggregationConfig(weighted=False),
    'wide': AggregationConfig(sigma=0.8),
}

# Setting -> metric -> millimetres.
Errors = dict[str, dict[str, float]]


def configuration(
    experiment: Experiment, variant: Variant, *, seed: int, steps: int | None, cache: Path
) -> TrainingConfig:
    """Return the training configuration of one run."""
    content: dict[str, Any] = copy.deepcopy(dict(experiment.config))
    for key, value in variant.changes.items():
        place = content
        *parents, last = key.split('.')
        for parent in parents:
            place = place[parent]
        place[last] = value
    content['seed'] = seed
    content['data']['cache'] = str(cache)
    if steps is not None:
        content |= {'steps': steps, 'validate_every': steps, 'checkpoint_every': steps}
    return typed(TrainingConfig, content, f'ablation {variant.name}')


def measure(experiment: Experiment, config: TrainingConfig, model: Path, view: str) -> Errors:
    """Return the errors of a trained network on the test clips of every setting."""
    network = load_checkpoint(model, expected=config.task).network
    task: Any = make_task(config)
    if view:
        task.aggregation = VIEWS[view]
    errors: Errors = {}
    for setting in experiment.settings:
        source = make_source(
            SourceConfig(split='test', setting=setting, clips=experiment.clips,
                         options=dict(experiment.options)),
            config.data, torch.device('cpu'),
        )  # fmt: skip
        result = validate(task, network, _batches(source, config.data))
        errors[setting] = {name: result.metrics[name] for name in experiment.metrics}
    return errors


def _batches(source: Any, data: DataConfig) -> Iterable[Any]:
    for start in range(0, source.count, data.validation_batch):
        yield source.read(range(start, min(start + data.validation_batch, source.count)))


def run_variant(
    experiment: Experiment, variant: Variant, *, seed: int, steps: int | None, folder: Path
) -> Errors:
    """Train a variant, unless that was done, and return its errors."""
    trained = variant
    if variant.of:
        trained = next(one for one in experiment.variants if one.name == variant.of)
    config = configuration(
        experiment, trained, seed=seed, steps=steps, cache=folder.parents[1] / 'clips'
    )
    run = folder / _file_name(trained.name)
    if not (run / 'done').exists():
        Trainer(config, make_task(config), run, resume=(run / 'state.pt').exists()).run()
        (run / 'done').touch()
    result = run / f'errors{"_" * bool(variant.view)}{variant.view}.json'
    if not result.exists():
        errors = measure(experiment, config, run / MODEL, variant.view)
        result.write_text(json.dumps(errors, indent=1), encoding='utf-8')
    loaded: Errors = json.loads(result.read_text(encoding='utf-8'))
    return loaded


def _file_name(name: str) -> str:
    return ''.join(letter if letter.isalnum() else '_' for letter in name)


def table(experiment: Experiment, results: Mapping[str, list[Errors]]) -> str:
    """Return the mean and the standard deviation over the seeds as a Markdown table."""
    columns = [
        (setting, metric) for setting in experiment.settings for metric in experiment.metrics
    ]
    heads = [f'{metric} {setting}'.replace('_', ' ') for setting, metric in columns]
    lines = ['| variant | ' + ' | '.join(heads) + ' |', '| --- |' + ' ---: |' * len(heads)]
    for name, seeds in results.items():
        cells = []
        for setting, metric in columns:
            values = [errors[setting][metric] for errors in seeds]
            cells.append(f'{np.mean(values):.1f} ± {np.std(values):.1f}')
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def judge(claim: Claim, results: Mapping[str, list[Errors]]) -> dict[str, Any]:
    """Return whether a claim holds in the mean, and for how many seeds."""
    worse, better = (
        np.array([errors[claim.setting][claim.metric] for errors in results[name]])
        for name in (claim.worse, claim.better)
    )
    return {
        'claim': f'{claim.metric}, {claim.setting.replace("_", " ")}: '
        f'{claim.worse} > {claim.better}',
        'means': [float(worse.mean()), float(better.mean())],
        'holds': bool(worse.mean() > better.mean()),
        'seeds': int((worse > better).sum()),
        'of': len(worse),
    }


def run_experiment(
    name: str, *, seeds: list[int], steps: int | None, output: Path
) -> dict[str, Any]:
    """Train and compare all variants of an experiment; prints as it goes."""
    experiment = EXPERIMENTS[name]
    results: dict[str, list[Errors]] = {variant.name: [] for variant in experiment.variants}
    for seed in seeds:
        for variant in experiment.variants:
            folder = output / name / str(seed)
            errors = run_variant(experiment, variant, seed=seed, steps=steps, folder=folder)
            results[variant.name].append(errors)
            print(f'{name}, seed {seed}, {variant.name}: {errors}', flush=True)
    claims = [judge(claim, results) for claim in experiment.claims]
    print(f'\n{experiment.title} (methods {experiment.source}), mm\n')
    print(table(experiment, results))
    for claim in claims:
        sign = 'holds' if claim['holds'] else 'DOES NOT HOLD'
        print(f'{sign} ({claim["seeds"]} of {claim["of"]} seeds): {claim["claim"]}')
    return {'title': experiment.title, 'results': results, 'claims': claims}


def main() -> int:
    """Run what was asked for; 0 when every claim held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('names', nargs='*', default=list(EXPERIMENTS), metavar='EXPERIMENT',
                        help=f'of {", ".join(EXPERIMENTS)} (default: all)')  # fmt: skip
    parser.add_argument('--seeds', default='0,1,2')
    parser.add_argument('--steps', type=int, help='instead of each experiment’s own number')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--output', type=Path, default=REPOSITORY / 'output' / 'ablations')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(EXPERIMENTS))
    if unknown:
        parser.error(f'there is no experiment {unknown[0]!r}: use {", ".join(EXPERIMENTS)}')
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    seeds = [int(seed) for seed in arguments.seeds.split(',')]
    reports = {
        name: run_experiment(name, seeds=seeds, steps=arguments.steps, output=arguments.output)
        for name in arguments.names
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(reports, indent=1), encoding='utf-8')
    return 0 if all(claim['holds'] for one in reports.values() for claim in one['claims']) else 1


if __name__ == '__main__':
    sys.exit(main())
