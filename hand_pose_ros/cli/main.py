"""The ``hand-pose`` command: parses the verb, runs it, turns errors into sentences."""

import argparse
import os
import sys

from hand_pose_ros import __version__
from hand_pose_ros.cli import (
    annotate,
    benchmark,
    calibrate,
    check,
    demo,
    estimate,
    evaluate,
    export,
    models,
    record,
    review,
    simulate,
    train,
    up,
    view,
)
from hand_pose_ros.errors import HandPoseError

VERBS = (
    demo,
    up,
    estimate,
    view,
    record,
    check,
    calibrate,
    annotate,
    review,
    simulate,
    train,
    evaluate,
    export,
    models,
    benchmark,
)

# What a shell reports for a command ended by Ctrl-C, and by a reader that went away.
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command with all its verbs."""
    root = argparse.ArgumentParser(
        prog='hand-pose',
        description='Metric 3D hand poses from thermal, near-infrared, depth and RGB cameras.',
        epilog='example: hand-pose demo        (each verb has its own --help with an example)',
    )
    root.add_argument('--version', action='version', version=f'hand-pose {__version__}')
    verbs = root.add_subparsers(dest='verb', metavar='VERB', required=True)
    for verb in VERBS:
        verb.add_parser(verbs)
    return root


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status.

    0 only when the verb did what it says; 1 with one sentence on stderr for a problem the user
    can solve; 2 for wrong usage; 130 when interrupted.
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        return arguments.run(arguments)
    except HandPoseError as error:
        print(f'hand-pose {arguments.verb}: {" ".join(str(error).split())}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f'hand-pose {arguments.verb}: interrupted', file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # Keeps the interpreter from complaining again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE


if __name__ == '__main__':
    sys.exit(main())
