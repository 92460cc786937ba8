"""Bags cut at any byte are repaired, and nothing that was not written comes back."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.bags.repair import repair
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import BagError

pytest.importorskip('rclpy', reason='needs the interfaces of ROS 2')

START = 1_700_000_000_000_000_000


def payload(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 9, (4, 6), np.uint8)
    return messages.serialised(messages.image(pixels, 'mono8', START + number, 'cam'))


def write(folder: Path, compression='none', chunks=3, each=3) -> list[bytes]:
    """A bag of several chunks; returns its messages."""
    written = []
    with BagWriter(folder, compression=compression) as writer:
        writer.add_topic('/cam/image_raw', messages.IMAGE)
        for number in range(chunks * each):
            written.append(payload(number))
            writer.write('/cam/image_raw', written[-1], START + number)
            if number % each == each - 1:
                writer.flush()
    return written


def read(folder: Path) -> list[bytes]:
    with BagReader(folder) as bag:
        return [message.data for message in bag.messages()]


def chunk_ends(path: Path) -> list[int]:
    with path.open('rb') as file:
        summary = make_reader(file).get_summary()
        return [chunk.chunk_start_offset + chunk.chunk_length for chunk in summary.chunk_indexes]


@pytest.mark.parametrize('tail', [b'', b'\0' * 300, bytes(range(256)) * 4])
@pytest.mark.parametrize('compression', ['none', 'lz4', 'zstd'])
def test_cut_anywhere_keeps_all_complete_chunks(tmp_path, compression, tail):
    written = write(tmp_path / 'bag', compression)
    whole = (tmp_path / 'bag' / 'bag_0.mcap').read_bytes()
    ends = chunk_ends(tmp_path / 'bag' / 'bag_0.mcap')
    generator = np.random.default_rng(5)
    places = {*ends, *(end - 1 for end in ends), 8, 9, 40, len(whole) - 1}
    places |= set(generator.integers(8, len(whole), 40).tolist())
    for place in sorted(places):
        folder = tmp_path / f'cut{place}'
        folder.mkdir()
        (folder / 'bag_0.mcap').write_bytes(whole[:place] + tail)
        assert repair(folder).files['bag_0.mcap']
        found = read(folder)
        # What comes back is the beginning of what was written, nothing else.
        assert found == written[: len(found)], place
        assert len(found) >= 3 * sum(end <= place for end in ends), place
        if compression == 'none' and not tail:
            assert sum(map(len, found)) <= place
        shutil.rmtree(folder)


def test_messages_of_an_unfinished_chunk_come_back(tmp_path):
    written = write(tmp_path / 'bag', chunks=1, each=9)
    path = tmp_path / 'bag' / 'bag_0.mcap'
    whole = path.read_bytes()
    place = whole.index(written[6]) + 5
    path.write_bytes(whole[:place])
    result = repair(tmp_path / 'bag').files['bag_0.mcap']
    assert result.from_pieces == 6 and result.chunks == 0
    assert read(tmp_path / 'bag') == written[:6]


def test_the_repaired_file_is_complete_for_others(tmp_path):
    written = write(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'bag_0.mcap'
    path.write_bytes(path.read_bytes()[:-60])
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    result = repair(tmp_path / 'bag')
    assert result.metadata == 'made' and result.messages == 9
    with path.open('rb') as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary.statistics.message_count == 9 and len(summary.chunk_indexes) == 3
        assert summary.schemas[1].encoding == 'ros2msg' and summary.channels[1].schema_id == 1
        assert [message.data for _, _, message in reader.iter_messages()] == written
    with Reader(tmp_path / 'bag') as reader:
        assert reader.message_count == 9
        assert (reader.start_time, reader.duration) == (START, 9)
    described = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    assert described['rosbag2_bagfile_information']['custom_data'] == {'repaired': 'bag_0.mcap'}


def test_the_original_stays_and_a_second_repair_does_nothing(tmp_path):
    write(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'bag_0.mcap'
    damaged = path.read_bytes()[:-100]
    path.write_bytes(damaged)
    assert repair(tmp_path / 'bag').changed
    assert path.with_name('bag_0.mcap.damaged').read_bytes() == damaged
    state = {entry.name: entry.read_bytes() for entry in (tmp_path / 'bag').iterdir()}
    assert not repair(tmp_path / 'bag').changed
    assert state == {entry.name: entry.read_bytes() for entry in (tmp_path / 'bag').iterdir()}


def test_an_interrupted_repair_is_repeated(tmp_path):
    written = write(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'bag_0.mcap'
    path.write_bytes(path.read_bytes()[:-100])
    # As it is left between two renames on a file system without links, with half a copy beside.
    path.rename(path.with_name('bag_0.mcap.damaged'))
    path.with_name('bag_0.mcap.repairing').write_bytes(b'half')
    repair(tmp_path / 'bag')
    assert read(tmp_path / 'bag') == written
    assert not list((tmp_path / 'bag').glob('*.repairing'))


def test_a_flipped_bit_costs_its_chunk_only(tmp_path):
    written = write(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'bag_0.mcap'
    data = bytearray(path.read_bytes())
    data[data.index(written[4]) + 30] ^= 1
    path.write_bytes(data)
    assert not repair(tmp_path / 'bag').changed
    with pytest.raises(BagError, match='checksum'):
        read(tmp_path / 'bag')
    result = repair(tmp_path / 'bag', thorough=True).files['bag_0.mcap']
    assert (result.chunks, result.damaged_chunks) == (2, 1)
    found = read(tmp_path / 'bag')
    assert found == written[:3] + written[6:]


@pytest.mark.parametrize(
    'text',
    [
        'rosbag2_bagfile_information: {relative_file_paths: [/etc/passwd]}',
        'rosbag2_bagfile_information: {relative_file_paths: [../other/other_0.mcap]}',
        'a: !!python/object/apply:os.system [echo]',
        '[' * 500,
        'nonsense',
    ],
)
def test_hostile_metadata_is_refused_and_replaced(tmp_path, text):
    written = write(tmp_path / 'bag')
    (tmp_path / 'bag' / 'metadata.yaml').write_text(text)
    with pytest.raises(BagError, match='--repair'):
        BagReader(tmp_path / 'bag')
    assert repair(tmp_path / 'bag').metadata == 'rewritten'
    assert (tmp_path / 'bag' / 'metadata.yaml.damaged').read_text() == text
    assert read(tmp_path / 'bag') == written


def test_links_out_of_the_bag_are_not_followed(tmp_path):
    write(tmp_path / 'secret')
    write(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'bag_0.mcap'
    path.unlink()
    path.symlink_to(tmp_path / 'secret' / 'secret_0.mcap')
    with pytest.raises(BagError, match='link to a file outside'):
        BagReader(tmp_path / 'bag')
    with pytest.raises(BagError, match='nothing to repair'):
        repair(tmp_path / 'bag')


def test_a_bag_being_written_is_left_alone(tmp_path):
    with BagWriter(tmp_path / 'bag'), pytest.raises(BagError, match='being written by process'):
        repair(tmp_path / 'bag')
    with pytest.raises(BagError, match='does not exist'):
        repair(tmp_path / 'none')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(BagError, match='nothing to repair'):
        repair(tmp_path / 'empty')
    (tmp_path / 'empty' / 'a_0.mcap').write_bytes(b'no mcap at all')
    with pytest.raises(BagError, match='no mcap file'):
        repair(tmp_path / 'empty')


_KILLED = """
import sys, time
from pathlib import Path
from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
with BagWriter(Path(sys.argv[1]), split_bytes=40_000) as writer:
    writer.add_topic('/rig_description', messages.STRING, repeat='all')
    writer.add_topic('/text', messages.STRING)
    writer.write('/rig_description', messages.serialised(messages.text('name: rig')), 1)
    for number in range(10**9):
        data = messages.serialised(messages.text(f'{number} ' + 'x' * 1000))
        writer.write('/text', data, 1 + number)
        writer.flush()
        if number == 100:
            print('go', flush=True)
