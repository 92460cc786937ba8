"""Compresses finished bags in place, file by file, so that there is always a whole one."""

import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from mcap.opcode import Opcode

from hand_pose_ros.bags import mcap_scan as scan
from hand_pose_ros.bags.chunks import (
    Compression,
    content_of,
    pack,
    stored_name,
    unpack,
)
from hand_pose_ros.bags.folder_lock import FolderLock
from hand_pose_ros.bags.mcap_file import McapFile
from hand_pose_ros.bags.metadata import read_metadata
from hand_pose_ros.errors import BagError

_NEW = '.compressing'


def compress(
    bag: Path,
    compression: Compression = 'zstd',
    *,
    level: int = 3,
    progress: Callable[[int], None] = lambda _: None,
) -> tuple[int, int]:
    """Compress the chunks of a bag's mcap files anew; the messages stay as they are.

    Each new file is complete, counted and on the disk before it takes the place of the old one.
    Chunks that are compressed this way already stay as they are.

    Args:
        bag: a finished rosbag2 folder.
        compression: of the chunks.
        level: of zstd.
        progress: told the megabytes read so far.

    Returns:
        Bytes before and after.

    Raises:
        BagError: if the bag is not whole, in another storage, being written, or the disk is full.
    """
    information = read_metadata(bag)
    if information.get('storage_identifier') != 'mcap':
        raise BagError(
            f'bag {bag} is stored as {information.get("storage_identifier")!r}: only mcap is '
            'compressed here.'
        )
    paths = [bag / Path(name).name for name in information['relative_file_paths']]
    lock = FolderLock(bag)
    before = after = 0
    try:
        for path in paths:
            size = path.stat().st_size
            _compress_file(path, compression, level, partial(_tell, progress, before))
            before, after = before + size, after + path.stat().st_size
    except OSError as error:
        raise BagError(
            f'bag {bag} cannot be compressed ({error.strerror}): it is as it was; make room for a '
            'copy of its largest file.'
        ) from None
    finally:
        lock.release()
    return before, after


def _tell(progress: Callable[[int], None], before: int, done: int) -> None:
    progress((before + done) // 10**6)


def _compress_file(
    path: Path, compression: Compression, level: int, progress: Callable[[int], None]
) -> None:
    known = scan.summary(path)
    if known is None:
        raise BagError(
            f'{path} is not complete: run `hand-pose check {path.parent} --repair` first.'
        )
    new = path.with_name(path.name + _NEW)
    new.unlink(missing_ok=True)
    output = McapFile(new)
    try:
        with path.open('rb') as file:
            for frame in scan.frames(file):
                if frame.opcode == Opcode.CHUNK:
                    _compress_chunk(scan.content(file, frame), output, compression, level)
                    progress(frame.begin + frame.length)
                elif frame.opcode in (Opcode.METADATA, Opcode.ATTACHMENT):
                    output.keep_record(scan.raw(file, frame))
        output.finish(sync=True)
        if sum(output.counts.values()) != known[0].count:
            raise BagError(
                f'{path} holds {sum(output.counts.values())} messages in chunks but says '
                f'{known[0].count}: run `hand-pose check {path.parent} --repair` first.'
            )
    except BaseException:
        output.abandon()
        new.unlink(missing_ok=True)
        raise
    new.replace(path)


def _compress_chunk(data: bytes, output: McapFile, compression: Compression, level: int) -> None:
    chunk = scan.chunk(data)
    content = unpack(chunk.packed, chunk.stored, chunk.size)
    if chunk.crc and zlib.crc32(content) != chunk.crc:
        raise BagError(
            f'{output.path.with_suffix("")} has a damaged chunk: run `hand-pose check --repair`.'
        )
    scan.keep_definitions(content, output)
    stored = stored_name(compression)
    same = chunk.stored == stored
    packed = chunk.packed if same else pack(content, compression, level)
    output.add_chunk(content_of(content), stored, [packed])
