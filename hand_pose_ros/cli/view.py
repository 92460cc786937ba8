"""``hand-pose view``: the rig and its hands as a page in the browser."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

from hand_pose_ros.cli.common import CommandError, Verbs, notices, require_ros

_LARGEST_PORT = 65535


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'view',
        help='hand meshes, cameras and images in the browser',
        description='Serves a page on 127.0.0.1 with the hand meshes, the camera frusta, the live '
        'images and the state of the hands. Runs until Ctrl-C.',
        epilog='example: hand-pose view simulated_head_rig --up',
    )
    parser.add_argument(
        'rig',
        nargs='?',
        default='simulated_head_rig',
        metavar='RIG',
        help='the rig that runs: a file, or the name of one that comes with the package '
        '(default: %(default)s)',
    )
    parser.add_argument('--up', action='store_true', help='start the rig too, as `hand-pose up`')
    parser.add_argument('--port', type=int, default=8080, help='of the page (default: %(default)s)')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    if not 0 < arguments.port <= _LARGEST_PORT:
        raise CommandError(f'--port must be 1 to {_LARGEST_PORT}, not {arguments.port}.')
    require_ros()
    from hand_pose_ros.cli.view_feed import ViewFeed
    from hand_pose_ros.cli.viewer import Viewer
    from hand_pose_ros.rig.description import find_rig
    from hand_pose_ros.ros.view_session import spin_view

    rig = find_rig(arguments.rig)
    viewer = Viewer(rig, port=arguments.port)
    feed = ViewFeed(rig, viewer)
    try:
        with _graph(arguments.rig) if arguments.up else contextlib.nullcontext() as graph:
            print(f'{viewer.url}  (Ctrl-C ends)', flush=True)
            spin_view(
                tuple(rig.cameras),
                on_hands=feed.hands,
                on_image=feed.image,
                on_topology=feed.topology,
                alive=lambda: graph is None or graph.poll() is None,
            )
            if graph is not None and graph.poll():
                raise CommandError('the rig has stopped: see what it said above.')
    finally:
        viewer.close()
        for sentence in sorted(feed.refused):
            notices().print(f'note: {sentence}')
    return 0


@contextlib.contextmanager
def _graph(rig: str) -> Iterator[subprocess.Popen[bytes]]:
    """``hand-pose up RIG`` as a child process that ends with the block."""
    command = [sys.executable, '-m', 'hand_pose_ros.cli.main', 'up', rig]
    with subprocess.Popen(command, start_new_session=True) as child:  # noqa: S603
        try:
            yield child
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
                try:
                    child.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    child.kill()
