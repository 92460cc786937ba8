"""``hand-pose record``: records the cameras of a rig to a bag."""

import argparse
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime, timezone
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
from hand_pose_ros.cli.record_table import Row, print_rows, recording_table

if TYPE_CHECKING:
    from hand_pose_ros.bags.writer import BagWriter
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
        'rosbag2 folder (mcap) that every ROS 2 tool can read: from the topics of a rig that runs '
        '(hand-pose up), or with --direct from the cameras themselves. Ctrl-C ends the recording.',
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
    _add_topic_options(parser)
    _add_file_options(parser)
    add_json_option(parser)
    parser.set_defaults(run=run)


def _add_topic_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('topics of a running rig, beside cameras and transforms')
    group.add_argument('--results', action='store_true', help='the hands as well')
    group.add_argument('--topics', nargs='+', default=[], metavar='TOPIC', help='these as well')
    group.add_argument('--all', action='store_true', help='everything that is published')


def _add_file_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('files')
    group.add_argument(
        '--compress', default='none', choices=('none', 'lz4', 'zstd'),
        help='of the chunks while recording (default: none, which costs least)',
    )  # fmt: skip
    group.add_argument(
        '--compress-after', action='store_true', help='compress with zstd once recorded, in place'
    )
    group.add_argument(
        '--split-size', type=float, default=0.0, metavar='MB', help='begin a new file at this size'
    )
    group.add_argument(
        '--split-duration', type=float, default=0.0, metavar='S',
        help='begin a new file after so many seconds',
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Record and report what became of each stream."""
    from hand_pose_ros.rig.description import find_rig

    for option in ('duration', 'split_size', 'split_duration'):
        value = getattr(arguments, option)
        if not 0 <= value < float('inf'):
            raise CommandError(
                f'--{option.replace("_", "-")} is {value}: use a number above 0, or 0 for no end.'
            )
    rig = _simulated(find_rig(arguments.rig), arguments)
    if arguments.target is not None:
        return _record_target(rig, arguments)
    if arguments.offline and not arguments.direct:
        raise CommandError('--offline needs --direct: images are rendered here.')
    if arguments.offline and not arguments.duration:
        raise CommandError('--offline needs --duration: a simulation never ends by itself.')
    if not arguments.direct:
        require_ros()
    with _writer(arguments) as writer:
        try:
            rows = (_record_direct if arguments.direct else _record_topics)(rig, writer, arguments)
        finally:
            # Whatever went wrong, a folder with nothing in it is in the way of the next try.
            gone = writer.discard_if_empty()
    ending = writer.ending
    if gone:
        why, cure = 'no image came before the end', 'look after the cameras or record for longer'
        if ending is not None:
            why, cure = ending.reason, 'make room and record again'
        raise CommandError(f'nothing was recorded in {arguments.output} ({why}): {cure}.')
    if arguments.compress_after and ending is None:
        _compress(arguments.output)
    print_rows(arguments.output, rows)
    write_json(
        arguments.json,
        {
            'bag': str(arguments.output),
            'ended': None if ending is None else ending.reason,
            'messages': sum(writer.counts.values()),
            'streams': {row.name: asdict(row) for row in rows},
        },
    )
    if ending is not None:
        since = datetime.fromtimestamp(ending.stamp * 1e-9, tz=timezone.utc).isoformat()
        raise CommandError(
            f'{ending.reason}: {arguments.output} is complete with {sum(writer.counts.values())} '
            f'messages, nothing is recorded since {since}; make room and record again.'
        )
    return 0


def _writer(arguments: argparse.Namespace) -> 'BagWriter':
    from hand_pose_ros.bags.writer import BagWriter

    return BagWriter(
        arguments.output,
        compression=arguments.compress,
        split_bytes=int(arguments.split_size * 1e6),
        split_seconds=arguments.split_duration,
        ros_distro=os.environ.get('ROS_DISTRO', ''),
    )


def _record_direct(
    rig: 'RigDescription', writer: 'BagWriter', arguments: argparse.Namespace
) -> list[Row]:
    """Record the drivers of the rig in this process."""
    from hand_pose_ros.cameras.direct_recording import DirectRecording

    recording = DirectRecording(rig=rig, writer=writer, duration=arguments.duration)

    def rows() -> list[Row]:
        return [
            Row(name=name, images=count.images, lost=count.lost, dropped=count.dropped,
                rate=count.rate, bytes=count.bytes)
            for name, count in recording.counts.items()
        ]  # fmt: skip

    with _interruptible(recording.stop), recording_table(rows, arguments.duration) as tell:
        recording.run(tell)
    return rows()


def _record_topics(
    rig: 'RigDescription', writer: 'BagWriter', arguments: argparse.Namespace
) -> list[Row]:
    """Record the topics of a rig that runs."""
    from hand_pose_ros.ros.record_session import Selection, SessionRecording

    recording = SessionRecording(
        rig=rig,
        writer=writer,
        duration=arguments.duration,
        selection=Selection(
            results=arguments.results, topics=tuple(arguments.topics), all=arguments.all
        ),
    )

    def rows() -> list[Row]:
        return [
            Row(name=topic, images=count.messages - recording.dropped.get(topic, 0),
                lost=count.lost, dropped=recording.dropped.get(topic, 0), rate=count.rate,
                bytes=count.size)
            for topic, count in list(recording.counts.items())
        ]  # fmt: skip

    with _interruptible(recording.stop), recording_table(rows, arguments.duration) as tell:
        recording.run(tell)
    return rows()


def _compress(bag: Path) -> None:
    from hand_pose_ros.bags.compress import compress
    from hand_pose_ros.cli.common import progress

    with progress(notices(), 'MB') as bar:
        task = bar.add_task('compressing', total=None)
        before, after = compress(bag, progress=lambda done: bar.update(task, completed=done))
    print(f'{bag}: compressed from {before / 1e6:.0f} to {after / 1e6:.0f} MB')


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
