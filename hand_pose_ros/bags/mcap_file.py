"""McapFile: one mcap file, written chunk by chunk without copying messages."""

import os
import struct
import zlib
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    McapRecord,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

from hand_pose_ros.bags.chunks import (
    CHUNK,
    MESSAGE,
    ChunkContent,
    Compression,
    pack,
    stored_name,
)

MAGIC = b'\x89MCAP0\r\n'
_MESSAGE = struct.Struct('<BQHIQQ')
_MESSAGE_FIELDS = 22
_CHUNK = struct.Struct('<BQQQQI')
# Buffers that one system call takes.
_MOST_BUFFERS = 1000


@dataclass(kw_only=True)
class _OpenChunk:
    """Records that wait for their chunk to be closed."""

    pieces: list[bytes] = field(default_factory=list)
    content: ChunkContent = field(default_factory=ChunkContent)

    def add(self, *pieces: bytes) -> None:
        self.pieces.extend(pieces)
        self.content.size += sum(map(len, pieces))


class McapFile:
    """A new mcap file, open for writing.

    A chunk goes to the operating system in one piece when it is closed, so a process that is killed
    loses no more than the open chunk. Messages are handed to the system as they are: at hundreds of
    megabytes a second, copies under the interpreter lock would keep messages from being received.
    Not safe for several threads.

    Attributes:
        path: the file.
        schemas, channels: what was added, in order.
    """

    def __init__(self, path: Path, *, compression: Compression = 'none') -> None:
        """Create the file, which must not exist yet.

        Raises:
            OSError: if it cannot be made.
        """
        self.path = Path(path)
        self.schemas: list[Schema] = []
        self.channels: list[Channel] = []
        self._compression = compression
        self._chunks: list[tuple[ChunkIndex, dict[int, int]]] = []
        self._chunk = _OpenChunk()
        self._position = 0
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            self._write([MAGIC, _bytes(Header(profile='ros2', library='hand_pose_ros'))])
        except OSError:
            os.close(self._descriptor)
            raise

    @property
    def size(self) -> int:
        """Bytes written, the open chunk included."""
        return self._position + self.pending

    @property
    def pending(self) -> int:
        """Bytes of the open chunk."""
        return self._chunk.content.size

    @property
    def counts(self) -> dict[int, int]:
        """Messages by channel in closed chunks."""
        found = Counter({channel.id: 0 for channel in self.channels})
        for _, counts in self._chunks:
            found.update(counts)
        return dict(found)

    @property
    def span(self) -> tuple[int, int]:
        """Times of reception of the first and last message in closed chunks; 0, 0 when empty."""
        if not self._chunks:
            return 0, 0
        indexes = [index for index, _ in self._chunks]
        return (
            min(index.message_start_time for index in indexes),
            max(index.message_end_time for index in indexes),
        )

    @property
    def free_space(self) -> int:
        """Bytes that the file system has left for us."""
        state = os.fstatvfs(self._descriptor)
        return state.f_bavail * state.f_frsize

    def add_schema(self, name: str, encoding: str, data: bytes) -> int:
        """Add a message type and return its number."""
        schema = Schema(id=len(self.schemas) + 1, name=name, encoding=encoding, data=data)
        self.schemas.append(schema)
        self._chunk.add(_bytes(schema))
        return schema.id

    def add_channel(self, topic: str, encoding: str, schema: int, metadata: dict[str, str]) -> int:
        """Add a topic and return its number."""
        channel = Channel(
            id=len(self.channels) + 1, topic=topic, message_encoding=encoding, schema_id=schema,
            metadata=metadata,
        )  # fmt: skip
        self.channels.append(channel)
        self._chunk.add(_bytes(channel))
        return channel.id

    def add_message(self, channel: int, data: bytes, stamp: int, sequence: int) -> None:
        """Add a message to the open chunk."""
        place = self._chunk.content.size
        length = _MESSAGE_FIELDS + len(data)
        head = _MESSAGE.pack(MESSAGE, length, channel, sequence & 0xFFFFFFFF, stamp, stamp)
        self._chunk.content.add(channel, stamp, place)
        self._chunk.add(head, data)

    def keep_schema(self, schema: Schema, raw: bytes = b'') -> None:
        """Take over a message type with its number; ``raw`` when no chunk written has it."""
        if all(known.id != schema.id for known in self.schemas):
            self.schemas.append(schema)
            self._chunk.add(raw)

    def keep_channel(self, channel: Channel, raw: bytes = b'') -> None:
        """Take over a topic with its number; ``raw`` when no chunk written has it."""
        if all(known.id != channel.id for known in self.channels):
            self.channels.append(channel)
            self._chunk.add(raw)

    def keep_message(self, channel: int, stamp: int, raw: bytes) -> None:
        """Take over a message record as it is into the open chunk."""
        self._chunk.content.add(channel, stamp, self._chunk.content.size)
        self._chunk.add(raw)

    def keep_record(self, raw: bytes) -> None:
        """Take over a record that is in no chunk as it is, for example an attachment."""
        self._write([raw])

    def close_chunk(self) -> None:
        """Hand the open chunk to the operating system; nothing to do without messages in it.

        Raises:
            OSError: if it cannot be written. The file then ends before the chunk, which is lost.
        """
        chunk = self._chunk
        if not chunk.content.indexes:
            return
        self._chunk = _OpenChunk()
        for piece in chunk.pieces:
            chunk.content.crc = zlib.crc32(piece, chunk.content.crc)
        pieces: Sequence[bytes] = chunk.pieces
        if self._compression != 'none':
            pieces = [pack(b''.join(pieces), self._compression)]
        self.add_chunk(chunk.content, stored_name(self._compression), pieces)

    def add_chunk(self, content: ChunkContent, stored: str, pieces: Sequence[bytes]) -> None:
        """Write a chunk that is packed already, with its index.

        Args:
            content: what it holds.
            stored: name of its compression in the file.
            pieces: its packed bytes.

        Raises:
            OSError: see ``close_chunk``.
        """
        begin = self._position
        packed = sum(map(len, pieces))
        name = stored.encode()
        length = _CHUNK.size - 9 + 4 + len(name) + 8 + packed
        head = _CHUNK.pack(CHUNK, length, content.start, content.end, content.size, content.crc)
        head += struct.pack('<I', len(name)) + name + struct.pack('<Q', packed)
        end = begin + 9 + length
        offsets, indexes = {}, []
        place = end
        for channel, entries in content.indexes.items():
            record = _bytes(MessageIndex(channel_id=channel, records=entries))
            offsets[channel] = place
            indexes.append(record)
            place += len(record)
        self._write([head, *pieces, *indexes])
        index = ChunkIndex(
            message_start_time=content.start, message_end_time=content.end,
            chunk_start_offset=begin, chunk_length=end - begin, message_index_offsets=offsets,
            message_index_length=place - end, compression=stored, compressed_size=packed,
            uncompressed_size=content.size,
        )  # fmt: skip
        self._chunks.append((index, content.counts))

    def finish(self, *, sync: bool = False) -> int:
        """Close the last chunk, write the summary and close the file.

        On a full disk, as many of the last chunks go as the summary needs room for.

        Args:
            sync: wait until all of it is on the disk.

        Returns:
            Chunks that were given up.

        Raises:
            OSError: if not even an empty summary can be written.
        """
        given_up = 0
        try:
            try:
                self.close_chunk()
            except OSError:
                given_up = 1
            given_up += self._finish()
            if sync:
                os.fsync(self._descriptor)
            return given_up
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is, without a summary; nothing to do after ``finish``."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _finish(self) -> int:
        given_up = 0
        while True:
            try:
                self._write([_bytes(DataEnd(data_section_crc=0)), *self._summary()])
                return given_up
            except OSError:
                if not self._chunks:
                    raise
                index, _ = self._chunks.pop()
                given_up += 1
                self._truncate(index.chunk_start_offset)

    def _summary(self) -> list[bytes]:
        start = self._position + len(_bytes(DataEnd(data_section_crc=0)))
        groups: dict[Opcode, Sequence[McapRecord]] = {
            Opcode.SCHEMA: self.schemas,
            Opcode.CHANNEL: self.channels,
            Opcode.STATISTICS: [self._statistics()],
            Opcode.CHUNK_INDEX: [index for index, _ in self._chunks],
        }
        parts: list[bytes] = []
        offsets: list[bytes] = []
        place = start
        for opcode, records in groups.items():
            part = b''.join(_bytes(record) for record in records)
            if part:
                entry = SummaryOffset(
                    group_opcode=opcode, group_start=place, group_length=len(part)
                )
                offsets.append(_bytes(entry))
            parts.append(part)
            place += len(part)
        body = b''.join([*parts, *offsets])
        opening = struct.pack('<BQQQ', Opcode.FOOTER, 20, start, place)
        footer = Footer(
            summary_start=start, summary_offset_start=place,
            summary_crc=zlib.crc32(opening, zlib.crc32(body)),
        )  # fmt: skip
        return [body, _bytes(footer), MAGIC]

    def _statistics(self) -> Statistics:
        counts = self.counts
        first, last = self.span
        return Statistics(
            attachment_count=0, channel_count=len(self.channels), channel_message_counts=counts,
            chunk_count=len(self._chunks), message_count=sum(counts.values()),
            metadata_count=0, message_start_time=first, message_end_time=last,
            schema_count=len(self.schemas),
        )  # fmt: skip

    def _write(self, pieces: Sequence[bytes]) -> None:
        """Write all or nothing."""
        pending = deque(memoryview(piece) for piece in pieces if piece)
        total = sum(map(len, pending))
        try:
            while pending:
                written = os.writev(self._descriptor, list(islice(pending, _MOST_BUFFERS)))
                while pending and written >= len(pending[0]):
                    written -= len(pending.popleft())
                if written:
                    pending[0] = pending[0][written:]
        except OSError:
            self._truncate(self._position)
            raise
        self._position += total

    def _truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)
        os.lseek(self._descriptor, size, os.SEEK_SET)
        self._position = size


def _bytes(record: McapRecord) -> bytes:
    builder = RecordBuilder()
    record.write(builder)
    return builder.end()
