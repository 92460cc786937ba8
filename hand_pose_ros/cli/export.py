"""``hand-pose export``: labelled sessions as episodes for robot learning; networks as ONNX."""

import argparse
from pathlib import Path

from hand_pose_ros.cli.common import (
    CommandError,
    Verbs,
    add_json_option,
    notices,
    progress,
    write_json,
)

_EXAMPLE = 'example: hand-pose export sessions/a sessions/b --format lerobot --output episodes'
# Written out, so that the command starts without loading the writers.
_FORMATS = ('lerobot', 'hdf5', 'csv')
_ROBOTS = ('leap', 'allegro', 'shadow')


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'export',
        help='write labelled sessions for robot learning, or a network as ONNX',
        description='Writes the hands and images of labelled sessions as episodes at an even rate '
        '(SESSION ... --format --output). With --onnx it writes the graphs of a trained network '
        'instead; TherFormer becomes two files: encode, run on each image, and decode, run on the '
        'features of the last images.',
        epilog=_EXAMPLE,
    )
    parser.add_argument('sessions', nargs='*', type=Path, metavar='SESSION', help='bags')
    parser.add_argument('--output', type=Path, metavar='DIR', help='new folder for the episodes')
    parser.add_argument(
        '--format', default='lerobot', choices=_FORMATS,
        help='lerobot: LeRobotDataset v3.0; hdf5: as robomimic reads it; csv: no images '
        '(default: lerobot)',
    )  # fmt: skip
    parser.add_argument(
        '--rate', type=float, default=30.0, metavar='HZ', help='moments per second (default: 30)'
    )
    parser.add_argument('--task', default='move the hands', help='what is done, in words')
    parser.add_argument(
        '--split-gap', type=float, default=1.0, metavar='S',
        help='a longer time without any hand parts two episodes (default: 1)',
    )  # fmt: skip
    parser.add_argument(
        '--minimum-quality', type=float, default=0.0, metavar='Q',
        help='labels below it count as absent (default: 0)',
    )  # fmt: skip
    hands = parser.add_mutually_exclusive_group()
    hands.add_argument(
        '--live', action='store_true',
        help='use the hands estimated while recording (/hand_pose/hands) instead of labels',
    )  # fmt: skip
    hands.add_argument(
        '--truth', action='store_true',
        help='use the exact hands of simulated sessions instead of labels',
    )  # fmt: skip
    parser.add_argument(
        '--retarget', choices=_ROBOTS, help='add the joint angles of robot hands that follow'
    )
    parser.add_argument(
        '--urdf', type=Path, metavar='DIR',
        help="folder of the robots' hands, from dexsuite/dex-urdf",
    )  # fmt: skip
    parser.add_argument(
        '--onnx', nargs=2, metavar=('CHECKPOINT', 'OUT.onnx'),
        help='name of an installed model or path of its .safetensors, and the file to write',
    )  # fmt: skip
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export what was asked for, and say where it is."""
    if arguments.onnx is not None:
        if arguments.sessions:
            raise CommandError('sessions and --onnx do not go together: export one of them.')
        return _export_network(arguments)
    if not arguments.sessions or arguments.output is None:
        raise CommandError(
            'nothing to export: give sessions and --output DIR, or --onnx CHECKPOINT OUT.onnx.'
        )
    return _export_sessions(arguments)


def _export_sessions(arguments: argparse.Namespace) -> int:
    from hand_pose_ros.exporting.session_export import ExportOptions, export_sessions

    if (arguments.retarget is None) != (arguments.urdf is None):
        raise CommandError('--retarget and --urdf go together: give the robot and its files.')
    options = ExportOptions(
        format=arguments.format, rate=arguments.rate, task=arguments.task,
        split_gap=arguments.split_gap, minimum_quality=arguments.minimum_quality,
        truth=arguments.truth, live=arguments.live, robot=arguments.retarget or '',
        urdf=arguments.urdf or Path(),
    )  # fmt: skip
    with progress(notices(), 'sessions') as bar:
        task = bar.add_task('exporting', total=len(arguments.sessions))
        done = export_sessions(
            arguments.sessions,
            arguments.output,
            options,
            lambda count, _: bar.update(task, completed=count),
        )
    left, right = (f'{share:.0%}' for share in done.valid)
    print(
        f'{done.folder}: {done.episodes} episodes, {done.moments} moments at {options.rate:g} Hz, '
        f'left hand {left}, right hand {right} of the time'
    )
    write_json(
        arguments.json,
        {
            'folder': str(done.folder), 'format': options.format, 'rate': options.rate,
            'episodes': done.episodes, 'moments': done.moments, 'valid': list(done.valid),
        },
    )  # fmt: skip
    return 0


def _export_network(arguments: argparse.Namespace) -> int:
    from hand_pose_ros.estimators.trained_models import find
    from hand_pose_ros.networks.checkpoint import load_checkpoint
    from hand_pose_ros.networks.onnx_export import export_onnx

    checkpoint, target = arguments.onnx
    loaded = load_checkpoint(find('', checkpoint))
    files = export_onnx(loaded, Path(target))
    for file in files:
        print(f'{loaded.name} -> {file} ({file.stat().st_size / 1e6:.1f} MB)')
    write_json(arguments.json, {'network': loaded.name, 'files': [str(file) for file in files]})
    return 0
