"""``hand-pose benchmark``: runs a script of benchmarks/ by name."""

import argparse
import ast
import os
import subprocess
import sys
from pathlib import Path

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option

_FOLDER = Path(__file__).resolve().parents[2] / 'benchmarks'


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'benchmark',
        help='measure one of the figures stated in the README',
        description='Runs one benchmark of the checkout and prints its figures; without a name, '
        'lists the benchmarks. Arguments after -- go to the benchmark.',
        epilog='example: hand-pose benchmark synchronizer --json figures.json',
    )
    parser.add_argument('name', nargs='?', help='which benchmark')
    parser.add_argument('rest', nargs='*', metavar='-- ARGUMENT', help='for the benchmark itself')
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the benchmarks, or run one and pass its exit status on."""
    scripts = _scripts()
    if arguments.name is None:
        for name, path in scripts.items():
            print(f'{name:18} {_first_line(path)}')
        return 0
    if arguments.name not in scripts:
        raise CommandError(
            f'there is no benchmark {arguments.name!r}: use one of {", ".join(scripts)}.'
        )
    command = [sys.executable, str(scripts[arguments.name]), *arguments.rest]
    if arguments.json is not None:
        command += ['--json', str(arguments.json)]
    environment = dict(os.environ)
    search = [str(_FOLDER.parent), environment.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(entry for entry in search if entry)
    status = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    if status < 0:
        raise CommandError(f'benchmark {arguments.name} was ended by signal {-status}.')
    return status


def _scripts() -> dict[str, Path]:
    """The benchmarks of the checkout by name."""
    scripts = {path.stem: path for path in sorted(_FOLDER.glob('[!_]*.py'))}
    if not scripts:
        raise CommandError(
            f'there are no benchmarks in {_FOLDER}: they come with the source checkout, '
            'run this from there.'
        )
    return scripts


def _first_line(path: Path) -> str:
    """What a script says it measures."""
    described = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    return described.split('\n', 1)[0]
