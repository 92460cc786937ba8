"""Reads mcap files that may be damaged: the summary where there is one, else what is whole."""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Schema, Statistics

from hand_pose_ros.bags.chunks import LARGEST_CHUNK, RECORD, content_of, inner_records, unpack
from hand_pose_ros.bags.mcap_file import MAGIC, McapFile
from hand_pose_ros.bags.metadata import FileFacts, TopicFacts
from hand_pose_ros.errors import BagError

_FOOTER = struct.Struct('<BQQQI')
_CHUNK = struct.Struct('<QQQI')
_LARGEST_SUMMARY = 1024 * 1024 * 1024
# A record that is read whole but is no chunk: schemas have kilobytes.
_LARGEST_RECORD = LARGEST_CHUNK + 4096


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A record of a file, not read yet.

    Attributes:
        opcode: what it is.
        begin: where its content begins in the file.
        length: bytes of its content.
        whole: whether the file has all of it.
    """

    opcode: int
    begin: int
    length: int
    whole: bool


@dataclass(frozen=True, kw_only=True)
class ChunkFrame:
    """The head of a chunk record and its packed bytes, as far as they are there.

    Attributes:
        start, end: times of reception, nanoseconds.
        size: unpacked bytes.
        crc: of the unpacked bytes; 0 = not known.
        stored: name of the compression.
        packed: packed bytes.
    """

    start: int
    end: int
    size: int
    crc: int
    stored: str
    packed: bytes = field(repr=False)


def frames(file: BinaryIO) -> Iterator[Frame]:
    """Yield the records of a file up to its data end, its end, or what is no record.

    The last one may be incomplete. The file is not read, only its record heads.

    Raises:
        BagError: if it does not begin as an mcap file.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    magic = file.read(len(MAGIC))
    if magic != MAGIC[: len(magic)] or (size >= len(MAGIC) and magic != MAGIC):
        raise BagError(f'{file.name} is no mcap file: it does not begin like one.')
    place = len(MAGIC)
    while place + RECORD.size <= size:
        file.seek(place)
        opcode, length = RECORD.unpack(file.read(RECORD.size))
        begin = place + RECORD.size
        if not Opcode.HEADER <= opcode <= Opcode.DATA_END or length > _LARGEST_RECORD:
            return
        yield Frame(opcode=opcode, begin=begin, length=length, whole=begin + length <= size)
        if opcode in (Opcode.DATA_END, Opcode.FOOTER) or begin + length > size:
            return
        place = begin + length


def content(file: BinaryIO, frame: Frame) -> bytes:
    """Read the content of a record, as far as it is there."""
    file.seek(frame.begin)
    return file.read(frame.length)


def raw(file: BinaryIO, frame: Frame) -> bytes:
    """Read a complete record, its head included."""
    return RECORD.pack(frame.opcode, frame.length) + content(file, frame)


def keep_definitions(records: bytes, output: McapFile) -> None:
    """Let a file know the message types and topics that a chunk copied to it defines."""
    for opcode, _, begin, end in inner_records(records):
        if opcode == Opcode.SCHEMA:
            output.keep_schema(schema(records[begin:end]))
        elif opcode == Opcode.CHANNEL:
            output.keep_channel(channel(records[begin:end]))


def chunk(data: bytes) -> ChunkFrame:
    """Take a chunk record's content apart.

    Raises:
        BagError: if not even its head is there.
    """
    try:
        start, end, size, crc = _CHUNK.unpack_from(data)
        place = _CHUNK.size
        (length,) = struct.unpack_from('<I', data, place)
        stored = data[place + 4 : place + 4 + min(length, 16)].decode()
        place += 4 + length
        (packed,) = struct.unpack_from('<Q', data, place)
    except (struct.error, UnicodeDecodeError):
        raise BagError('the head of a chunk is incomplete.') from None
    place += 8
    return ChunkFrame(
        start=start, end=end, size=size, crc=crc, stored=stored, packed=data[place : place + packed]
    )


