"""What several verbs share: output of results, consoles, and the check that ROS is there."""

import argparse
import importlib
import json
import os
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from hand_pose_ros.errors import HandPoseError

# Adds a verb: the object ``ArgumentParser.add_subparsers`` returns.
Verbs = Any


class CommandError(HandPoseError):
    """A command that cannot do what was asked."""


def names_of(text: str) -> tuple[str, ...]:
    """Return the names in a list like ``a,b``, in their order."""
    return tuple(name.strip() for name in text.split(',') if name.strip())


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``, which every verb with results has."""
    parser.add_argument('--json', type=Path, metavar='FILE', help='also write the results as JSON')


def write_json(path: Path | None, results: dict[str, Any]) -> None:
    """Write results to a JSON file when one was asked for.

    Raises:
        CommandError: if the file cannot be written.
    """
    if path is None:
        return
    text = json.dumps(results, indent=2, allow_nan=False) + '\n'
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise CommandError(
            f'{path} cannot be written ({error.strerror}): name another file with --json.'
        ) from None


def progress(console: Console, unit: str) -> Progress:
    """Return a progress bar that counts in the given unit and disappears when done."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def notices() -> Console:
    """The console for progress and remarks: stderr, so that stdout carries results only."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def require_ros() -> None:
    """Make sure that ROS 2 and our messages can be imported.

    Also keeps discovery on this machine unless the user has chosen otherwise.

    Raises:
        CommandError: saying how to get them.
    """
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    for module, fix in (
        ('rclpy', 'source a ROS 2 installation, or run `make setup` in a checkout, and use its '
                  '.venv/bin/hand-pose'),
        ('hand_pose_ros.msg', 'build the package (`colcon build` and source it, or `make setup`)'),
    ):  # fmt: skip
        try:
            importlib.import_module(module)
        except ImportError:
            raise CommandError(
                f'this verb needs ROS 2, but {module} cannot be imported: {fix}; '
                '`hand-pose estimate` works without ROS.'
            ) from None
