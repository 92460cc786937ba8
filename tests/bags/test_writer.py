"""Writing bags: splits that stand alone, full and slow disks, locks, chunks that lie."""

import errno
import os
import subprocess
import sys
import threading
import time

import pytest
import yaml
from mcap.reader import make_reader

from hand_pose_ros.bags import messages, queued_writer, writer
from hand_pose_ros.bags.chunks import LARGEST_CHUNK, pack, unpack
from hand_pose_ros.bags.compress import compress
from hand_pose_ros.bags.mcap_file import McapFile
from hand_pose_ros.bags.queued_writer import QueuedWriter
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.bags.repair import repair
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import BagError

pytest.importorskip('rclpy', reason='needs the interfaces of ROS 2')


def text(number: int, size: int = 1000) -> bytes:
    return messages.serialised(messages.text(f'{number:06d}' + 'x' * size))


def numbers(folder) -> list[int]:
    with BagReader(folder) as bag:
        return [int(bag.decode(entry).data[:6]) for entry in bag.messages('/text')]


def described(folder) -> dict:
    content = yaml.safe_load((folder / 'metadata.yaml').read_text())
    return content['rosbag2_bagfile_information']


@pytest.mark.parametrize('limit', [{'split_bytes': 20_000}, {'split_seconds': 1.0}])
def test_every_split_file_stands_alone(tmp_path, limit):
    with BagWriter(tmp_path / 'bag', **limit) as bag:
        bag.add_topic('/rig_description', messages.STRING, repeat='all')
        bag.add_topic('/info', messages.STRING, repeat='last')
        bag.add_topic('/text', messages.STRING)
        for name in ('a', 'b', 'a'):
            bag.write('/rig_description', messages.serialised(messages.text(name)), 0)
        for number in range(60):
            bag.write('/info', messages.serialised(messages.text(str(number))), number * 10**8)
            bag.write('/text', text(number), number * 10**8)
    files = sorted((tmp_path / 'bag').glob('*.mcap'))
    assert len(files) > 2
    assert described(tmp_path / 'bag')['relative_file_paths'] == [
        f'bag_{number}.mcap' for number in range(len(files))
    ]
    for file in files[1:]:
        with file.open('rb') as stream:
            found = [
                (channel.topic, message.log_time)
                for _, channel, message in make_reader(stream).iter_messages()
            ]
        begin = found[0][1]
        assert begin > 0
        assert [topic for topic, stamp in found if stamp == begin][:3] == [
            '/rig_description', '/rig_description', '/info',
        ]  # fmt: skip
    assert numbers(tmp_path / 'bag') == list(range(60))


