"""Which annotated sessions a folder holds, which belong to a split, and that splits stay apart."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.session import Session

SPLITS_FILE = 'splits.yaml'
_SPLITS = ('train', 'val', 'test')
_EXAMPLE = 'train: [subject_01/a, subject_02/a], test: [subject_03/a]'


def find_sessions(root: Path) -> dict[str, Path]:
    """Return the bags in a folder by their relative names; a bag itself is the only one.

    Args:
        root: a bag, a folder that holds bags at any depth, or a pattern of such, for example
            ``sessions/subject_0[12]``.

    Raises:
        DataError: if there is none.
    """
    base = _base(root)
    if base == root:
        places = [root] if root.is_dir() else []
    else:
        places = sorted(path for path in base.glob(str(root.relative_to(base))) if path.is_dir())
    if not places:
        raise DataError(f'{root} does not exist: record a session with hand-pose record')
    if places == [root] and (root / 'metadata.yaml').is_file():
        return {root.name: root}
    found = {path.parent for place in places for path in place.glob('**/metadata.yaml')}
    sessions = {
        str(path.relative_to(base)): path
        for path in sorted(found)
        if not any(part.endswith('_labels') for part in path.relative_to(base).parts)
    }
    if not sessions:
        raise DataError(f'{root} holds no session (a bag): record one with hand-pose record')
    return sessions


def _base(root: Path) -> Path:
    """Return the folder before the first part of a path that is a pattern; without one itself."""
    for folder in (*reversed(root.parents), root):
        if set('*?[') & set(folder.name) and not folder.exists():
            return folder.parent
    return root


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


def check_apart(trained: Sequence[Path], measured: Sequence[Path]) -> None:
    """Refuse to measure on what is trained on.

    Args:
        trained, measured: sessions.

    Raises:
        DataError: if two of them are the same, copies or parts of one recording, or of one subject
            (the folder named ``subject...`` that they lie in).
    """
    with ExitStack() as stack:
        others = {path: stack.enter_context(Session.open(path)) for path in measured}
        for path in trained:
            with Session.open(path) as session:
                for other in others.values():
                    _check_pair(session, other)


def _check_pair(trained: Session, measured: Session) -> None:
    subject = _subject(trained.path)
    if trained.path.resolve() == measured.path.resolve():
        reason = 'is trained on and measured on'
    elif subject is not None and subject == _subject(measured.path):
        reason = f'shows the hands of {subject}, as {measured.path} does'
    elif _same_images(trained, measured):
        reason = f'has the same images as {measured.path}'
    else:
        return
    raise DataError(
        f'{trained.path} {reason}: put each session and subject into one split, in {SPLITS_FILE} '
        f'({_EXAMPLE}) or by the folders of train and validation'
    )


def _subject(session: Path) -> str | None:
    folders = session.resolve().parts
    return next((name for name in reversed(folders) if name.startswith('subject')), None)


def _same_images(one: Session, other: Session) -> bool:
    """Whether an image of a stamp that both recordings have is the same."""
    for name in one.streams.keys() & other.streams.keys():
        common, places, others = np.intersect1d(
            one.streams[name].stamps, other.streams[name].stamps, return_indices=True
        )
        for entry in (0, -1) if len(common) else ():
            pair = one.image(name, places[entry]), other.image(name, others[entry])
            if np.array_equal(pair[0].image, pair[1].image, equal_nan=True):
                return True
    return False


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
