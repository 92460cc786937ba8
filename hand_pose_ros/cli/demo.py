"""``hand-pose demo``: the whole chain on the simulated rig, recorded, checked and reported."""

import argparse
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hand_pose_ros.cli.common import (
    CommandError,
    Verbs,
    add_json_option,
    notices,
    require_ros,
    write_json,
)

if TYPE_CHECKING:
    from hand_pose_ros.evaluation.live_run import LiveRun
    from hand_pose_ros.evaluation.live_summary import LiveSummary
    from hand_pose_ros.rig.description import RigDescription

_LEAST_SECONDS = 3.0


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'demo',
        help='simulated rig to hand poses over ROS 2, with a report',
        description='Runs the simulated head rig through camera nodes, DDS, the synchroniser and '
        'the inference node, records the messages to an mcap bag, compares them with the ground '
        'truth and writes a report.',
        epilog='example: hand-pose demo --seconds 20 --output output/my_demo',
    )
    parser.add_argument(
        '--seconds', type=float, default=30.0, help='length of the recording (default: 30)'
    )
    parser.add_argument(
        '--rig',
        default='simulated_head_rig',
        help='rig of simulated cameras (default: %(default)s)',
    )
    parser.add_argument(
        '--output',
        type=Path,
        metavar='DIR',
        help='folder for bag and report (default: a new one in output/)',
    )
    parser.add_argument(
        '--one-process',
        action='store_true',
        help='all nodes in one process; rendering four cameras then competes with the estimator '
        "for Python's interpreter lock",
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Where the demo leaves its things."""

    folder: Path

    @property
    def bag(self) -> Path:
        return self.folder / 'bag'


def run(arguments: argparse.Namespace) -> int:
    """Record, compare, report; 0 only when hands were found."""
    if not arguments.seconds >= _LEAST_SECONDS:
        raise CommandError(
            f'--seconds must be at least {_LEAST_SECONDS:g}, not {arguments.seconds}.'
        )
    require_ros()
    from hand_pose_ros.cli.demo_report import json_results
    from hand_pose_ros.evaluation.live_summary import after_warm_up, summarise_run
    from hand_pose_ros.rig.description import find_rig

    rig = find_rig(arguments.rig)
    _check_rig(rig)
    files = _Files(folder=_new_folder(arguments.output))
    _record(rig, files, arguments)
    whole = _read(rig, files)
    summary = summarise_run(after_warm_up(whole))
    if not summary.both.found:
        raise CommandError(
            f'no hand was found in {summary.sets} sets of images (bag: {files.bag}): '
            'see what the nodes said above, and run `hand-pose models check`.'
        )
    facts = _facts(rig, files, arguments)
    _print_table(summary)
    page, picture = _report(rig, files, whole, summary, facts)
    print(f'bag      {files.bag}\nreport   {page}\npicture  {picture}')
    write_json(arguments.json, json_results(summary, facts))
    return 0


def _check_rig(rig: 'RigDescription') -> None:
    """Only simulated cameras have a truth to compare with."""
    for camera in rig.cameras.values():
        if camera.driver != 'simulated':
            raise CommandError(
                f'camera {camera.name} of {rig.name} has driver {camera.driver!r}, but the demo '
                'needs simulated cameras, which know the truth: use --rig simulated_head_rig.'
            )


def _new_folder(asked: Path | None) -> Path:
    """The folder to write to, made now so that a bad path fails before the recording."""
    folder = asked or Path('output') / time.strftime('demo_%Y%m%d_%H%M%S')
    if (folder / 'bag').exists():
        raise CommandError(f'{folder} holds a bag already: remove it or name another --output.')
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f'{folder} cannot be made ({error.strerror}): name another --output.'
        ) from None
    return folder


def _record(rig: 'RigDescription', files: _Files, arguments: argparse.Namespace) -> None:
    """Run the graph for the asked time with a progress bar."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from hand_pose_ros.estimators import model_store
    from hand_pose_ros.ros.demo_session import record_session

    for model in model_store.MODELS:
        model_store.find(model)
    console = notices()
    columns = (TextColumn('{task.description}'), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task('starting cameras and estimator', total=None)

        def progress(seconds: float) -> None:
            bar.update(task, description='recording', total=arguments.seconds, completed=seconds)

        record_session(
            rig,
            files.bag,
            arguments.seconds,
            processes=not arguments.one_process,
            progress=progress,
        )


def _read(rig: 'RigDescription', files: _Files) -> 'LiveRun':
    """The run as the bag has it."""
    from hand_pose_ros.evaluation.live_run import read_run
    from hand_pose_ros.sessions.hand_messages import RESULTS_TOPIC
    from hand_pose_ros.sessions.truth import truth_topic

    return read_run(files.bag, RESULTS_TOPIC, truth_topic(rig))


def _report(
    rig: 'RigDescription',
    files: _Files,
    whole: 'LiveRun',
    summary: 'LiveSummary',
    facts: dict[str, str],
) -> tuple[Path, Path]:
    """Draw the views and write page and picture."""
    from hand_pose_ros.cli.demo_report import write_report
    from hand_pose_ros.cli.demo_views import views_of

    with notices().status('drawing the report'):
        views = views_of(files.bag, rig, whole)
        return write_report(files.folder, whole, summary, views, facts)


def _facts(rig: 'RigDescription', files: _Files, arguments: argparse.Namespace) -> dict[str, str]:
    """How the run was made."""
    from hand_pose_ros import __version__
    from hand_pose_ros.evaluation.live_summary import WARM_UP

    return {
        'rig': rig.name,
        'cameras': ', '.join(
            f'{c.name} {c.size[0]}x{c.size[1]} {c.encoding} {c.rate:g} Hz'
            for c in rig.cameras.values()
        ),
        'processes': 'one for all nodes' if arguments.one_process else 'one for each node',
        'machine': f'{platform.machine()}, {_cores()} cores',
        'left out of the figures': f'the first {WARM_UP:g} s',
        'version': __version__,
        'bag': str(files.bag),
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _print_table(summary: 'LiveSummary') -> None:
    """The short table the demo ends with."""
    from rich.console import Console
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    rows = (
        ('rate', f'{summary.rate:.1f} poses/s over {summary.seconds:.0f} s'),
        ('latency p50 / p99', f'{summary.latency_p50_ms:.0f} / {summary.latency_p99_ms:.0f} ms'),
        ('MEPE', f'{summary.both.mepe_mm:.1f} mm'),
        ('wrist error', f'{summary.both.wrist_mm:.1f} mm'),
        ('spread mean / max', f'{summary.spread_mean_ms:.1f} / {summary.spread_max_ms:.1f} ms'),
        ('hands found', f'{summary.both.found} of {summary.both.frames} in view '
                        f'({100 * summary.found_share:.0f} %)'),
    )  # fmt: skip
    for name, value in rows:
        table.add_row(name, value)
    Console(highlight=False).print(table)
