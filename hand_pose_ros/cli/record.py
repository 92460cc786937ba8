"""``hand-pose record``: records the cameras of a rig to a bag."""

import argparse
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option, notices, write_json

if TYPE_CHECKING:
    from hand_pose_ros.cameras.direct_recording import StreamCount
    from hand_pose_ros.rig.model import RigDescription

_EXAMPLE = 'example: hand-pose record simulated_head_rig /tmp/s --direct --offline --duration 5'
# Stamps of a simulation that runs by itself begin here: the same in every recording.
_OFFLINE_START = 1_700_000_000_000_000_000


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'record',
        help='record the cameras of a rig to a bag',
        description='Writes the images of all cameras, their calibration and the rig file to a '
        'rosbag2 folder (mcap) that every ROS 2 tool can read. Ctrl-C ends the recording.',
        epilog=_EXAMPLE,
    )
    parser.add_argument('rig', metavar='RIG', help='rig file, or name of a rig that comes with us')
    parser.add_argument('output', type=Path, metavar='OUTPUT', help='the bag, a new folder')
    parser.add_argument(
        '--duration', type=float, default=0.0, metavar='S', help='seconds (default: until Ctrl-C)'
    )
    parser.add_argument(
        '--direct', action='store_true', help="open the rig's cameras here, without ROS"
    )
    parser.add_argument(
        '--offline', action='store_true',
        help='simulated rigs: as fast as can be rendered, always the same images',
    )  # fmt: skip
    parser.add_argument('--seed', type=int, help='simulated rigs: another person, motion and noise')
    parser.add_argument('--scenario', help='simulated rigs: static, normal or demo')
    parser.add_argument(
        '--target', metavar='TARGET',
        help='simulated rigs: a calibration target is moved instead of hands, KIND:COLUMNSxROWS:'
        'SPACING as in hand-pose calibrate',
    )  # fmt: skip
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Record and report what became of each stream."""
    from hand_pose_ros.bags.writer import BagWriter
    from hand_pose_ros.cameras.direct_recording import DirectRecording
    from hand_pose_ros.cli.common import progress
    from hand_pose_ros.rig.description import find_rig

    if arguments.duration < 0:
        raise CommandError(f'--duration is {arguments.duration}: use seconds, or 0 for no end.')
    rig = _simulated(find_rig(arguments.rig), arguments)
    if arguments.target is not None:
        return _record_target(rig, arguments)
    if arguments.offline and not arguments.duration:
        raise CommandError('--offline needs --duration: a simulation never ends by itself.')
    with BagWriter(arguments.output) as writer:
        recording = DirectRecording(rig=rig, writer=writer, duration=arguments.duration)
        with _interruptible(recording.stop), progress(notices(), 's') as bar:
            task = bar.add_task('recording', total=arguments.duration or None)
            recording.run(lambda seconds: bar.update(task, completed=round(seconds, 1)))
    _report(arguments.output, recording.counts)
    write_json(
        arguments.json,
        {
            'bag': str(arguments.output),
            'streams': {
                name: {'images': count.images, 'lost': count.lost, 'rate': count.rate,
                       'bytes': count.bytes}
                for name, count in recording.counts.items()
            },
        },
    )  # fmt: skip
    return 0


def _record_target(rig: 'RigDescription', arguments: argparse.Namespace) -> int:
    """Write a simulated recording of a target; it ends when every view was shown."""
    from hand_pose_ros.cli.common import progress
    from hand_pose_ros.rig.target import parse_target
    from hand_pose_ros.simulation.boards import BoardScene, write_board_session

    scene = BoardScene(rig=rig, target=parse_target(arguments.target), seed=arguments.seed or 0)
    with progress(notices(), 'images') as bar:
        task = bar.add_task('recording', total=None)
        write_board_session(
            scene, arguments.output, duration=arguments.duration or None,
            progress=lambda count: bar.update(task, completed=count),
        )  # fmt: skip
    print(f'{arguments.output}: recorded')
    return 0


def _simulated(rig: 'RigDescription', arguments: argparse.Namespace) -> 'RigDescription':
    """Return the rig with what the command line says of its simulated cameras."""
    options = {'seed': arguments.seed, 'scenario': arguments.scenario}
    options = {name: value for name, value in options.items() if value is not None}
    if arguments.offline:
        options |= {'offline': True, 'start': _OFFLINE_START}
    if not options:
        return rig
    for name, camera in rig.cameras.items():
        if camera.driver != 'simulated':
            raise CommandError(
                f'camera {name} of {rig.name} has the driver {camera.driver!r}: --offline, --seed '
                'and --scenario are for simulated rigs.'
            )
    cameras = {
        name: replace(camera, driver_options={**camera.driver_options, **options})
        for name, camera in rig.cameras.items()
    }
    return replace(rig, cameras=cameras)


@contextmanager
def _interruptible(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the recording instead of the program."""
    before = {
        number: signal.signal(number, lambda *_: stop())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _report(output: Path, counts: dict[str, 'StreamCount']) -> None:
    for name, count in counts.items():
        print(
            f'{name}: {count.images} images, {count.rate:.1f}/s, {count.bytes / 1e6:.0f} MB, '
            f'{count.lost} lost by the camera'
        )
    print(f'{output}: recorded')