def test_metadata_is_there_from_the_start(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        assert described(tmp_path / 'bag')['relative_file_paths'] == ['bag_0.mcap']
        bag.write('/text', text(1), 1)
        bag.flush()
        assert (tmp_path / 'bag' / 'bag_0.mcap').stat().st_size > 1000


def test_a_bag_without_a_message_can_be_discarded(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        assert bag.discard_if_empty()
        assert not bag.discard_if_empty()
    assert list(tmp_path.iterdir()) == []


def test_a_bag_with_a_message_or_with_files_of_others_is_not_discarded(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        bag.write('/text', text(1), 1)
        assert not bag.discard_if_empty()
    assert numbers(tmp_path / 'bag') == [1]
    with BagWriter(tmp_path / 'noted') as bag:
        (tmp_path / 'noted' / 'notes.txt').write_text('who was recorded')
        assert not bag.discard_if_empty()
    assert (tmp_path / 'noted' / 'notes.txt').is_file()
    assert (tmp_path / 'noted' / 'metadata.yaml').is_file()


def test_a_disk_that_is_full_at_once_leaves_no_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(os, 'writev', full)
    with pytest.raises(BagError, match='No space left'):
        BagWriter(tmp_path / 'bag')
    assert list(tmp_path.iterdir()) == []


def test_two_writers_do_not_share_a_folder(tmp_path):
    with (
        BagWriter(tmp_path / 'bag'),
        pytest.raises(BagError, match=f'being written by process {os.getpid()}'),
    ):
        BagWriter(tmp_path / 'bag')
    with pytest.raises(BagError, match='exists already'):
        BagWriter(tmp_path / 'bag')


def test_a_full_disk_ends_in_a_complete_bag(tmp_path, monkeypatch):
    real = os.writev

    def writev(descriptor, pieces):
        room = 30_000 - os.fstat(descriptor).st_size
        if room <= 0:
            raise OSError(errno.ENOSPC, 'No space left on device')
        # As a disk does: what fits is written.
        return real(descriptor, [b''.join(pieces)[:room]])

    bag = BagWriter(tmp_path / 'bag')
    bag.add_topic('/text', messages.STRING)
    monkeypatch.setattr(os, 'writev', writev)
    for number in range(100):
        bag.write('/text', text(number), number)
        bag.flush()
    assert 'the disk is full' in bag.ending.reason
    bag.close()
    kept = numbers(tmp_path / 'bag')
    # The summary needed some of the room.
    assert kept == list(range(len(kept))) and 15 < len(kept) < 30
    assert bag.counts == {'/text': len(kept)}
    assert described(tmp_path / 'bag')['message_count'] == len(kept)
    assert 'the disk is full' in described(tmp_path / 'bag')['custom_data']['ended']
    assert not repair(tmp_path / 'bag').changed


def test_the_reserve_stays_free(tmp_path):
    with BagWriter(tmp_path / 'bag', reserve=2**62) as bag:
        bag.add_topic('/text', messages.STRING)
        bag.write('/text', text(0), 7)
        bag.flush()
        assert 'MB are left' in bag.ending.reason
    # What waited is kept: there is room, just not much.
    assert numbers(tmp_path / 'bag') == [0]


_LIMITED = """
import resource, sys
from pathlib import Path
from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
with BagWriter(Path(sys.argv[1])) as bag:
    bag.add_topic('/text', messages.STRING)
    for number in range(200):
        bag.write('/text', messages.serialised(messages.text(f'{number:06d}' + 'x' * 1000)), number)
        bag.flush()
print(bag.ending.reason)
"""


def test_a_quota_ends_in_a_complete_bag(tmp_path, repository):
    result = subprocess.run(
        [sys.executable, '-c', _LIMITED, str(tmp_path / 'bag')], capture_output=True, text=True,
        check=True, env={**os.environ, 'PYTHONPATH': str(repository)},
    )  # fmt: skip
    assert 'the disk takes no more' in result.stdout
    kept = numbers(tmp_path / 'bag')
    assert kept == list(range(len(kept))) and len(kept) > 20


def test_a_slow_disk_costs_messages_not_memory(tmp_path, monkeypatch):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        go = threading.Event()
        real = bag.write
        monkeypatch.setattr(bag, 'write', lambda *message: go.wait(20) and real(*message))
        queued = QueuedWriter(bag, capacity=10_000)
        for number in range(50):
            queued.write('/text', text(number), number)
        go.set()
        queued.close()
        kept = 50 - queued.dropped['/text']
        assert 9 <= kept <= 10
    assert numbers(tmp_path / 'bag') == list(range(kept))
    custom = described(tmp_path / 'bag')['custom_data']
    assert custom == {f'{queued_writer.DROPPED}/text': str(50 - kept)}


def test_a_queue_hands_over_what_waits_when_nothing_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(queued_writer, 'CHUNK_SECONDS', 0.05)
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        flushed = threading.Event()
        real = bag.flush
        monkeypatch.setattr(bag, 'flush', lambda: (real(), flushed.set()))
        queued = QueuedWriter(bag)
        queued.write('/text', text(1), 1)
        assert flushed.wait(20)
        queued.close()


def test_what_stops_the_thread_is_told(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        queued = QueuedWriter(bag)
        queued.write('/unknown', b'', 1)
        deadline = time.monotonic() + 20
        with pytest.raises(BagError, match='not announced'):
            while time.monotonic() < deadline:
                queued.write('/unknown', b'', 1)
        with pytest.raises(BagError, match='not announced'):
            queued.close()


@pytest.mark.parametrize('compression', ['lz4', 'zstd'])
def test_chunks_that_lie_are_refused_before_they_fill_the_memory(compression):
    bomb = pack(bytes(10_000_000), compression)
    with pytest.raises(BagError, match='has more'):
        unpack(bomb, compression, 1000)
    with pytest.raises(BagError, match='has less'):
        unpack(bomb, compression, 10_000_001)
    with pytest.raises(BagError, match='more than'):
        unpack(bomb, compression, LARGEST_CHUNK + 1)
    with pytest.raises(BagError, match='cannot be unpacked'):
        unpack(b'nonsense' * 5, compression, 1000)
    assert unpack(bomb, compression, 10_000_000) == bytes(10_000_000)


@pytest.mark.parametrize('lie', ['declared', 'expanding'])
def test_a_bag_with_a_chunk_that_lies_is_refused(tmp_path, lie, monkeypatch):
    """The lie is told alike in chunk and index, as an attacker would."""
    real = McapFile.add_chunk

    def add_chunk(self, content, stored, pieces):
        content.size = LARGEST_CHUNK + 1 if lie == 'declared' else 100
        real(self, content, stored, pieces)

    monkeypatch.setattr(McapFile, 'add_chunk', add_chunk)
    with BagWriter(tmp_path / 'bag', compression='zstd') as bag:
        bag.add_topic('/text', messages.STRING)
        bag.write('/text', text(1, 5_000_000), 1)
    with (
        pytest.raises(BagError, match='made to fill the memory'),
        BagReader(tmp_path / 'bag') as reader,
    ):
        list(reader.messages())


def test_compressing_keeps_every_message_and_is_done_once(tmp_path):
    with BagWriter(tmp_path / 'bag', split_bytes=30_000) as bag:
        bag.add_topic('/text', messages.STRING)
        for number in range(80):
            bag.write('/text', text(number), number)
            if number % 9 == 0:
                bag.flush()
    before, after = compress(tmp_path / 'bag')
    assert after < before / 3
    assert numbers(tmp_path / 'bag') == list(range(80))
    assert compress(tmp_path / 'bag') == (after, after)
    assert not list((tmp_path / 'bag').glob('*.compressing'))
    assert not repair(tmp_path / 'bag', thorough=True).changed


def test_a_damaged_bag_is_not_compressed(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        bag.write('/text', text(1), 1)
    path = tmp_path / 'bag' / 'bag_0.mcap'
    whole = path.read_bytes()
    for damaged in (whole[:-5], whole.replace(b'000001x', b'000002x')):
        path.write_bytes(damaged)
        with pytest.raises(BagError, match='--repair'):
            compress(tmp_path / 'bag')
        assert path.read_bytes() == damaged


def test_chunks_are_closed_by_age(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(writer.time, 'monotonic', lambda: now[0])
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/text', messages.STRING)
        path = tmp_path / 'bag' / 'bag_0.mcap'
        bag.write('/text', text(0), 0)
        assert path.stat().st_size < 1000
        now[0] += writer.CHUNK_SECONDS
        bag.write('/text', text(1), 1)
        assert path.stat().st_size > 2000