def schema(data: bytes) -> Schema:
    """Read a schema record's content; raises BagError if it is none."""
    return _parsed(Schema, data)


def channel(data: bytes) -> Channel:
    """Read a channel record's content; raises BagError if it is none."""
    return _parsed(Channel, data)


def summary(path: Path) -> tuple[FileFacts, dict[str, TopicFacts]] | None:
    """Return what the summary of a complete file says; None when it has no valid one."""
    try:
        with path.open('rb') as file:
            data = _summary_bytes(file)
        return None if data is None else _facts(path.name, data)
    except (BagError, OSError):
        return None


def is_intact(file: BinaryIO, frame: Frame) -> bool:
    """Whether a record is all there and, if it is a chunk, holds what its checksum says."""
    if not frame.whole or frame.opcode != Opcode.CHUNK:
        return frame.whole
    try:
        head = chunk(content(file, frame))
        records = unpack(head.packed, head.stored, head.size)
        content_of(records)
    except BagError:
        return False
    return not head.crc or head.crc == zlib.crc32(records)


def _summary_bytes(file: BinaryIO) -> bytes | None:
    size = os.fstat(file.fileno()).st_size
    tail = _FOOTER.size + len(MAGIC)
    if size < 2 * len(MAGIC) + _FOOTER.size:
        return None
    file.seek(size - tail)
    end = file.read()
    opcode, length, start, _, crc = _FOOTER.unpack_from(end)
    if end[-len(MAGIC) :] != MAGIC or opcode != Opcode.FOOTER or length != _FOOTER.size - 9:
        return None
    if not len(MAGIC) < start <= size - tail or size - tail - start > _LARGEST_SUMMARY:
        return None
    file.seek(start)
    data = file.read(size - tail - start)
    if crc and crc != zlib.crc32(end[: _FOOTER.size - 4], zlib.crc32(data)):
        return None
    return data


def _facts(name: str, data: bytes) -> tuple[FileFacts, dict[str, TopicFacts]] | None:
    schemas: dict[int, Schema] = {}
    channels: list[Channel] = []
    statistics: Statistics | None = None
    place = 0
    while place + RECORD.size <= len(data):
        opcode, length = RECORD.unpack_from(data, place)
        place += RECORD.size
        record = data[place : place + length]
        place += length
        if opcode == Opcode.SCHEMA:
            entry = schema(record)
            schemas[entry.id] = entry
        elif opcode == Opcode.CHANNEL:
            channels.append(channel(record))
        elif opcode == Opcode.STATISTICS:
            statistics = _parsed(Statistics, record)
    if statistics is None:
        return None
    file = FileFacts(
        name=name, start=statistics.message_start_time, end=statistics.message_end_time,
        count=statistics.message_count,
    )  # fmt: skip
    return file, topic_facts(schemas, channels, statistics.channel_message_counts)


def topic_facts(
    schemas: dict[int, Schema], channels: list[Channel], counts: dict[int, int]
) -> dict[str, TopicFacts]:
    """Return what metadata.yaml says of the topics of a file."""
    found: dict[str, TopicFacts] = {}
    for entry in channels:
        known = schemas.get(entry.schema_id)
        facts = TopicFacts(
            type_name=known.name if known else '',
            type_hash=entry.metadata.get('topic_type_hash', ''),
            qos=entry.metadata.get('offered_qos_profiles', ''),
        )
        found.setdefault(entry.topic, facts).count += counts.get(entry.id, 0)
    return found


def _parsed(kind: type, data: bytes) -> 'object':
    try:
        return kind.read(ReadDataStream(BytesIO(data)))  # type: ignore[attr-defined]
    except (McapError, struct.error, UnicodeDecodeError, MemoryError, OverflowError) as error:
        raise BagError(f'a {kind.__name__} record is damaged ({error}).') from None
