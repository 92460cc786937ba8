"""``hand-pose calibrate``: calibrates the cameras of a rig from a recording of a target."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hand_pose_ros.cli.common import (
    CommandError,
    Verbs,
    add_json_option,
    names_of,
    notices,
    write_json,
)

if TYPE_CHECKING:
    from hand_pose_ros.calibration.calibrate import Calibration, Options
    from hand_pose_ros.calibration.exo import ExoResult

_EXAMPLE = 'example: hand-pose calibrate recordings/board --target chessboard:9x6:0.025'


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'calibrate',
        help='calibrate the cameras of a rig from a recording of a target',
        description='Finds a flat target, warm or cold, in the images of all cameras and computes '
        'intrinsics, poses and time offsets at once; checks depth against the target. Writes the '
        'rig file, report.json and report.html.',
        epilog=_EXAMPLE,
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='recording (`hand-pose record`)')
    parser.add_argument(
        '--target', required=True, metavar='TARGET',
        help='KIND:COLUMNSxROWS:SPACING or a YAML file; kinds: chessboard (inner corners), '
        'circles, asymmetric_circles, charuco (squares); metres',
    )  # fmt: skip
    parser.add_argument(
        '--output', type=Path, metavar='FOLDER', help='results (default: BAG_calibration)'
    )
    parser.add_argument(
        '--rig', metavar='RIG', help='rig to begin with (default: the recorded one)'
    )
    for option, text in (
        ('--cameras', 'calibrate only these (comma-separated)'),
        ('--keep-intrinsics', 'cameras whose intrinsics are right already'),
        ('--fisheye', 'cameras with a fisheye lens (equidistant model)'),
    ):
        parser.add_argument(option, default='', metavar='NAMES', help=text)
    parser.add_argument(
        '--tie', action='append', default=[], metavar='DEPTH=CAMERA',
        help='a depth camera and the camera on the same sensor (default: found by size and pose)',
    )  # fmt: skip
    parser.add_argument(
        '--moments', type=int, default=60, metavar='N', help='moments looked at (default: 60)'
    )
    parser.add_argument(
        '--no-time-offsets', action='store_true', help='trust the stamps of all cameras'
    )
    parser.add_argument(
        '--thermohands', type=Path, metavar='FILE', help='also write a ThermoHands calibration'
    )
    parser.add_argument(
        '--trajectory', choices=('auto', 'board', 'odometry'),
        help='leave the cameras as they are and write how the exo camera moved against the rig '
        'to BAG_trajectory.npz',
    )  # fmt: skip
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Calibrate and write the results."""
    options = _options(arguments)
    from hand_pose_ros.calibration.calibrate import calibrate
    from hand_pose_ros.calibration.exo import exo_trajectory
    from hand_pose_ros.calibration.recording import Recording
    from hand_pose_ros.cli.common import progress
    from hand_pose_ros.rig.description import find_rig

    rig = find_rig(arguments.rig) if arguments.rig else None
    output = arguments.output or arguments.bag.parent / f'{arguments.bag.name}_calibration'
    with Recording(arguments.bag, rig) as recording, progress(notices(), '') as bar:
        tasks: dict[str, Any] = {}

        def told(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step)
            bar.update(tasks[step], completed=done, total=total)

        if arguments.trajectory:
            result = exo_trajectory(recording, options.target, arguments.trajectory, told)
        else:
            calibration = calibrate(recording, options, told)
    if arguments.trajectory:
        return _write_trajectory(result, arguments)
    _write(calibration, output, arguments)
    return 0


def _options(arguments: argparse.Namespace) -> 'Options':
    """Check and collect what was asked for."""
    if arguments.moments < 10:
        raise CommandError(f'--moments is {arguments.moments}: use 10 or more.')
    ties = {}
    for text in arguments.tie:
        depth, sign, camera = text.partition('=')
        if not sign:
            raise CommandError(f'--tie {text}: write DEPTH=CAMERA, for example depth=nir.')
        ties[depth] = camera
    from hand_pose_ros.calibration.calibrate import Options
    from hand_pose_ros.rig.target import parse_target

    return Options(
        target=parse_target(arguments.target), cameras=names_of(arguments.cameras),
        keep_intrinsics=names_of(arguments.keep_intrinsics), fisheye=names_of(arguments.fisheye),
        ties=ties, moments=arguments.moments, timed=not arguments.no_time_offsets,
    )  # fmt: skip


def _write_trajectory(result: 'ExoResult', arguments: argparse.Namespace) -> int:
    """Write a trajectory beside the bag and say how good it is."""
    from hand_pose_ros.sessions.trajectory import trajectory_file

    path = trajectory_file(arguments.bag)
    result.trajectory.save(path)
    shift, turn = result.disagreement
    print(
        f'{path}: {len(result.trajectory.stamps)} poses of {result.trajectory.body} by '
        f'{result.way} from {result.views} common views'
        + (f', which agree to {1e3 * shift:.1f} mm and {turn:.2f} degrees' if shift else '')
    )
    write_json(
        arguments.json,
        {
            'trajectory': str(path), 'body': result.trajectory.body, 'way': result.way,
            'poses': len(result.trajectory.stamps), 'views': result.views,
            'disagreement_m': shift, 'disagreement_degrees': turn,
        },
    )  # fmt: skip
    return 0


def _write(calibration: 'Calibration', output: Path, arguments: argparse.Namespace) -> None:
    """Write rig, report and pictures, and print what matters."""
    from hand_pose_ros.calibration.pictures import coverage_pictures
    from hand_pose_ros.calibration.report import lines, report, write_page
    from hand_pose_ros.rig.description import save_rig
    from hand_pose_ros.rig.thermohands import calibration_from_rig, write_calibration

    content = report(calibration, str(arguments.bag))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f'{output} cannot be made ({error.strerror}): use --output.') from None
    save_rig(calibration.rig, output / 'rig.yaml')
    write_json(output / 'report.json', content)
    write_json(arguments.json, content)
    pictures: dict[str, Path] = {}
    for solution in calibration.solutions.values():
        pictures |= coverage_pictures(solution, output)
    write_page(content, pictures, output / 'report.html')
    for line in lines(content):
        print(line)
    if arguments.thermohands is not None:
        write_calibration(calibration_from_rig(calibration.rig), arguments.thermohands)
        print(f'{arguments.thermohands}: ThermoHands calibration')
    print(f'{output / "rig.yaml"}: calibrated rig; report in {output / "report.html"}')
