"""Random access: single messages of a bag without reading what lies around them."""

import os
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rosbags.rosbag2.storage_mcap import McapReader

from hand_pose_ros.bags.chunks import MESSAGE, MESSAGE_HEAD, RECORD, unpack
from hand_pose_ros.bags.reader import BagMessage, BagReader, header_stamp
from hand_pose_ros.errors import BagError

Stamps = NDArray[np.int64]

_INDEX_HEAD = struct.Struct('<BQHI')
_ENTRY = np.dtype([('stamp', '<u8'), ('place', '<u8')])
_PLACE = np.dtype(
    [('file', 'i4'), ('stamp', 'i8'), ('chunk', 'i4'), ('place', 'i8'), ('channel', 'i4')]
)
_INDEX = 0x07
# Bytes of a chunk record before its packed content, the name of the compression left out.
_CHUNK_HEAD = RECORD.size + 40
# Of a message, what the stamp of its header is read from.
_STAMP_BYTES = 12
# Unpacked chunks that are kept: images of one set lie in as many at most.
_KEPT = 4


class MessagePlaces(Protocol):
    """Messages of some topics by their number in the order they were received."""

    def received(self, topic: str) -> Stamps:
        """Return the times of reception (N,) of a topic's messages, nanoseconds."""

    def stamps(self, topic: str) -> Stamps:
        """Return the stamps (N,) of the headers of a topic's messages, nanoseconds."""

    def read(self, topic: str, number: int) -> BagMessage:
        """Read a message.

        Raises:
            BagError: if it is damaged.
        """


def message_places(reader: BagReader, *topics: str) -> MessagePlaces:
    """Return where the messages of some topics are; the bag must stay open.

    An mcap file with an index tells it; of other bags all messages are read once.

    Raises:
        BagError: if the bag is damaged.
    """
    files = reader.mcap_files
    indexed = bool(files) and all(
        file.chunks and all(chunk.message_index_offsets for chunk in file.chunks) for file in files
    )
    if indexed and not reader.packs_messages:
        return _IndexedPlaces(reader, set(topics))
    return _ScannedPlaces(reader, topics)


class _ScannedPlaces:
    """Of a bag without an index: times are kept, messages are read again."""

    def __init__(self, reader: BagReader, topics: Sequence[str]) -> None:
        self._reader = reader
        self._lock = Lock()  # a bag has one place it is read at
        times: dict[str, list[tuple[int, int]]] = {topic: [] for topic in topics}
        for message in reader.messages(*topics):
            times[message.topic].append((message.stamp, header_stamp(message.data)))
        self._times = {
            topic: np.array(rows, np.int64).reshape(-1, 2) for topic, rows in times.items()
        }

    def received(self, topic: str) -> Stamps:
        return self._times[topic][:, 0]

    def stamps(self, topic: str) -> Stamps:
        return self._times[topic][:, 1]

    def read(self, topic: str, number: int) -> BagMessage:
        received, stamp = self._times[topic][number].tolist()
        with self._lock:
            for message in self._reader.messages(topic, start=received, stop=received + 1):
                if header_stamp(message.data) == stamp:
                    return message
        raise BagError(f'bag {self._reader.folder} changed: message {number} of {topic} is gone.')


