"""Writes what is whole of a damaged mcap file to a new one."""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mcap.opcode import Opcode

from hand_pose_ros.bags import mcap_scan as scan
from hand_pose_ros.bags.chunks import (
    CHANNEL,
    MESSAGE,
    MESSAGE_HEAD,
    RECORD,
    SCHEMA,
    content_of,
    inner_records,
    unpack,
)
from hand_pose_ros.bags.mcap_file import McapFile
from hand_pose_ros.bags.metadata import FileFacts, TopicFacts
from hand_pose_ros.errors import BagError

# Messages that stood outside of chunks are put into chunks of this size.
_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(kw_only=True)
class Salvage:
    """What became of a damaged file.

    Attributes:
        chunks: kept whole.
        messages: kept in all.
        from_pieces: of them, messages of chunks that are not whole.
        damaged_chunks: chunks whose content is not what it was.
        lost_bytes: bytes of the old file that are in no kept message, at its end.
        last: time of reception of the last kept message, nanoseconds; 0 = none.
    """

    chunks: int = 0
    messages: int = 0
    from_pieces: int = 0
    damaged_chunks: int = 0
    lost_bytes: int = 0
    last: int = 0


def salvage(source: Path, target: Path) -> tuple[Salvage, FileFacts, dict[str, TopicFacts]]:
    """Copy all complete chunks of a file, and complete messages of incomplete ones, to a new file.

    Chunks are copied as they are and checked against their checksum; memory use is that of one
    chunk. The new file is complete and on the disk when this returns.

    Args:
        source: the damaged file; only read.
        target: the new file, which must not exist.

    Raises:
        BagError: if the source is no mcap file.
        OSError: if the target cannot be written; it is removed.
    """
    result = Salvage()
    output = McapFile(target)
    try:
        with source.open('rb') as file:
            _copy(file, output, result)
        output.close_chunk()
        if output.finish(sync=True):
            raise BagError(f'there is no room for {target}: free some space and repeat.')
    except BaseException:
        output.abandon()
        target.unlink(missing_ok=True)
        raise
    counts = output.counts
    result.messages, result.last = sum(counts.values()), output.span[1]
    start, end = output.span
    facts = FileFacts(name=source.name, start=start, end=end, count=result.messages)
    schemas = {schema.id: schema for schema in output.schemas}
    return result, facts, scan.topic_facts(schemas, output.channels, counts)


def _copy(file: BinaryIO, output: McapFile, result: Salvage) -> None:
    size = file.seek(0, 2)
    end = 0
    for frame in scan.frames(file):
        end = frame.begin + frame.length
        if frame.opcode == Opcode.CHUNK:
            _copy_chunk(scan.content(file, frame), output, result, whole=frame.whole)
        elif not frame.whole:
            end = frame.begin
        elif frame.opcode in (Opcode.MESSAGE, Opcode.SCHEMA, Opcode.CHANNEL):
            _copy_record(scan.raw(file, frame), output)
        elif frame.opcode in (Opcode.METADATA, Opcode.ATTACHMENT):
            output.keep_record(scan.raw(file, frame))
        elif frame.opcode == Opcode.DATA_END:
            return
    result.lost_bytes += max(0, size - end)


def _copy_chunk(data: bytes, output: McapFile, result: Salvage, *, whole: bool) -> None:
    """Copy a chunk when it is what it was, else the messages of it that are."""
    try:
        chunk = scan.chunk(data)
    except BagError:
        result.lost_bytes += len(data)
        return
    if whole:
        try:
            content = unpack(chunk.packed, chunk.stored, chunk.size)
            found = content_of(content)
            if chunk.crc and found.crc != chunk.crc:
                raise BagError('its checksum is wrong')
            scan.keep_definitions(content, output)
        except BagError:
            result.damaged_chunks += 1
        else:
            output.add_chunk(found, chunk.stored, [chunk.packed])
            result.chunks += 1
            return
    try:
        content = unpack(chunk.packed, chunk.stored, chunk.size, whole=False)
    except BagError:
        result.lost_bytes += len(data)
        return
    kept = _whole_records(content, chunk, output)
    if sum(map(len, kept)) == chunk.size:
        # All records are there and the damage is somewhere in them: none can be trusted.
        kept = []
    for record in kept:
        _copy_record(record, output)
    result.from_pieces += sum(record[0] == MESSAGE for record in kept)
    result.lost_bytes += len(content) - sum(map(len, kept))


def _whole_records(content: bytes, chunk: scan.ChunkFrame, output: McapFile) -> list[bytes]:
    """Return the records that lie before the damage.

    Where a record is followed by something that is none, the damage may lie inside of it: that
    one is left out as well.
    """
    known = {channel.id for channel in output.channels}
    kept: list[bytes] = []
    place = 0
    for opcode, begin_record, begin, end in inner_records(content):
        if not _plausible(content, opcode, begin, end - begin, chunk, known):
            break
        if opcode == CHANNEL:
            try:
                known.add(scan.channel(content[begin:end]).id)
            except BagError:
                break
        kept.append(content[begin_record:end])
        place = end
    rest = content[place:]
    if kept and len(rest) >= RECORD.size:
        opcode, length = RECORD.unpack_from(rest)
        if not _plausible(rest, opcode, RECORD.size, length, chunk, known):
            kept.pop()
    return kept


def _plausible(
    data: bytes, opcode: int, begin: int, length: int, chunk: scan.ChunkFrame, known: set[int]
) -> bool:
    """Whether bytes are the beginning of a record that belongs into a chunk."""
    if length > chunk.size:
        return False
    if opcode != MESSAGE:
        return opcode in (SCHEMA, CHANNEL)
    if length < MESSAGE_HEAD.size:
        return False
    if begin + MESSAGE_HEAD.size > len(data):
        return True
    channel, _, stamp, _ = MESSAGE_HEAD.unpack_from(data, begin)
    return channel in known and chunk.start <= stamp <= chunk.end


def _copy_record(raw: bytes, output: McapFile) -> None:
    """Put one record into the output's open chunk."""
    opcode, _ = RECORD.unpack_from(raw)
    body = raw[RECORD.size :]
    if opcode == SCHEMA:
        output.keep_schema(scan.schema(body), raw)
    elif opcode == CHANNEL:
        output.keep_channel(scan.channel(body), raw)
    elif opcode == MESSAGE:
        channel, _, stamp, _ = MESSAGE_HEAD.unpack_from(body)
        output.keep_message(channel, stamp, raw)
    if output.pending >= _CHUNK_BYTES:
        output.close_chunk()
