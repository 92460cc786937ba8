"""Which annotated sessions a folder holds, and which of them belong to a split."""

from pathlib import Path
from typing import Any

import yaml

from hand_pose_ros.errors import DataError

SPLITS_FILE = 'splits.yaml'
_SPLITS = ('train', 'val', 'test')
_EXAMPLE = 'train: [subject_01/a, subject_02/a], test: [subject_03/a]'


def find_sessions(root: Path) -> dict[str, Path]:
    """Return the bags in a folder by their relative names; a bag itself is the only one.

    Raises:
        DataError: if there is none.
    """
    if not root.is_dir():
        raise DataError(f'{root} does not exist: record a session with hand-pose record')
    if (root / 'metadata.yaml').is_file():
        return {root.name: root}
    found = sorted(path.parent for path in root.glob('**/metadata.yaml'))
    sessions = {
        str(path.relative_to(root)): path
        for path in found
        if not any(part.endswith('_labels') for part in path.relative_to(root).parts)
    }
    if not sessions:
        raise DataError(f'{root} holds no session (a bag): record one with hand-pose record')
    return sessions


def subject_of(name: str) -> str:
    """Return whose hands a session shows: the first folder of its relative name."""
    return name.split('/')[0]


def sessions_of_split(root: Path, sessions: dict[str, Path], split: str) -> list[Path]:
    """Return the sessions of a split in the order of ``splits.yaml``; without the file all.

    Raises:
        DataError: if the file is none, names a session that is not there, or lets a session or a
            subject appear in two splits.
    """
    path = root / SPLITS_FILE
    if not path.is_file():
        return list(sessions.values())
    listed = _read(path)
    owners: dict[str, str] = {}
    for name, members in listed.items():
        for member in members:
            if member not in sessions:
                raise DataError(
                    f'{path} names {member!r}, which is no session of {root}: use one of '
                    f'{", ".join(sessions)}'
                )
            for key in dict.fromkeys((member, subject_of(member))):
                if owners.setdefault(key, name) != name:
                    raise DataError(
                        f'{path} has {key!r} in {owners[key]} and in {name}: what is trained on '
                        'must not be measured on, put each session and subject into one split'
                    )
    if not listed.get(split):
        raise DataError(f'{path} has no session in split {split}: add some, as in {_EXAMPLE}')
    return [sessions[member] for member in listed[split]]


def _read(path: Path) -> dict[str, list[str]]:
    try:
        content: Any = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f'{path} cannot be read ({error}): write it as {_EXAMPLE}') from None
    good = isinstance(content, dict) and all(
        name in _SPLITS
        and isinstance(members, list)
        and all(isinstance(member, str) for member in members)
        for name, members in content.items()
    )
    if not good:
        raise DataError(f'{path} is no list of sessions by split: write it as {_EXAMPLE}')
    return dict(content)
