"""``hand-pose models``: lists, checks and installs the network weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option, write_json

if TYPE_CHECKING:
    from hand_pose_ros.estimators.trained_models import TrainedModel

_EXAMPLE = """examples:
  hand-pose models                      what there is, where, and how good
  hand-pose models check                fail unless every file is intact
  hand-pose models install              fetch the landmark networks
  hand-pose models install best.safetensors    install a checkpoint (its card lies beside it)
"""
_METRICS = 3  # of a card, shown in one line


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'models',
        help='list, check or install the network weights',
        description='Lists the network weights in use, checks their checksums or installs them.',
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'action',
        nargs='?',
        default='list',
        choices=('list', 'check', 'install'),
        help='list: what there is and where; check: fail unless all are intact; '
        'install: fetch what is missing, or copy a checkpoint (default: list)',
    )
    parser.add_argument(
        'file', nargs='?', type=Path, metavar='FILE',
        help='install: a checkpoint (.safetensors) of therformer, wildhands or densereg',
    )  # fmt: skip
    parser.add_argument('--folder', type=Path, help='install: put the files here')
    parser.add_argument(
        '--archive', type=Path, help='install: take the landmark networks from this file'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; 0 when it is so."""
    if arguments.action == 'install':
        return _install(arguments)
    if arguments.file is not None:
        raise CommandError(f'{arguments.action} takes no FILE: did you mean install?')
    return _report(arguments)


def _install(arguments: argparse.Namespace) -> int:
    from hand_pose_ros.estimators import model_store

    if arguments.file is not None:
        from hand_pose_ros.estimators import trained_models

        if arguments.archive is not None:
            raise CommandError('--archive is for the landmark networks: give it or FILE, not both.')
        path = trained_models.install(arguments.file, arguments.folder)
        print(f'{path.stem} is installed as {path}')
        write_json(arguments.json, {'path': str(path)})
        return 0
    folder = model_store.install(arguments.folder, arguments.archive)
    print(f'models are in {folder}')
    write_json(arguments.json, {'folder': str(folder)})
    return 0


def _report(arguments: argparse.Namespace) -> int:
    """List the weights of both kinds; a check also hashes those of the trained models."""
    from hand_pose_ros.estimators import model_store, trained_models

    states = model_store.check()
    for status in states:
        print(f'{status.name:24} {status.state:8} {status.path or "-"}')
    networks = trained_models.available()
    if arguments.action == 'check':
        networks = [trained_models.checked(model) for model in networks]
    for model in networks:
        place = 'shipped' if model.shipped else str(model.path)
        print(
            f'{model.name:24} {model.state:8} {model.network:10} {model.size / 1e6:6.1f} MB  '
            f'{summary(model.card) or "-"}  {place}'
        )
    write_json(
        arguments.json,
        {
            'models': [
                {'name': entry.name, 'state': entry.state, 'path': entry.path and str(entry.path)}
                for entry in states
            ],
            'networks': [_record(model) for model in networks],
        },
    )
    if arguments.action == 'check':
        _fail_for(
            [entry.name for entry in states if entry.state != 'present'],
            [model for model in networks if model.problem],
        )
    return 0


def summary(card: dict[str, Any]) -> str:
    """Return the first figures of a card in one line."""
    figures = dict(_figures(card.get('metrics'), ''))
    shown = [f'{name} {value:.4g}' for name, value in list(figures.items())[:_METRICS]]
    return ', '.join(shown)


def _figures(values: Any, name: str) -> list[tuple[str, float]]:
    """Return the numbers in nested metrics by their path."""
    if isinstance(values, bool) or values is None:
        return []
    if isinstance(values, (int, float)):
        return [(name, float(values))]
    if isinstance(values, dict):
        return [
            figure
            for key, value in values.items()
            for figure in _figures(value, f'{name} {key}'.strip())
        ]
    return []


def _record(model: TrainedModel) -> dict[str, Any]:
    return {
        'name': model.name,
        'network': model.network,
        'state': model.state,
        'path': str(model.path),
        'bytes': model.size,
        'shipped': model.shipped,
        'metrics': model.card.get('metrics', {}),
        'problem': model.problem,
    }


def _fail_for(missing: list[str], broken: list[TrainedModel]) -> None:
    if missing:
        raise CommandError(
            f'{", ".join(missing)} {"is" if len(missing) == 1 else "are"} missing or corrupt: '
            'run `hand-pose models install`.'
        )
    if broken:
        raise CommandError(broken[0].problem)