"""


def test_a_killed_recording_in_split_files_is_whole_again(tmp_path, repository):
    command = [sys.executable, '-c', _KILLED, str(tmp_path / 'bag')]
    environment = {**os.environ, 'PYTHONPATH': str(repository)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b'go\n'
        process.send_signal(signal.SIGKILL)
    result = repair(tmp_path / 'bag')
    # It may have been between two files: then only the metadata is old.
    assert len(result.files) <= 1 and result.metadata == 'rewritten'
    with BagReader(tmp_path / 'bag') as bag:
        numbers = [int(bag.decode(entry).data.split()[0]) for entry in bag.messages('/text')]
        assert numbers == list(range(len(numbers))) and len(numbers) > 100
        # Every file that got a message stands alone.
        described = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
        files = described['rosbag2_bagfile_information']['files']
        assert bag.counts['/rig_description'] == sum(file['message_count'] > 0 for file in files)
    json.dumps(result.as_dict())


_KILLED_AT = """
import os, sys
from pathlib import Path
from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
name, number = sys.argv[2], int(sys.argv[3])
real, calls = getattr(BagWriter, name), []
def kill(*arguments):
    calls.append(name)
    return real(*arguments) if len(calls) < number else os._exit(9)
setattr(BagWriter, name, kill)
with BagWriter(Path(sys.argv[1]), split_bytes=20_000) as writer:
    writer.add_topic('/text', messages.STRING)
    for number_ in range(50):
        if number_ == 30:
            # Known to the last file only.
            writer.add_topic('/late', messages.STRING)
            writer.write('/late', messages.serialised(messages.text('late')), 1 + number_)
        data = messages.serialised(messages.text(f'{number_} ' + 'x' * 1000))
        writer.write('/text', data, 1 + number_)
