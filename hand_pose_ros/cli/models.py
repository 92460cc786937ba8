"""``hand-pose models``: lists, checks and installs the network weights."""

import argparse
from pathlib import Path

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option, write_json

_EXAMPLE = 'example: hand-pose models check'


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'models',
        help='list, check or install the network weights',
        description='Lists the network weights in use, checks their checksums or installs them.',
        epilog=_EXAMPLE,
    )
    parser.add_argument(
        'action',
        nargs='?',
        default='list',
        choices=('list', 'check', 'install'),
        help='list: what there is and where; check: fail unless all are intact; '
        'install: fetch what is missing (default: list)',
    )
    parser.add_argument('--folder', type=Path, help='install: put the files here')
    parser.add_argument(
        '--archive', type=Path, help='install: take them from this file instead of the network'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; 0 when it is so."""
    from hand_pose_ros.estimators import model_store

    if arguments.action == 'install':
        folder = model_store.install(arguments.folder, arguments.archive)
        print(f'models are in {folder}')
        write_json(arguments.json, {'folder': str(folder)})
        return 0
    states = model_store.check()
    for status in states:
        print(f'{status.name:24} {status.state:8} {status.path or "-"}')
    write_json(
        arguments.json,
        {
            'models': [
                {'name': entry.name, 'state': entry.state, 'path': entry.path and str(entry.path)}
                for entry in states
            ]
        },
    )
    bad = [entry.name for entry in states if entry.state != 'present']
    if bad and arguments.action == 'check':
        raise CommandError(
            f'{", ".join(bad)} {"is" if len(bad) == 1 else "are"} missing or corrupt: '
            'run `hand-pose models install`.'
        )
    return 0
