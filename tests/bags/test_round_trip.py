"""What the writer writes, rosbags and our reader give back unchanged."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from hand_pose_ros.bags.reader import BagReader, header_stamp
from hand_pose_ros.bags.schemas import message_text, type_hash
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.errors import BagError

IMAGE = 'sensor_msgs/msg/Image'
try:
    message_text(IMAGE)
except BagError as missing:
    pytest.skip(f'no ROS interfaces here: {missing}', allow_module_level=True)

STORE = get_typestore(Stores.ROS2_KILTED)


def image(stamp: int, pixels: np.ndarray) -> bytes:
    types = STORE.types
    header = types['std_msgs/msg/Header'](
        stamp=types['builtin_interfaces/msg/Time'](
            sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000
        ),
        frame_id='thermal_optical_frame',
    )
    message = types[IMAGE](
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding='mono16',
        is_bigendian=0,
        step=pixels.strides[0],
        data=pixels.view(np.uint8).ravel(),
    )
    return bytes(STORE.serialize_cdr(message, IMAGE))


@pytest.mark.parametrize('compression', ['none', 'lz4', 'zstd'])
def test_images_come_back_bit_for_bit(tmp_path: Path, compression: str):
    frames = [np.random.default_rng(i).integers(0, 65535, (32, 40), np.uint16) for i in range(5)]
    stamps = [1_700_000_000_000_000_000 + i * 33_333_333 for i in range(5)]
    with BagWriter(tmp_path / 'bag', compression=compression, ros_distro='kilted') as bag:
        bag.add_topic('/thermal/image_raw', IMAGE)
        for stamp, frame in zip(stamps, frames, strict=True):
            bag.write('/thermal/image_raw', image(stamp, frame), stamp + 1_000_000)
    with BagReader(tmp_path / 'bag') as bag:
        assert bag.topics == {'/thermal/image_raw': IMAGE}
        assert bag.counts == {'/thermal/image_raw': 5}
        for message, stamp, frame in zip(bag.messages(), stamps, frames, strict=True):
            assert header_stamp(message.data) == stamp and message.stamp == stamp + 1_000_000
            decoded = bag.decode(message)
            assert np.array_equal(decoded.data.view(np.uint16).reshape(32, 40), frame)


def test_rosbags_accepts_metadata_and_hashes(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.add_topic('/a', IMAGE)
        bag.add_topic('/b', 'std_msgs/msg/String')
        bag.write('/a', image(5, np.zeros((2, 2), np.uint16)), 10)
        bag.write('/a', image(6, np.zeros((2, 2), np.uint16)), 30)
    with Reader(tmp_path / 'bag') as reader:
        assert reader.message_count == 2
        assert (reader.start_time, reader.duration) == (10, 21)
        assert {entry.topic: entry.digest for entry in reader.connections}['/a'] == type_hash(IMAGE)
    described = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    assert described['rosbag2_bagfile_information']['storage_identifier'] == 'mcap'


def test_the_text_of_a_nested_type_is_complete():
    text = message_text('hand_pose_ros/msg/HandPose3DArray')
    for name in ('hand_pose_ros/HandPose3D', 'std_msgs/Header', 'builtin_interfaces/Time',
                 'geometry_msgs/Point', 'geometry_msgs/Quaternion'):  # fmt: skip
        assert f'\nMSG: {name}\n' in text
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, 'hand_pose_ros/msg/HandPose3DArray'))
    expected = type_hash('hand_pose_ros/msg/HandPose3DArray')
    assert store.hash_rihs01('hand_pose_ros/msg/HandPose3DArray') == expected


def test_reading_one_topic_leaves_the_others(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as bag:
        for topic in ('/a', '/b'):
            bag.add_topic(topic, IMAGE)
            bag.write(topic, image(1, np.zeros((1, 1), np.uint16)), 1)
    with BagReader(tmp_path / 'bag') as bag:
        assert [message.topic for message in bag.messages('/b')] == ['/b']
        assert list(bag.messages('/none')) == []


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stamp=st.integers(0, 2**31 * 10**9 - 1))
def test_header_stamp_is_the_stamp(stamp: int):
    assert header_stamp(image(stamp, np.zeros((1, 1), np.uint16))) == stamp


def test_bad_input_is_a_sentence(tmp_path: Path):
    with pytest.raises(BagError, match='does not exist'):
        BagReader(tmp_path / 'none')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(BagError, match='exists already'):
        BagWriter(tmp_path / 'empty')
    with pytest.raises(BagError, match='has no metadata.yaml'):
        BagReader(tmp_path / 'empty')
    with pytest.raises(BagError, match='not installed'):
        message_text('no_such_msgs/msg/Thing')
    with pytest.raises(BagError, match='package/msg/Type'):
        message_text('../../etc/passwd')
    with BagWriter(tmp_path / 'bag') as bag:
        with pytest.raises(BagError, match='not announced'):
            bag.write('/a', b'', 0)
        bag.add_topic('/a', IMAGE)
        with pytest.raises(BagError, match='already'):
            bag.add_topic('/a', 'std_msgs/msg/String')


def test_a_late_message_is_dropped_and_close_is_idempotent(tmp_path: Path):
    bag = BagWriter(tmp_path / 'bag')
    bag.add_topic('/a', IMAGE)
    bag.close()
    bag.write('/a', image(1, np.zeros((1, 1), np.uint16)), 1)
    bag.close()
    assert bag.counts == {'/a': 0}