class _IndexedPlaces:
    """Where the messages of some topics lie in the mcap files of a bag.

    Of uncompressed bags only the wanted message is read, of others its chunk. Reading is safe
    from several threads.
    """

    def __init__(self, reader: BagReader, topics: set[str]) -> None:
        self._reader = reader
        self._types = reader.topics
        self._files = reader.mcap_files
        self._chunks: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._lock = Lock()
        found: dict[str, list[NDArray[Any]]] = {}
        for number, file in enumerate(self._files):
            for topic, entries in _entries(file, topics):
                entries['file'] = number
                found.setdefault(topic, []).append(entries)
        self._entries = {topic: _ordered(np.concatenate(parts)) for topic, parts in found.items()}

    def received(self, topic: str) -> Stamps:
        entries = self._entries.get(topic)
        return np.zeros(0, np.int64) if entries is None else entries['stamp'].astype(np.int64)

    def stamps(self, topic: str) -> Stamps:
        count = len(self.received(topic))
        heads = (self._content(topic, number, _STAMP_BYTES) for number in range(count))
        return np.fromiter(map(header_stamp, heads), np.int64, count)

    def read(self, topic: str, number: int) -> BagMessage:
        return BagMessage(
            topic=topic, type_name=self._types[topic],
            stamp=int(self._entries[topic][number]['stamp']), data=self._content(topic, number),
        )  # fmt: skip

    def _content(self, topic: str, number: int, limit: int | None = None) -> bytes:
        """Return the serialised message, or its first bytes."""
        entry = self._entries[topic][number]
        place = int(entry['place'])
        file = self._files[entry['file']]
        head_size = RECORD.size + MESSAGE_HEAD.size
        head = self._bytes(entry, place, head_size + (limit or 0))
        if len(head) < head_size:
            raise self._damaged(file)
        opcode, size = RECORD.unpack_from(head)
        channel, _, stamp, _ = MESSAGE_HEAD.unpack_from(head, RECORD.size)
        told = (opcode, channel, stamp) == (MESSAGE, int(entry['channel']), int(entry['stamp']))
        size -= MESSAGE_HEAD.size
        if not told or size < 0:
            raise self._damaged(file)
        if limit is not None:
            return head[head_size : head_size + size]
        data = self._bytes(entry, place + head_size, size)
        if len(data) < size:
            raise self._damaged(file)
        return data

    def _bytes(self, entry: NDArray[Any], place: int, size: int) -> bytes:
        """Return bytes of a chunk's content, fewer where it ends."""
        number = int(entry['file'])
        chunk = self._files[number].chunks[entry['chunk']]
        size = min(size, chunk.uncompressed_size - place)
        if size <= 0 or place < 0:
            return b''
        if chunk.compression:
            return self._unpacked(number, int(entry['chunk']))[place : place + size]
        start = chunk.chunk_start_offset + _CHUNK_HEAD + place
        return os.pread(_descriptor(self._files[number]), size, start)

    def _unpacked(self, number: int, place: int) -> bytes:
        key = number, place
        with self._lock:
            if key in self._chunks:
                self._chunks.move_to_end(key)
                return self._chunks[key]
        file = self._files[number]
        chunk = file.chunks[place]
        start = chunk.chunk_start_offset + _CHUNK_HEAD + len(chunk.compression)
        packed = os.pread(_descriptor(file), chunk.compressed_size, start)
        content = unpack(packed, chunk.compression, chunk.uncompressed_size)
        with self._lock:
            self._chunks[key] = content
            while len(self._chunks) > _KEPT:
                self._chunks.popitem(last=False)
        return content

    def _damaged(self, file: McapReader) -> BagError:
        return BagError(
            f'{file.path} is damaged: its index does not fit its messages, '
            f'`hand-pose check {self._reader.folder} --repair` makes it anew.'
        )


def _entries(file: McapReader, topics: set[str]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield, chunk by chunk, where the messages of each topic are in a file."""
    channels = {entry.id: entry.topic for entry in file.connections if entry.topic in topics}
    for number, chunk in enumerate(file.chunks):
        for channel, offset in chunk.message_index_offsets.items():
            if channel not in channels:
                continue
            head = os.pread(_descriptor(file), _INDEX_HEAD.size, offset)
            opcode, length = 0, 0
            if len(head) == _INDEX_HEAD.size:
                opcode, _, _, length = _INDEX_HEAD.unpack(head)
            # No more than the summary says: a damaged length must not fill the memory.
            count = chunk.channel_count.get(channel, 0)
            size = count * _ENTRY.itemsize
            data = os.pread(_descriptor(file), size, offset + _INDEX_HEAD.size)
            if opcode != _INDEX or length != size or len(data) != size:
                raise BagError(
                    f'{file.path} is damaged: an index of messages is none, make it anew with '
                    '`hand-pose check --repair`.'
                )
            pairs = np.frombuffer(data, _ENTRY)
            rows = np.zeros(count, _PLACE)
            rows['stamp'], rows['place'] = pairs['stamp'], pairs['place']
            rows['chunk'], rows['channel'] = number, channel
            yield channels[channel], rows


def _descriptor(file: McapReader) -> int:
    assert file.bio is not None  # the bag is open
    return file.bio.fileno()


def _ordered(entries: NDArray[Any]) -> NDArray[Any]:
    """Sort entries as they are read one after another: by file, then time, then place."""
    return np.sort(entries, order=('file', 'stamp', 'chunk', 'place'))
