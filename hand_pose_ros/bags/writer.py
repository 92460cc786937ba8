"""BagWriter: rosbag2 folders (mcap) from messages that are already serialised."""

import errno
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hand_pose_ros.bags.chunks import Compression
from hand_pose_ros.bags.folder_lock import FolderLock, refuse_busy
from hand_pose_ros.bags.mcap_file import McapFile
from hand_pose_ros.bags.metadata import (
    METADATA,
    BagFacts,
    FileFacts,
    TopicFacts,
    latched_qos,
    write_metadata,
)
from hand_pose_ros.bags.schemas import message_text, type_hash
from hand_pose_ros.errors import BagError

# A chunk is closed when it has this many bytes or is this many seconds old, whichever comes first.
CHUNK_BYTES = 4 * 1024 * 1024
CHUNK_SECONDS = 0.5
# Free space that stays: the summary and whoever else lives on the disk need some.
RESERVE = 64 * 1024 * 1024

# Which messages of a topic every file begins with: none, the last one, or all different ones.
Repeat = Literal['never', 'last', 'all']
_MOST_REPEATED = 64
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why nothing more is written.

    Attributes:
        reason: a sentence without its end.
        stamp: time of reception of the first message that was not written, nanoseconds.
    """

    reason: str
    stamp: int


@dataclass(kw_only=True)
class _Topic:
    """What is known of one topic."""

    type_name: str
    repeat: Repeat
    text: bytes
    facts: TopicFacts
    finished: int = 0
    sequence: int = 0
    kept: list[bytes] = field(default_factory=list)

    def keep(self, data: bytes) -> None:
        """Remember a message that later files begin with."""
        if self.repeat == 'last':
            self.kept = [data]
        elif self.repeat == 'all' and data not in self.kept:
            self.kept = [*self.kept[1 - _MOST_REPEATED :], data]


class BagWriter:
    """A rosbag2 folder of mcap files, open for writing; use as a context manager.

    What was written reaches the operating system within half a second as long as messages come
    (``flush`` does it when none come), so a killed process loses no more; ``hand-pose check
    --repair`` gives such a bag its index back. A full disk ends the recording, not the program:
    what fits is kept in a bag that is complete, see ``ending``. Writing from several threads is
    safe.

    Attributes:
        folder: the bag.
        reserve: bytes of the disk that are left free.
        ending: why nothing more is written, None while all is well.
    """

    def __init__(
        self,
        folder: Path,
        *,
        compression: Compression = 'none',
        split_bytes: int = 0,
        split_seconds: float = 0.0,
        reserve: int = RESERVE,
        ros_distro: str = '',
    ) -> None:
        """Create the folder and open its first file.

        Args:
            folder: the bag, which must not exist yet.
            compression: of the chunks: ``lz4`` costs little, ``zstd`` halves thermal images at a
                third of the speed.
            split_bytes: begin a new file when one has so many bytes; 0 = never.
            split_seconds: begin a new file after so many seconds of reception; 0 = never.
            reserve: bytes of the disk to leave free.
            ros_distro: name of the ROS distribution recorded from, kept in the metadata.

        Raises:
            BagError: if the folder exists already or cannot be made.
        """
        self.folder = Path(folder)
        self.ending: Ending | None = None
        self._compression: Compression = compression
        self._split_bytes = split_bytes
        self._split_time = int(split_seconds * 1e9)
        self.reserve = reserve
        self._topics: dict[str, _Topic] = {}
        self._channels: dict[str, int] = {}
        self._facts = BagFacts(distro=ros_distro)
        self._lock = threading.Lock()
        self._chunk_opened = 0.0
        self._file_started: int | None = None
        self._closed = False
        self._make_folder()
        self._folder_lock = FolderLock(self.folder)
        try:
            self._file = self._new_file()
            self._write_metadata()
        except OSError as error:
            self._folder_lock.release()
            self._remove_empty()
            raise BagError(
                f'bag {self.folder} cannot be written ({error.strerror}): name another place.'
            ) from None

    def add_topic(self, topic: str, type_name: str, *, repeat: Repeat = 'never') -> None:
        """Announce a topic, for example ``/thermal/image_raw`` of ``sensor_msgs/msg/Image``.

        Args:
            topic: its name.
            type_name: of its messages.
            repeat: what each split file begins with, so that it can be used alone: the ``last``
                message, or ``all`` different ones of a latched topic (several nodes may each
                have their own).

        Raises:
            BagError: if the topic has another type already or the type is not installed.
        """
        known = self._topics.get(topic)
        if known is not None:
            if known.type_name != type_name:
                raise BagError(f'topic {topic} is {known.type_name} already, not {type_name}.')
            return
        text = message_text(type_name).encode()
        qos = latched_qos() if repeat == 'all' else ''
        facts = TopicFacts(type_name=type_name, type_hash=type_hash(type_name), qos=qos)
        with self._lock:
            self._topics[topic] = _Topic(type_name=type_name, repeat=repeat, text=text, facts=facts)
            self._facts.topics[topic] = facts
            if not self._closed and self.ending is None:
                self._add_channel(topic)

    def write(self, topic: str, data: bytes, stamp: int) -> None:
        """Append one message; after ``close`` it is dropped silently, as a late callback's.

        Args:
            topic: an announced topic.
            data: the serialised message with its four-byte header, as a raw subscription gives it.
            stamp: time of reception, integer nanoseconds.
        """
        entry = self._topics.get(topic)
        if entry is None:
            raise BagError(f'topic {topic} was not announced: call add_topic first.')
        with self._lock:
            if self._closed or self.ending is not None:
                return
            if entry.repeat != 'never':
                entry.keep(data)
            if self._split_due(stamp):
                self._split(stamp)
            if self.ending is None:
                self._append(topic, data, stamp)
            age = time.monotonic() - self._chunk_opened
            if self._file.pending >= CHUNK_BYTES or age >= CHUNK_SECONDS:
                self._close_chunk(stamp)

    def flush(self) -> None:
        """Hand what is waiting to the operating system."""
        with self._lock:
            if not self._closed and self.ending is None:
                self._close_chunk(time.time_ns())

    def note(self, name: str, value: str) -> None:
        """Add something that readers should know to the metadata, under ``custom_data``."""
        with self._lock:
            self._facts.custom[name] = value

    @property
    def counts(self) -> dict[str, int]:
        """Messages written so far by topic; exact after ``close``, even where a disk was full."""
        return {topic: entry.facts.count for topic, entry in self._topics.items()}

    @property
    def free_space(self) -> int:
        """Bytes that the disk has left for us; raises OSError if the folder is gone."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def close(self) -> None:
        """Finish the file and write metadata.yaml; may be called more than once.

        Raises:
            BagError: if the disk takes not even that; what was written can be repaired.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            try:
                if self.ending is None:
                    self._finish_file(time.time_ns())
                self._write_metadata()
            except OSError as error:
                raise BagError(
                    f'bag {self.folder} cannot be finished ({error.strerror}): make room and run '
                    f'`hand-pose check {self.folder} --repair`.'
                ) from None
            finally:
                self._folder_lock.release()

    def discard_if_empty(self) -> bool:
        """Finish the bag, and remove its folder if no message was ever written.

        Returns:
            Whether it is gone. A bag with a message in it stays, and so does a folder into which
            somebody else has put something.

        Raises:
            BagError: see ``close``.
        """
        self.close()
        return not any(self.counts.values()) and self._remove_empty()

    def _remove_empty(self) -> bool:
        """Remove the folder unless it holds more than what an empty bag has."""
        # What was created may not be noted yet: a full disk comes in between.
        first = f'{self.folder.name}_0.mcap'
        own = {METADATA, first, *(file.name for file in self._facts.files)}
        try:
            if not {entry.name for entry in self.folder.iterdir()} <= own:
                return False
            for name in own:
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()
        except OSError:
            # Whoever has come in between keeps it.
            return False
        return True

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            refuse_busy(self.folder)
            raise BagError(
                f'bag folder {self.folder} exists already: remove it or name another.'
            ) from None
        except OSError as error:
            raise BagError(
                f'bag folder {self.folder} cannot be made ({error.strerror}): name another.'
            ) from None

    def _new_file(self) -> McapFile:
        name = f'{self.folder.name}_{len(self._facts.files)}.mcap'
        file = McapFile(self.folder / name, compression=self._compression)
        self._facts.files.append(FileFacts(name=name))
        self._channels = {}
        self._file_started = None
        self._chunk_opened = time.monotonic()
        return file

    def _add_channel(self, topic: str) -> None:
        entry = self._topics[topic]
        schemas = {schema.name: schema.id for schema in self._file.schemas}
        number = schemas.get(entry.type_name)
        if number is None:
            number = self._file.add_schema(entry.type_name, 'ros2msg', entry.text)
        metadata = {
            'offered_qos_profiles': entry.facts.qos,
            'topic_type_hash': entry.facts.type_hash,
        }
        self._channels[topic] = self._file.add_channel(topic, 'cdr', number, metadata)

    def _append(self, topic: str, data: bytes, stamp: int) -> None:
        entry = self._topics[topic]
        if not self._file.pending:
            self._chunk_opened = time.monotonic()
        if self._file_started is None:
            self._file_started = stamp
        self._file.add_message(self._channels[topic], data, stamp, entry.sequence)
        entry.sequence += 1
        entry.facts.count += 1

    def _close_chunk(self, stamp: int) -> None:
        """Write the open chunk; a disk that takes it no more ends the recording."""
        try:
            if self._file.free_space - self._file.pending < self.reserve:
                raise OSError(errno.ENOSPC, f'less than {self.reserve / 1e6:.0f} MB are left')
            self._file.close_chunk()
        except OSError as error:
            self._end(error, stamp)
            self._finish_file(stamp)
        self._chunk_opened = time.monotonic()

    def _split_due(self, stamp: int) -> bool:
        if self._file_started is None:
            return False
        too_large = self._split_bytes and self._file.size >= self._split_bytes
        too_long = self._split_time and stamp - self._file_started >= self._split_time
        return bool(too_large or too_long)

    def _split(self, stamp: int) -> None:
        """Finish the file and begin the next with what never changes."""
        self._finish_file(stamp)
        if self.ending is not None:
            return
        try:
            self._file = self._new_file()
            self._write_metadata()
        except OSError as error:
            self._end(error, stamp)
            return
        for topic in self._topics:
            self._add_channel(topic)
        for topic, entry in self._topics.items():
            for data in entry.kept:
                self._append(topic, data, stamp)

    def _finish_file(self, stamp: int) -> None:
        """Complete the current file; gives up what a full disk has no room for."""
        try:
            given_up = self._file.finish()
        except OSError as error:
            self._end(error, stamp)
            return
        start, end = self._file.span
        counts = self._file.counts
        for topic, channel in self._channels.items():
            entry = self._topics[topic]
            entry.finished += counts[channel]
            entry.facts.count = entry.finished
        self._facts.files[-1] = FileFacts(
            name=self._file.path.name, start=start, end=end, count=sum(counts.values())
        )
        if given_up and self.ending is None:
            self._end(OSError(errno.ENOSPC, 'no room for the end of the file'), stamp)

    def _end(self, error: OSError, stamp: int) -> None:
        """Note that nothing more is written, and why."""
        why = 'the disk is full' if error.errno in _FULL else 'the disk takes no more'
        self.ending = Ending(reason=f'{why} ({error.strerror})', stamp=stamp)
        self._facts.custom['ended'] = f'{self.ending.reason} at {stamp}'

    def _write_metadata(self) -> None:
        write_metadata(self.folder, self._facts)

    def __enter__(self) -> 'BagWriter':
        """Return the open writer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Finish the bag, also after an error: what was recorded stays readable."""
        self.close()
