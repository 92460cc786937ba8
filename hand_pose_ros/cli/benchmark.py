"""``hand-pose benchmark``: runs a script of benchmarks/ by name."""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option, write_json

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
    parser.add_argument('name', nargs='?', help='which benchmark, or all')
    parser.add_argument('rest', nargs='*', metavar='-- ARGUMENT', help='for the benchmark itself')
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """List the benchmarks, or run one or all and pass the exit status on."""
    scripts = _scripts()
    if arguments.name is None:
        for name, path in scripts.items():
            print(f'{name:18} {_first_line(path)}')
        return 0
    if arguments.name == 'all':
        return _run_all(scripts, arguments.json)
    if arguments.name not in scripts:
        raise CommandError(
            f'there is no benchmark {arguments.name!r}: use one of {", ".join(scripts)}, or all.'
        )
    return _run_one(arguments.name, scripts[arguments.name], arguments.rest, arguments.json)


def _run_one(name: str, script: Path, rest: list[str], result: Path | None) -> int:
    """Run one script and return its exit status."""
    command = [sys.executable, str(script), *rest]
    if result is not None:
        command += ['--json', str(result)]
    environment = dict(os.environ)
    search = [str(_FOLDER.parent), environment.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(entry for entry in search if entry)
    status = subprocess.run(command, env=environment, check=False).returncode  # noqa: S603
    if status < 0:
        raise CommandError(f'benchmark {name} was ended by signal {-status}.')
    return status


def _run_all(scripts: dict[str, Path], result: Path | None) -> int:
    """Run every script, the results by name in one file; 1 when one of them failed."""
    results, failed = {}, []
    with tempfile.TemporaryDirectory() as folder:
        for name, script in scripts.items():
            print(f'== {name}: {_first_line(script)}', flush=True)
            part = Path(folder) / f'{name}.json'
            if _run_one(name, script, [], part):
                failed.append(name)
            if part.exists():
                results[name] = json.loads(part.read_text(encoding='utf-8'))
    write_json(result, results)
    if failed:
        raise CommandError(f'{", ".join(failed)} missed a target or failed: see above.')
    return 0


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
