"""Bags in sqlite3 that were left with a journal: opened once for writing, in a copy."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from hand_pose_ros.bags.metadata import FileFacts, TopicFacts
from hand_pose_ros.errors import BagError

_JOURNALS = ('-journal', '-wal')
_ALL_JOURNALS = (*_JOURNALS, '-shm')


def needs_recovery(path: Path) -> bool:
    """Whether a database was not closed by the one who wrote it."""
    return any(_beside(path, suffix).exists() for suffix in _JOURNALS)


def recover(path: Path, new: Path) -> int:
    """Copy a database with its journal and let sqlite finish or take back what was under way.

    Args:
        path: the database.
        new: the recovered copy, on the disk when this returns.

    Returns:
        Messages in it.

    Raises:
        BagError: if sqlite cannot read it even so; the original is untouched.
    """
    for suffix in ('', *_JOURNALS):
        if _beside(path, suffix).exists():
            shutil.copyfile(_beside(path, suffix), _beside(new, suffix))
    try:
        with closing(sqlite3.connect(new)) as database:
            database.execute('PRAGMA journal_mode=DELETE').fetchall()
            (state,) = database.execute('PRAGMA quick_check(1)').fetchone()
            if state != 'ok':
                raise sqlite3.DatabaseError(state)
            (count,) = database.execute('SELECT count(*) FROM messages').fetchone()
    except sqlite3.Error as error:
        _remove(new, ('', *_ALL_JOURNALS))
        raise BagError(
            f'{path} cannot be recovered by sqlite ({error}): try its command `.recover`.'
        ) from None
    _remove(new, _ALL_JOURNALS)
    with new.open('rb') as file:
        os.fsync(file.fileno())
    return count


def move_journals(path: Path, target: Path) -> None:
    """Move the journals of a database to where its old content is kept."""
    for suffix in _ALL_JOURNALS:
        if _beside(path, suffix).exists():
            _beside(path, suffix).replace(_beside(target, suffix))


def facts(path: Path) -> tuple[FileFacts, dict[str, TopicFacts]]:
    """Return what a database holds; raises BagError if it is no bag."""
    try:
        address = f'{path.resolve().as_uri()}?mode=ro&immutable=1'
        with closing(sqlite3.connect(address, uri=True)) as database:
            start, end, count = database.execute(
                'SELECT coalesce(min(timestamp), 0), coalesce(max(timestamp), 0), count(*) '
                'FROM messages'
            ).fetchone()
            topics = {
                name: TopicFacts(type_name=type_name, count=number)
                for name, type_name, number in database.execute(
                    'SELECT name, type, count(messages.id) FROM topics LEFT JOIN messages '
                    'ON topics.id == messages.topic_id GROUP BY topics.id ORDER BY topics.id'
                )
            }
    except sqlite3.Error as error:
        raise BagError(f'{path} cannot be read by sqlite ({error}).') from None
    return FileFacts(name=path.name, start=start, end=end, count=count), topics


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path, suffixes: tuple[str, ...]) -> None:
    for suffix in suffixes:
        _beside(path, suffix).unlink(missing_ok=True)