"""


@pytest.mark.parametrize(
    ('name', 'call', 'files', 'message'),
    [
        # When the second file is complete and the third not made yet.
        ('_new_file', 3, 2, r'its files hold 39 messages, its metadata\.yaml tells of 19'),
        # When the third file is made but not in the metadata.
        ('_write_metadata', 3, 3, r'its metadata\.yaml does not name bag_2\.mcap'),
        # When all is written but the last metadata.
        ('_write_metadata', 4, 3, r'its files hold 51 messages, its metadata\.yaml tells of 39'),
    ],
    ids=['between', 'begun', 'end'],
)
def test_a_recording_killed_between_two_files_is_never_read_in_part(
    tmp_path, repository, name, call, files, message
):
    folder = tmp_path / 'bag'
    killed = subprocess.run(
        [sys.executable, '-c', _KILLED_AT, str(folder), name, str(call)],
        env={**os.environ, 'PYTHONPATH': str(repository)}, check=False,
    )  # fmt: skip
    assert killed.returncode == 9
    assert len(list(folder.glob('*.mcap'))) == files
    with pytest.raises(BagError, match=message) as refused:
        BagReader(folder)
    assert f'`hand-pose check {folder} --repair`' in str(refused.value)
    kept = repair(folder).messages
    with BagReader(folder) as bag:
        numbers = [int(bag.decode(one).data.split()[0]) for one in bag.messages('/text')]
        assert numbers == list(range(len(numbers)))
        assert kept == sum(bag.counts.values()) == len(numbers) + bag.counts.get('/late', 0)
        assert kept >= 39


def test_files_of_others_beside_a_bag_are_not_its_own(tmp_path):
    written = write(tmp_path / 'bag')
    for name in ('bag_0.mcap.damaged', 'notes_1.mcap', 'bag_1.txt', 'bag_x.mcap'):
        (tmp_path / 'bag' / name).write_bytes(b'')
    assert read(tmp_path / 'bag') == written
    (tmp_path / 'bag' / 'bag_10.mcap').write_bytes(b'')
    with pytest.raises(BagError, match=r'does not name bag_10\.mcap'):
        BagReader(tmp_path / 'bag')


def test_a_count_that_is_none_is_a_sentence(tmp_path):
    write(tmp_path / 'bag')
    path = tmp_path / 'bag' / 'metadata.yaml'
    path.write_text(path.read_text().replace('message_count: 9', 'message_count: many'))
    with pytest.raises(BagError, match='--repair'):
        BagReader(tmp_path / 'bag')


def test_a_database_left_with_a_journal_is_recovered(tmp_path):
    folder = tmp_path / 'bag'
    folder.mkdir()
    script = f"""
import os, sqlite3
db = sqlite3.connect({str(folder / 'bag_0.db3')!r}, isolation_level=None)
db.execute('PRAGMA cache_size=1')
db.execute('CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT,'
           ' serialization_format TEXT, offered_qos_profiles TEXT)')
db.execute('CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, timestamp INTEGER,'
           ' data BLOB)')
db.execute("INSERT INTO topics VALUES(1, '/text', 'std_msgs/msg/String', 'cdr', '')")
db.execute('INSERT INTO messages VALUES(1, 1, 5, ?)', (b'\\0\\1\\0\\0\\3\\0\\0\\0hi\\0',))
db.execute('BEGIN')
for number in range(2, 200):
    db.execute('INSERT INTO messages VALUES(?, 1, ?, zeroblob(3000))', (number, number))
os._exit(0)
"""
    subprocess.run([sys.executable, '-c', script], check=True)
    assert (folder / 'bag_0.db3-journal').exists()
    result = repair(folder)
    assert result.messages == 1 and result.metadata == 'made'
    assert (folder / 'bag_0.db3.damaged-journal').exists()
    with BagReader(folder) as bag:
        assert [bag.decode(entry).data for entry in bag.messages()] == ['hi']
    assert not repair(folder).changed
    with sqlite3.connect(folder / 'bag_0.db3') as database:
        assert database.execute('PRAGMA integrity_check').fetchone() == ('ok',)
