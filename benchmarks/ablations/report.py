"""The report: means over the seeds, and which of the papers' findings hold."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.ablations.experiments import EXPERIMENTS, Claim, Experiment
from benchmarks.ablations.runs import Run

# Seed -> setting -> metric -> millimetres.
Seeds = dict[int, dict[str, dict[str, float]]]


def make_report(results: Mapping[Run, Mapping[str, Any]]) -> dict[str, Any]:
    """Return per experiment what was measured and what became of its claims."""
    report: dict[str, Any] = {}
    for name, experiment in EXPERIMENTS.items():
        errors = _errors(name, experiment, results)
        if not any(errors.values()):
            continue
        own = [result for run, result in results.items() if run.experiment == name]
        report[name] = {
            'title': experiment.title,
            'rows': _rows(experiment, errors),
            'claims': [judge(claim, errors) for claim in experiment.claims],
            'frames': max(result['frames'] for result in own),
            'training_s': round(sum(result['training_s'] for result in own), 1),
            'devices': sorted({result['device'] for result in own}),
        }
    return report


def judge(claim: Claim, errors: Mapping[str, Seeds]) -> dict[str, Any]:
    """Return whether a claim holds in the mean, and for how many seeds; None: not measured."""
    seeds = sorted(errors[claim.worse].keys() & errors[claim.better].keys())
    better_setting = claim.better_setting or claim.setting
    worse, better = (
        np.array([errors[name][seed][setting][claim.metric] for seed in seeds])
        for name, setting in ((claim.worse, claim.setting), (claim.better, better_setting))
    )
    if claim.better_setting:
        places = [f' in {_plain(setting)}' for setting in (claim.setting, better_setting)]
        text = f'{claim.metric}: {claim.worse}{places[0]} > {claim.better}{places[1]}'
    else:
        text = f'{claim.metric}, {_plain(claim.setting)}: {claim.worse} > {claim.better}'
    means = [float(values.mean()) for values in (worse, better)] if seeds else [None, None]
    return {
        'claim': text,
        'means': means,
        'holds': bool(worse.mean() > better.mean()) if seeds else None,
        'seeds': int((worse > better).sum()),
        'of': len(seeds),
    }


def held(report: Mapping[str, Any]) -> bool:
    """Return whether every claim was measured and holds in the mean."""
    claims = [claim for one in report.values() for claim in one['claims']]
    return bool(claims) and all(claim['holds'] for claim in claims)


def markdown(report: Mapping[str, Any]) -> str:
    """Return the report for people: per experiment a table, in millimetres, and the claims."""
    parts = []
    for name, one in report.items():
        experiment = EXPERIMENTS[name]
        columns = _columns(experiment)
        heads = [f'{metric} {_plain(setting)}' for setting, metric in columns]
        lines = [
            f'## {one["title"]}',
            '',
            f'Methods {experiment.source}; errors in mm. {experiment.note} At most '
            f'{one["frames"]:,} frames per training; {", ".join(one["devices"])}.',
            '',
            '| variant | seeds | ' + ' | '.join(heads) + ' |',
            '| --- | ---: |' + ' ---: |' * len(heads),
        ]
        for row in one['rows']:
            cells = [_cell(row['mean'][i], row['std'][i], row['seeds']) for i in range(len(heads))]
            lines.append(f'| {row["variant"]} | {row["seeds"]} | ' + ' | '.join(cells) + ' |')
        lines += ['', '| finding | | means | seeds |', '| --- | --- | ---: | ---: |']
        lines += [_claim_line(claim) for claim in one['claims']]
        parts.append('\n'.join(lines))
    return '\n\n'.join(parts) + '\n'


def _errors(
    name: str, experiment: Experiment, results: Mapping[Run, Mapping[str, Any]]
) -> dict[str, Seeds]:
    return {
        variant.name: {
            run.seed: result['errors']
            for run, result in results.items()
            if run.experiment == name and run.variant == variant.name
        }
        for variant in experiment.variants
    }


def _rows(experiment: Experiment, errors: Mapping[str, Seeds]) -> list[dict[str, Any]]:
    rows = []
    for variant, seeds in errors.items():
        if not seeds:
            continue
        values = np.array(
            [
                [errors_of[setting][metric] for setting, metric in _columns(experiment)]
                for errors_of in seeds.values()
            ]
        )
        rows.append({
            'variant': variant, 'seeds': len(seeds),
            'mean': values.mean(axis=0).tolist(), 'std': values.std(axis=0).tolist(),
        })  # fmt: skip
    return rows


def _columns(experiment: Experiment) -> list[tuple[str, str]]:
    return [(setting, metric) for metric in experiment.metrics for setting in experiment.settings]


def _cell(mean: float, std: float, seeds: int) -> str:
    if not math.isfinite(mean):
        return '-'
    return f'{mean:.1f} ± {std:.1f}' if seeds > 1 else f'{mean:.1f}'


def _claim_line(claim: Mapping[str, Any]) -> str:
    if claim['holds'] is None:
        return f'| {claim["claim"]} | not measured | | |'
    sign = 'holds' if claim['holds'] else '**does not hold**'
    worse, better = claim['means']
    seeds = f'{claim["seeds"]} of {claim["of"]}'
    return f'| {claim["claim"]} | {sign} | {worse:.1f} > {better:.1f} | {seeds} |'


def _plain(setting: str) -> str:
    return setting.replace('_', ' ')
