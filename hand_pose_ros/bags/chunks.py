"""Chunks of mcap files: packed and unpacked within bounds, and the records inside."""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import lz4.frame
import zstandard

from hand_pose_ros.errors import BagError

Compression = Literal['none', 'lz4', 'zstd']

# A chunk that says it is larger is a mistake or an attack: common ones have a few megabytes.
LARGEST_CHUNK = 512 * 1024 * 1024

SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x03, 0x04, 0x05, 0x06
RECORD = struct.Struct('<BQ')
MESSAGE_HEAD = struct.Struct('<HIQQ')

# Names of the compressions in files.
_STORED: dict[Compression, str] = {'none': '', 'lz4': 'lz4', 'zstd': 'zstd'}


@dataclass(kw_only=True)
class ChunkContent:
    """What a chunk holds, as the index of a file tells it.

    Attributes:
        start, end: times of reception of its first and last message, nanoseconds.
        size: bytes, unpacked.
        crc: of the unpacked bytes.
        indexes: by channel, the time of reception and the place in the chunk of each message.
    """

    start: int = 2**63 - 1
    end: int = 0
    size: int = 0
    crc: int = 0
    indexes: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, channel: int, stamp: int, place: int) -> None:
        """Count one message in."""
        self.indexes.setdefault(channel, []).append((stamp, place))
        self.start, self.end = min(self.start, stamp), max(self.end, stamp)

    @property
    def counts(self) -> dict[int, int]:
        """Messages by channel."""
        return {channel: len(entries) for channel, entries in self.indexes.items()}


def stored_name(compression: Compression) -> str:
    """Return the name that a chunk record has for a compression."""
    return _STORED[compression]


def pack(data: bytes, compression: Compression, level: int = 3) -> bytes:
    """Compress the records of a chunk."""
    if compression == 'lz4':
        return lz4.frame.compress(data)
    if compression == 'zstd':
        return zstandard.ZstdCompressor(level=level).compress(data)
    return data


def unpack(data: bytes, stored: str, size: int, *, whole: bool = True) -> bytes:
    """Return the records of a chunk.

    Never makes more bytes than the chunk says it has, and never more than ``LARGEST_CHUNK``.

    Args:
        data: the packed bytes.
        stored: name of the compression in the file, empty for none.
        size: unpacked bytes that the chunk says it has.
        whole: False for a chunk that was cut off: what can be unpacked is returned.

    Raises:
        BagError: if it is larger than it says or allowed, or damaged.
    """
    if size > LARGEST_CHUNK:
        raise BagError(
            f'a chunk says it has {size} bytes, more than the {LARGEST_CHUNK} that are read: the '
            'file is damaged or was made to fill the memory.'
        )
    try:
        content = _unpacked(data, stored, size + 1)
    except (RuntimeError, zstandard.ZstdError, EOFError, ValueError) as error:
        raise BagError(f'a {stored} chunk cannot be unpacked ({error}).') from None
    if len(content) > size or (whole and len(content) < size):
        raise BagError(
            f'a chunk says it has {size} bytes but has {"more" if len(content) > size else "less"}'
            ': the file is damaged or was made to fill the memory.'
        )
    return content


def _unpacked(data: bytes, stored: str, most: int) -> bytes:
    if stored == '':
        return data[:most]
    if stored == 'lz4':
        return lz4.frame.LZ4FrameDecompressor().decompress(data, max_length=most)
    if stored == 'zstd':
        # Frames that follow each other are one stream; a cut one ends where it was cut.
        reader = zstandard.ZstdDecompressor().stream_reader(
            io.BytesIO(data), read_across_frames=True
        )
        return reader.read(most)
    raise BagError(f'chunk compression {stored!r} is not known: use none, lz4 or zstd.')


def inner_records(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield opcode, place of the record, and begin and end of its content, while complete."""
    place = 0
    while place + RECORD.size <= len(content):
        opcode, length = RECORD.unpack_from(content, place)
        begin = place + RECORD.size
        if begin + length > len(content):
            return
        yield opcode, place, begin, begin + length
        place = begin + length


def content_of(content: bytes) -> ChunkContent:
    """Index the messages of a chunk's records.

    Raises:
        BagError: if a record is incomplete.
    """
    found = ChunkContent(size=len(content), crc=zlib.crc32(content))
    last = 0
    for opcode, place, begin, end in inner_records(content):
        last = end
        if opcode == MESSAGE:
            if end - begin < MESSAGE_HEAD.size:
                raise BagError('a message record of a chunk is too short.')
            channel, _, stamp, _ = MESSAGE_HEAD.unpack_from(content, begin)
            found.add(channel, stamp, place)
    if last != len(content):
        raise BagError('the last record of a chunk is incomplete.')
    return found
