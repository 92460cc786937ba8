"""``hand-pose review``: a local page on which the labels of a session are judged and corrected."""

import argparse
import signal
import threading
from contextlib import closing
from pathlib import Path

from hand_pose_ros.cli.common import CommandError, Verbs, add_json_option, write_json

_LAST_PORT = 65_535


def add_parser(verbs: Verbs) -> None:
    """Add the verb."""
    parser = verbs.add_parser(
        'review',
        help='look at the labels of a session in the browser, judge and correct them',
        description='Serves a page on this machine only: labels over all images and in 3D, worst '
        'frames first; accept, reject, or drag a joint and refit. Everything is saved at once. '
        'Ctrl-C ends it.',
        epilog='example: hand-pose review sessions/subject_01/wave',
    )
    parser.add_argument('session', type=Path, metavar='BAG', help='annotated session')
    parser.add_argument('--port', type=int, default=0, help='of 127.0.0.1 (default: a free one)')
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C, then say how far the review is."""
    from hand_pose_ros.review.server import ReviewServer
    from hand_pose_ros.review.work import ReviewWork

    if not 0 <= arguments.port <= _LAST_PORT:
        raise CommandError(f'--port is {arguments.port}: use 0 to {_LAST_PORT}.')
    with (
        closing(ReviewWork(arguments.session)) as work,
        ReviewServer(work, arguments.port) as server,
    ):
        ended = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: ended.set())
        thread = threading.Thread(target=server.serve_forever, name='review')
        thread.start()
        try:
            print(f'review: {server.url}', flush=True)
            print('only this machine can open it; Ctrl-C ends it', flush=True)
            ended.wait()
        finally:
            server.shutdown()
            thread.join()
        counts = work.counts()
    print(
        f'{counts["hands"]} hands in {counts["frames"]} frames: {counts["accepted"]} accepted, '
        f'{counts["rejected"]} rejected, {counts["corrected"]} corrected'
    )
    write_json(arguments.json, {'session': str(arguments.session), **counts})
    return 0
