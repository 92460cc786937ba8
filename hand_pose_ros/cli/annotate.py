"""``hand-pose annotate``: labels of both hands in every frame of recorded sessions."""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hand_pose_ros.cli.common import (
    CommandError,
    Verbs,
    add_json_option,
    names_of,
    notices,
    progress,
    write_json,
)

_EXAMPLE = """examples:
  hand-pose annotate session
  hand-pose annotate session --rig calibrated.yaml --outputs bag
  hand-pose annotate day1/* --engine ray --address auto
"""
_OUTPUTS = ('bag', 'thermohands')


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'annotate',
        help='label both hands in every frame of a recorded session',
        description='Fits both hands to all calibrated cameras over the whole session and writes '
        'BAG_labels: labels.npz, report.json, bag/ (hands and masks) and thermohands/. A run that '
        'was ended goes on where it was.',
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('bags', nargs='+', type=Path, metavar='BAG', help='recorded session')
    parser.add_argument('--rig', type=Path, metavar='FILE', help='instead of the recorded rig')
    parser.add_argument(
        '--cameras', default='', metavar='A,B', help='cameras to use (default: all calibrated)'
    )
    parser.add_argument(
        '--estimator', default='landmarks', metavar='NAME',
        help='what finds and follows the hands (default: landmarks)',
    )  # fmt: skip
    parser.add_argument(
        '--segmenter', default='', metavar='MODULE:FACTORY', help='plug-in that masks hands'
    )
    parser.add_argument(
        '--outputs', default=','.join(_OUTPUTS), metavar='A,B',
        help='what to write beside labels.npz and report.json: bag, thermohands, or none',
    )  # fmt: skip
    parser.add_argument(
        '--subject', type=int, default=3, metavar='N',
        help='number of the person in the ThermoHands tree, which decides its part (default: 3)',
    )  # fmt: skip
    parser.add_argument(
        '--chunk', type=int, default=128, metavar='N', help='frames kept and resumed together'
    )
    parser.add_argument(
        '--threads', type=int, default=len(os.sched_getaffinity(0)), metavar='N',
        help='cores a session uses; each takes about 0.5 GB (default: all)',
    )  # fmt: skip
    parser.add_argument(
        '--device', default='cpu', metavar='NAME',
        help='where hands are fitted: cpu, cuda or cuda:N (default: cpu)',
    )  # fmt: skip
    parser.add_argument(
        '--engine', choices=('local', 'ray'), default='local',
        help='ray: sessions in parallel on a Ray cluster',
    )  # fmt: skip
    parser.add_argument(
        '--address', default='auto', help='of the Ray cluster (default: the running one)'
    )
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Annotate the sessions one after the other, or on a cluster, and report."""
    from hand_pose_ros.annotation.settings import Settings

    settings = Settings(
        estimator=arguments.estimator, cameras=names_of(arguments.cameras),
        segmenter=arguments.segmenter, chunk=arguments.chunk, threads=arguments.threads,
        device=arguments.device,
    )  # fmt: skip
    outputs = _outputs(arguments.outputs)
    if not 0 <= arguments.subject <= 99:
        raise CommandError(f'--subject is {arguments.subject}: use 0 to 99.')
    if arguments.rig is not None and not arguments.rig.is_file():
        raise CommandError(f'rig file {arguments.rig} does not exist: name another with --rig.')
    run_all = _on_ray if arguments.engine == 'ray' else _here
    reports, failures = run_all(arguments, settings, outputs)
    write_json(arguments.json, {'sessions': reports, 'failures': failures})
    return 1 if failures else 0


def _outputs(text: str) -> tuple[str, ...]:
    names = names_of(text)
    if names == ('none',):
        return ()
    for name in names:
        if name not in _OUTPUTS:
            raise CommandError(f'--outputs {name!r} is unknown: use {", ".join(_OUTPUTS)} or none.')
    return names


def _here(
    arguments: argparse.Namespace, settings: Any, outputs: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Annotate in this process; one session that fails does not keep the others from it."""
    from hand_pose_ros.annotation.session_task import annotate_session
    from hand_pose_ros.errors import HandPoseError

    console = notices()
    reports: list[dict[str, Any]] = []
    failures: list[str] = []
    for path in arguments.bags:
        try:
            with progress(console, 'frames') as bar:
                report = annotate_session(
                    path, settings, rig=arguments.rig, outputs=outputs,
                    subject=arguments.subject, progress=_shown(bar),
                )  # fmt: skip
        except HandPoseError as error:
            if len(arguments.bags) == 1:
                raise
            failures.append(f'{path}: {error}')
            console.print(failures[-1])
            continue
        reports.append(report)
        _say(report, console.print)
    return reports, failures


def _on_ray(
    arguments: argparse.Namespace, settings: Any, outputs: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Annotate on a Ray cluster."""
    from hand_pose_ros.annotation.ray_engine import annotate_sessions

    console = notices()
    reports: list[dict[str, Any]] = []
    failures: list[str] = []
    results = annotate_sessions(
        arguments.bags, settings, address=arguments.address, rig=arguments.rig, outputs=outputs,
        subject=arguments.subject,
    )  # fmt: skip
    with progress(console, 'sessions') as bar:
        task = bar.add_task('annotating', total=len(arguments.bags))
        for path, report, failure in results:
            bar.advance(task)
            if report is None:
                failures.append(f'{path}: {failure}')
                console.print(failures[-1])
            else:
                reports.append(report)
                _say(report, console.print)
    return reports, failures


def _shown(bar: Any) -> Callable[[str, int, int], None]:
    """Return what shows each stage's progress in a bar of its own."""
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bar.add_task(stage, total=total)
        bar.update(tasks[stage], completed=done)

    return show


def _say(report: dict[str, Any], note: Callable[[str], None]) -> None:
    for text in report['notes']:
        note(f'note: {text}')
    sides = report['sides']
    counts = ', '.join(
        f'{name} {side["fitted"]} fitted + {side["interpolated"]} interpolated'
        + (f' + {side["corrected"]} corrected' if side['corrected'] else '')
        for name, side in sides.items()
    )
    rate = report['frames'] / max(report['seconds'], time.get_clock_info('monotonic').resolution)
    print(
        f'{report["session"]}: {report["frames"]} frames, {counts}; {rate:.1f} frames/s -> '
        f'{report["folder"]}'
    )
    if not report['hands']:
        print(f'{report["session"]}: no hand was seen in any frame, so there are no labels.')
    if report.get('truth') and report['truth']['joint_error_mm']:
        errors = report['truth']['joint_error_mm']
        print(
            f'against the exact hands: joints {errors["mean"]:.1f} mm mean, '
            f'{errors["p95"]:.1f} mm 95th percentile, {report["truth"]["missed"]} of '
            f'{report["truth"]["hands"]} hands missed'
        )
