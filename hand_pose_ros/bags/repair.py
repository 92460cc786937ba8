"""Repair of bags whose recording was killed: what is whole is kept, indexed and described anew."""

import os
import re
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from hand_pose_ros.bags import mcap_scan, sqlite_repair
from hand_pose_ros.bags.folder_lock import FolderLock
from hand_pose_ros.bags.metadata import (
    METADATA,
    BagFacts,
    FileFacts,
    TopicFacts,
    read_metadata,
    write_metadata,
)
from hand_pose_ros.bags.salvage import Salvage, salvage
from hand_pose_ros.errors import BagError

# What a damaged file is called once its repaired copy has taken its place.
DAMAGED = '.damaged'
_NEW = '.repairing'
_NUMBER = re.compile(r'(\d+)(?=\.\w+\Z)')
_ROOM = 64 * 1024 * 1024

Facts = tuple[FileFacts, dict[str, TopicFacts]]


@dataclass(kw_only=True)
class Repair:
    """What was done to a bag.

    Attributes:
        path: the bag.
        files: what became of each damaged file, by name; its old content is beside it, its name
            with ``.damaged`` added.
        metadata: ``kept``, ``rewritten`` or ``made``.
        messages: in the bag now.
    """

    path: Path
    files: dict[str, Salvage] = field(default_factory=dict)
    metadata: str = 'kept'
    messages: int = 0

    @property
    def changed(self) -> bool:
        """Whether there was anything to repair."""
        return bool(self.files) or self.metadata != 'kept'

    def as_dict(self) -> dict[str, Any]:
        """Return all of it for a JSON file."""
        files = {name: asdict(entry) for name, entry in self.files.items()}
        return {'metadata': self.metadata, 'messages': self.messages, 'files': files}


def repair(path: Path, *, thorough: bool = False) -> Repair:
    """Make a damaged bag whole; does nothing to one that is.

    A damaged file is never changed: its repaired copy is completed beside it and put on the disk
    before it takes the file's place, and the old one stays as ``<file>.damaged``. Memory use is
    that of one chunk. An interrupted repair is simply repeated.

    Args:
        path: a rosbag2 folder (mcap or sqlite3), or one mcap file.
        thorough: also check the content of files that look complete.

    Raises:
        BagError: if there is nothing to repair it from, it is being written, or the disk is full.
    """
    path = Path(path)
    if path.is_file() and path.suffix == '.mcap':
        result = Repair(path=path)
        _, topics = _repaired_mcap(path, result, thorough=thorough)
        result.messages = sum(entry.count for entry in topics.values())
        return result
    if not path.is_dir():
        raise BagError(f'bag {path} does not exist: check the path.')
    lock = FolderLock(path)
    try:
        return _repair_folder(path, thorough=thorough)
    except OSError as error:
        raise BagError(
            f'bag {path} cannot be repaired ({error.strerror}): nothing was changed; make room '
            'for a copy and repeat.'
        ) from None
    finally:
        lock.release()


def _repair_folder(folder: Path, *, thorough: bool) -> Repair:
    _restore(folder)
    result = Repair(path=folder)
    storage, paths = _files(folder)
    repaired: list[Facts] = []
    for path in paths:
        if storage == 'mcap':
            repaired.append(_repaired_mcap(path, result, thorough=thorough))
        else:
            repaired.append(_repaired_sqlite(path, result))
    facts = BagFacts(storage=storage, files=[file for file, _ in repaired])
    for _, topics in repaired:
        for name, entry in topics.items():
            known = facts.topics.setdefault(name, replace(entry, count=0))
            known.count += entry.count
    result.messages = sum(file.count for file in facts.files)
    _describe(folder, facts, result)
    return result


