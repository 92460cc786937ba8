"""Reads bags (rosbag2 of any storage, ROS 1) without ROS, one message at a time."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import storage_mcap
from rosbags.typesys import Stores, get_typestore

from hand_pose_ros.bags.chunks import LARGEST_CHUNK, unpack
from hand_pose_ros.bags.metadata import read_metadata, unnamed_files
from hand_pose_ros.errors import BagError

_HEADER = struct.Struct('<iI')


@dataclass(frozen=True, kw_only=True)
class BagMessage:
    """One recorded message.

    Attributes:
        topic: its topic.
        type_name: its type, for example ``sensor_msgs/msg/Image``.
        stamp: time of reception, integer nanoseconds.
        data: the serialised message with its four-byte header.
    """

    topic: str
    type_name: str
    stamp: int
    data: bytes


def header_stamp(data: bytes) -> int:
    """Read the acquisition stamp (ns) of a serialised message that starts with a Header.

    Raises:
        BagError: if the message is too short or not little endian.
    """
    if len(data) < 12 or data[1] != 1:
        raise BagError('a message is not little-endian CDR that starts with a header stamp.')
    seconds, nanoseconds = _HEADER.unpack_from(data, 4)
    return seconds * 1_000_000_000 + nanoseconds


def _bounded(stored: str, data: bytes, size: int) -> bytes:
    return unpack(data, stored, size)


def _sentence(error: Exception) -> str:
    """Return what a reader of somebody else complains about, in one line without a full stop."""
    return ' '.join((str(error) or type(error).__name__).split()).rstrip('.')


# rosbags unpacks chunks without a bound: a few kilobytes could fill the memory.
storage_mcap.DECOMPRESSORS.update({name: partial(_bounded, name) for name in ('', 'lz4', 'zstd')})


class BagReader:
    """A bag open for reading; use as a context manager. Memory use does not grow with the bag."""

    def __init__(self, folder: Path) -> None:
        """Open a rosbag2 folder or a ROS 1 ``.bag`` file.

        Raises:
            BagError: if it is missing, incomplete or not a bag.
        """
        self.folder = Path(folder)
        if not self.folder.exists():
            raise BagError(f'bag {self.folder} does not exist: check the path.')
        stated = read_metadata(self.folder) if self.folder.is_dir() else None
        try:
            # Bags of older releases in sqlite3 do not say what their types are made of.
            known = get_typestore(Stores.ROS2_KILTED)
            self._reader = AnyReader([self.folder], default_typestore=known)
            self._reader.open()
        except Exception as error:
            # A damaged or hostile file fails in whatever way its bytes lead to.
            raise BagError(
                f'bag {self.folder} cannot be read ({_sentence(error)}): if its recording was '
                f'interrupted, `hand-pose check {self.folder} --repair` makes it whole.'
            ) from None
        try:
            self._check_chunks()
            if stated is not None:
                self._check_finished(stated)
        except BagError:
            self._reader.close()
            raise

    @property
    def topics(self) -> dict[str, str]:
        """Types by topic."""
        return {entry.topic: entry.msgtype for entry in self._reader.connections}

    @property
    def span(self) -> tuple[int, int]:
        """Times of reception of the first and the last message, nanoseconds."""
        # rosbags counts the end behind the last message.
        return self._reader.start_time, self._reader.end_time - 1

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of messages by topic."""
        return {entry.topic: entry.msgcount for entry in self._reader.connections}

    def messages(
        self, *topics: str, start: int | None = None, stop: int | None = None
    ) -> Iterator[BagMessage]:
        """Yield the messages of the named topics (of all when none is named) in time order.

        Args:
            *topics: names of topics; those the bag does not have are left out.
            start: yield only messages received at or after this time (ns).
            stop: yield only messages received before this time (ns).

        Raises:
            BagError: when it comes to a place of the bag that is damaged.
        """
        chosen = [
            entry for entry in self._reader.connections if not topics or entry.topic in topics
        ]
        if not chosen:
            return
        messages = self._reader.messages(connections=chosen, start=start, stop=stop)
        while True:
            try:
                connection, stamp, data = next(messages)
            except StopIteration:
                return
            except Exception as error:
                # Storage, compression and index each fail in their own way.
                raise BagError(
                    f'bag {self.folder} is damaged ({_sentence(error)}): '
                    f'`hand-pose check {self.folder} --repair` keeps what is whole.'
                ) from None
            yield BagMessage(
                topic=connection.topic, type_name=connection.msgtype, stamp=stamp, data=bytes(data)
            )

    def decode(self, message: BagMessage) -> Any:
        """Return a recorded message as an object with the fields of its type."""
        return self._reader.deserialize(message.data, message.type_name)

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    @property
    def mcap_files(self) -> list[storage_mcap.McapReader]:
        """The open mcap files that the bag is made of, in order; none for other storages."""
        storages = [getattr(reader, 'storage', None) for reader in self._reader.readers]
        files = [file for one in storages for file in getattr(one, 'storages', [one])]
        return [file for file in files if isinstance(file, storage_mcap.McapReader)]

    @property
    def packs_messages(self) -> bool:
        """Whether each message is compressed by itself."""
        storages = [getattr(reader, 'storage', None) for reader in self._reader.readers]
        return any(one is not None and one.metadata.compression_mode for one in storages)

    def _check_finished(self, stated: dict[str, Any]) -> None:
        """Refuse a bag whose metadata is older than its files: what came last would be missing."""
        names = stated['relative_file_paths']
        found = unnamed_files(self.folder, names)
        what = f'its metadata.yaml does not name {", ".join(found)}'
        if not found:
            count = sum(
                file.statistics.message_count for file in self.mcap_files if file.statistics
            )
            told = stated.get('message_count')
            if isinstance(told, int) and count <= told:
                return
            what = f'its files hold {count} messages, its metadata.yaml tells of {told}'
        raise BagError(
            f'the recording of bag {self.folder} was interrupted, {what}: '
            f'`hand-pose check {self.folder} --repair` makes it whole.'
        )

    def _check_chunks(self) -> None:
        """Refuse chunks that are said to be larger than their file or than what is read."""
        for file in self.mcap_files:
            size = file.path.stat().st_size
            for chunk in file.chunks:
                packed = chunk.chunk_start_offset + chunk.compressed_size
                if packed > size or chunk.uncompressed_size > LARGEST_CHUNK:
                    raise BagError(
                        f'{file.path} has a chunk that says it is {chunk.compressed_size} '
                        f'bytes, {chunk.uncompressed_size} unpacked: the file is damaged or '
                        'was made to fill the memory.'
                    )

    def __enter__(self) -> 'BagReader':
        """Return the open reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the files."""
        self.close()
