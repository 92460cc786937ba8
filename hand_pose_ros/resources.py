"""Finds the files that ship with the package: configuration, RViz views, launch files and data."""

import os
import sys
from pathlib import Path

from hand_pose_ros.errors import HandPoseError

_PACKAGE = 'hand_pose_ros'
_CHECKOUT = Path(__file__).resolve().parent.parent


def share_folders() -> list[Path]:
    """Return the folders that may hold shared files, in the order they are searched.

    The ament prefixes of the environment come first (a ROS installation), then the Python
    environment (a virtual environment that nobody activated), then the checkout.
    """
    prefixes = [
        prefix for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if prefix
    ]
    shares = [Path(prefix) / 'share' / _PACKAGE for prefix in (*prefixes, sys.prefix)]
    return [*shares, _CHECKOUT]


def share_file(relative: str) -> Path:
    """Return the path of a shared file or folder such as ``config/simulated_head_rig.yaml``.

    Raises:
        HandPoseError: if the path leaves the shared folders or exists in none of them.
    """
    path = Path(relative)
    if path.is_absolute() or '..' in path.parts:
        raise HandPoseError(f'shared file {relative!r} must be a relative path without "..".')
    folders = share_folders()
    for folder in folders:
        if (folder / path).exists():
            return folder / path
    searched = ', '.join(str(folder) for folder in folders)
    raise HandPoseError(
        f'shared file {relative!r} is in none of {searched}; run `make setup` again.'
    )


def asset(name: str) -> Path:
    """Return the path of a data file of the package, such as ``hand_right.npz``.

    Raises:
        HandPoseError: if there is no such file.
    """
    path = Path(__file__).parent / 'assets' / name
    if Path(name).name != name or not path.is_file():
        raise HandPoseError(
            f'package data {name!r} is not in {path.parent}; run `make setup` again.'
        )
    return path
