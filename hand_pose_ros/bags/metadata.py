"""metadata.yaml of a rosbag2 folder: written atomically, read with suspicion."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from hand_pose_ros.errors import BagError

METADATA = 'metadata.yaml'
_VERSION = 9
# A thousand split files with as many topics are far below.
_LARGEST = 16 * 1024 * 1024
_SPLIT = re.compile(r'(?P<stem>.+)_(?P<number>[0-9]{1,9})(?P<suffix>\.(mcap|db3)(\.zstd)?)\Z')
_FOREVER = {'sec': 9223372036, 'nsec': 854775807}
# What a player has to offer so that late subscribers still get the message.
_LATCHED_QOS: dict[str, Any] = {
    'history': 'keep_last',
    'depth': 1,
    'reliability': 'reliable',
    'durability': 'transient_local',
    'deadline': dict(_FOREVER),
    'lifespan': dict(_FOREVER),
    'liveliness': 'automatic',
    'liveliness_lease_duration': dict(_FOREVER),
    'avoid_ros_namespace_conventions': False,
}


@dataclass(kw_only=True)
class TopicFacts:
    """One topic of a bag.

    Attributes:
        type_name: for example ``sensor_msgs/msg/Image``.
        type_hash: RIHS01 hash, or empty.
        qos: ``offered_qos_profiles`` as YAML, or empty.
        count: messages.
    """

    type_name: str
    type_hash: str = ''
    qos: str = ''
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """One file of a bag.

    Attributes:
        name: in the folder.
        start, end: times of reception of the first and last message, nanoseconds; 0 when empty.
        count: messages.
    """

    name: str
    start: int = 0
    end: int = 0
    count: int = 0


@dataclass(kw_only=True)
class BagFacts:
    """What metadata.yaml says.

    Attributes:
        storage: ``mcap`` or ``sqlite3``.
        files: in order.
        topics: by name.
        distro: ROS distribution recorded from, or empty.
        custom: what else is to be known, by name.
    """

    storage: str = 'mcap'
    files: list[FileFacts] = field(default_factory=list)
    topics: dict[str, TopicFacts] = field(default_factory=dict)
    distro: str = ''
    custom: dict[str, str] = field(default_factory=dict)


def latched_qos() -> str:
    """Return ``offered_qos_profiles`` of a topic whose last message is kept for late comers."""
    return yaml.safe_dump([_LATCHED_QOS], sort_keys=False)


def write_metadata(folder: Path, facts: BagFacts) -> None:
    """Write metadata.yaml so that there is always a whole one, the old or the new.

    Raises:
        OSError: if it cannot be written; the old one is still there.
    """
    text = yaml.safe_dump(_content(facts), sort_keys=False)
    new = folder / f'.{METADATA}.new'
    try:
        with new.open('w', encoding='utf-8') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / METADATA)
    except OSError:
        new.unlink(missing_ok=True)
        raise


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what ``rosbag2_bagfile_information`` says, file names checked.

    Raises:
        BagError: if it is missing, no metadata, or names a file outside of the folder.
    """
    path = folder / METADATA
    try:
        if path.stat().st_size > _LARGEST:
            raise BagError(f'{path} has more than {_LARGEST} bytes: it is no metadata of a bag.')
        text = path.read_text(encoding='utf-8')
        content = yaml.safe_load(text)
        information = content['rosbag2_bagfile_information']
        names = information['relative_file_paths']
        if not isinstance(names, list):
            raise TypeError('relative_file_paths is no list')
    except FileNotFoundError:
        raise BagError(
            f'bag {folder} has no {METADATA}: `hand-pose check {folder} --repair` makes one.'
        ) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, KeyError, TypeError,
            ValueError) as error:  # fmt: skip
        raise BagError(
            f'{path} is no metadata of a bag ({_first_line(error)}): '
            f'`hand-pose check {folder} --repair` makes a new one.'
        ) from None
    for name in names:
        _check_inside(folder, name)
    return information


def unnamed_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the split files of a bag, by number, that its metadata does not name.

    That is how a recording is left that was killed between two files.

    Args:
        folder: the bag.
        names: ``relative_file_paths``.
    """
    known = [match for name in names if (match := _SPLIT.match(PurePosixPath(name).name))]
    stems = {(match['stem'], match['suffix']) for match in known}
    numbers = {int(match['number']) for match in known}
    found = [match for path in folder.iterdir() if (match := _SPLIT.match(path.name))]
    unnamed = [
        match
        for match in found
        if (match['stem'], match['suffix']) in stems and int(match['number']) not in numbers
    ]
    return [match[0] for match in sorted(unnamed, key=lambda match: int(match['number']))]


def _check_inside(folder: Path, name: Any) -> None:
    """Refuse names that lead out of the folder, as text or as links."""
    path = folder / METADATA
    advice = f'`hand-pose check {folder} --repair` makes a new one from the files inside.'
    if not isinstance(name, str) or not name or '\0' in name:
        raise BagError(f'{path} names {name!r} as a file: {advice}')
    parts = PurePosixPath(name)
    if parts.is_absolute() or '..' in parts.parts or '\\' in name:
        raise BagError(f'{path} names {name!r}, which leads out of the bag: {advice}')
    # Old bags name the folder as well; readers take the last part.
    file = folder / parts.name
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        raise BagError(f'{file} is a link to a file outside of the bag: copy the file instead.')


def _content(facts: BagFacts) -> dict[str, Any]:
    topics = [
        {
            'topic_metadata': {
                'name': name,
                'type': entry.type_name,
                'serialization_format': 'cdr',
                'offered_qos_profiles': yaml.safe_load(entry.qos) if entry.qos else [],
                'type_description_hash': entry.type_hash,
            },
            'message_count': entry.count,
        }
        for name, entry in facts.topics.items()
    ]
    filled = [entry for entry in facts.files if entry.count]
    information = {
        'version': _VERSION,
        'storage_identifier': facts.storage,
        **_span(filled),
        'topics_with_message_count': topics,
        'compression_format': '',
        'compression_mode': '',
        'relative_file_paths': [entry.name for entry in facts.files],
        'files': [{'path': entry.name, **_span([entry])} for entry in facts.files],
        'custom_data': facts.custom or None,
        'ros_distro': facts.distro,
    }
    return {'rosbag2_bagfile_information': information}


def _span(files: Iterable[FileFacts]) -> dict[str, Any]:
    files = list(files)
    start = min((entry.start for entry in files), default=0)
    end = max((entry.end for entry in files), default=0)
    return {
        'duration': {'nanoseconds': max(0, end - start)},
        'starting_time': {'nanoseconds_since_epoch': start},
        'message_count': sum(entry.count for entry in files),
    }


def _first_line(error: Exception) -> str:
    return f'{type(error).__name__}: {error}'.splitlines()[0]
