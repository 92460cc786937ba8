"""Random access: the same messages as one after another, in every storage; damage is said."""

import struct

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.places import message_places
from hand_pose_ros.bags.reader import BagReader, header_stamp
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import BagError

TOPICS = ('/a/image_raw', '/b/image_raw')


def recorded(generator, count=40):
    """Images of two cameras in disorder; some are received at the same time."""
    for number in range(count):
        topic = TOPICS[int(generator.integers(2))]
        pixels = generator.integers(0, 255, (6, 8 + number), np.uint8)
        content = messages.image(pixels, 'mono8', 10**9 + number, 'frame')
        yield topic, messages.serialised(content), 2 * 10**9 + int(generator.integers(30))


def bag(folder, **options):
    with BagWriter(folder, **options) as writer:
        for topic in TOPICS:
            writer.add_topic(topic, messages.IMAGE)
        for number, (topic, data, received) in enumerate(recorded(np.random.default_rng(3))):
            writer.write(topic, data, received)
            if number % 7 == 0:
                writer.flush()  # many chunks, which overlap in time
    return folder


def database(folder):
    with Writer(folder, version=9, storage_plugin=StoragePlugin.SQLITE3) as writer:
        known = {
            topic: writer.add_connection(topic, messages.IMAGE, typestore=messages.typestore())
            for topic in TOPICS
        }
        for topic, data, received in recorded(np.random.default_rng(3)):
            writer.write(known[topic], received, data)
    return folder


@pytest.mark.parametrize('make', [
    bag, database,
    lambda folder: bag(folder, compression='zstd'), lambda folder: bag(folder, split_bytes=900),
])  # fmt: skip
def test_each_message_is_found_by_its_number(tmp_path, make):
    with BagReader(make(tmp_path / 'bag')) as reader:
        places = message_places(reader, *TOPICS)
        for topic in TOPICS:
            wanted = list(reader.messages(topic))
            assert places.received(topic).tolist() == [entry.stamp for entry in wanted]
            stamps = [header_stamp(entry.data) for entry in wanted]
            assert places.stamps(topic).tolist() == stamps
            for number in np.random.default_rng(0).permutation(len(wanted)):
                assert places.read(topic, int(number)) == wanted[number]


def test_a_topic_that_is_not_there_has_no_messages(tmp_path):
    for make in (bag, database):
        with BagReader(make(tmp_path / make.__name__)) as reader:
            places = message_places(reader, '/c')
            assert len(places.received('/c')) == len(places.stamps('/c')) == 0


def test_what_the_index_points_at_is_checked(tmp_path):
    """Whatever byte of the file is wrong, messages are read as they were or damage is said."""
    folder = bag(tmp_path / 'bag')
    path = next(folder.glob('*.mcap'))
    whole = path.read_bytes()
    generator = np.random.default_rng(1)
    summary = struct.unpack_from('<Q', whole, len(whole) - 8 - 20)[0]
    refused = 0
    for place in generator.integers(60, summary, 60):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            with BagReader(folder) as reader:
                places = message_places(reader, *TOPICS)
                for topic in TOPICS:
                    places.stamps(topic)
                    for number in range(len(places.received(topic))):
                        assert len(places.read(topic, number).data) < 1000
        except BagError as error:
            refused += 'damaged' in str(error)
    assert refused > 2


def test_a_file_that_was_cut_off_after_it_was_opened_is_one_sentence(tmp_path):
    folder = bag(tmp_path / 'bag')
    with BagReader(folder) as reader:
        places = message_places(reader, *TOPICS)
        next(folder.glob('*.mcap')).write_bytes(b'')
        with pytest.raises(BagError, match='its index does not fit its messages'):
            places.read(TOPICS[0], 0)