def _swap(old: Path, new: Path) -> None:
    """Put a complete new file in the place of an old one, which stays as ``<file>.damaged``."""
    kept = old.with_name(old.name + DAMAGED)
    if not kept.exists():
        try:
            os.link(old, kept)
        except OSError:
            # A file system without links: for a moment there is the copy only, see _restore.
            old.rename(kept)
    new.replace(old)
    descriptor = os.open(old.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _restore(folder: Path) -> None:
    """Take back what an interrupted repair left."""
    for path in folder.glob(f'*{_NEW}*'):
        path.unlink()
    for path in folder.glob(f'*{DAMAGED}'):
        original = path.with_name(path.name.removesuffix(DAMAGED))
        if original.suffix in ('.mcap', '.db3') and not original.exists():
            path.rename(original)


def _files(folder: Path) -> tuple[str, list[Path]]:
    """Return storage and files of a bag in the order they were written."""
    for storage, suffix in (('mcap', '.mcap'), ('sqlite3', '.db3')):
        paths = [
            path
            for path in folder.glob(f'*{suffix}')
            if path.is_file() and path.resolve().is_relative_to(folder.resolve())
        ]
        if paths:
            return storage, sorted(paths, key=_order)
    raise BagError(f'bag {folder} holds no mcap or sqlite3 file: there is nothing to repair.')


def _order(path: Path) -> tuple[int, str]:
    number = _NUMBER.search(path.name)
    return int(number[1]) if number else 0, path.name


def _repaired_mcap(path: Path, result: Repair, *, thorough: bool) -> Facts:
    known = mcap_scan.summary(path)
    if known is not None and not (thorough and _is_damaged(path)):
        return known
    _require_room(path)
    new = path.with_name(path.name + _NEW)
    new.unlink(missing_ok=True)
    kept, file, topics = salvage(path, new)
    _swap(path, new)
    result.files[path.name] = kept
    return file, topics


def _is_damaged(path: Path) -> bool:
    """Read a whole file whose summary is fine, for the content of its chunks."""
    with path.open('rb') as file:
        return any(not mcap_scan.is_intact(file, frame) for frame in mcap_scan.frames(file))


def _repaired_sqlite(path: Path, result: Repair) -> Facts:
    if sqlite_repair.needs_recovery(path):
        _require_room(path)
        new = path.with_name(path.name + _NEW)
        messages = sqlite_repair.recover(path, new)
        # An old journal beside a new database would be taken for its own.
        sqlite_repair.move_journals(path, path.with_name(path.name + DAMAGED))
        _swap(path, new)
        result.files[path.name] = Salvage(messages=messages)
    return sqlite_repair.facts(path)


def _require_room(path: Path) -> None:
    needed, free = path.stat().st_size + _ROOM, shutil.disk_usage(path.parent).free
    if free < needed:
        raise BagError(
            f'{path} is repaired into a copy, which needs {needed / 1e9:.1f} GB, but only '
            f'{free / 1e9:.1f} GB are free: make room and repeat.'
        )


def _describe(folder: Path, facts: BagFacts, result: Repair) -> None:
    """Write metadata.yaml if the one there does not say what the files hold."""
    path = folder / METADATA
    existed = path.exists()
    try:
        stated: dict[str, Any] = read_metadata(folder)
    except BagError:
        stated = {}
        if existed:
            shutil.copy2(path, path.with_name(METADATA + DAMAGED))
    if stated and _agrees(stated, facts):
        return
    facts.distro = str(stated.get('ros_distro') or '')
    custom = stated.get('custom_data')
    facts.custom = {str(k): str(v) for k, v in custom.items()} if isinstance(custom, dict) else {}
    facts.custom['repaired'] = ', '.join(result.files) or METADATA
    write_metadata(folder, facts)
    result.metadata = 'rewritten' if existed else 'made'


def _agrees(stated: dict[str, Any], facts: BagFacts) -> bool:
    try:
        counts = {
            entry['topic_metadata']['name']: entry['message_count']
            for entry in stated['topics_with_message_count']
        }
        names = [Path(name).name for name in stated['relative_file_paths']]
        return (
            counts == {name: entry.count for name, entry in facts.topics.items()}
            and names == [entry.name for entry in facts.files]
            and stated['message_count'] == sum(entry.count for entry in facts.files)
            and stated['storage_identifier'] == facts.storage
            and isinstance(stated['duration']['nanoseconds'], int)
            and isinstance(stated['starting_time']['nanoseconds_since_epoch'], int)
        )
    except (KeyError, TypeError, AttributeError):
        return False
