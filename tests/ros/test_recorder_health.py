"""What the recorder says of its disk."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from hand_pose_ros.bags.writer import Ending
from hand_pose_ros.ros import recorder_health
from hand_pose_ros.ros.diagnostics import ERROR, OK, WARN
from hand_pose_ros.ros.recorder_health import RecorderHealth
from hand_pose_ros.ros.topic_count import TopicCount

TOPIC = '/rgb/image_raw'
pytestmark = pytest.mark.ros


@pytest.fixture
def disk(monkeypatch):
    """A queue and a bag of which everything can be set, and a clock that goes on by a second."""
    now = [0.0]

    def monotonic():
        now[0] += 1.0
        return now[0]

    monkeypatch.setattr(recorder_health.time, 'monotonic', monotonic)
    writer = SimpleNamespace(folder='/data/s', ending=None, reserve=64e6, free_space=1e12)
    return SimpleNamespace(writer=writer, dropped={}, waiting=0, capacity=100)


def told(health):
    (status,) = health.statuses()
    return status


def test_rates_are_those_of_the_last_second(disk):
    counts = {}
    health = RecorderHealth(disk, counts)
    assert (told(health).level, told(health).message) == (OK, 'recording')
    counts[TOPIC] = TopicCount(messages=30, size=60_000_000)
    values = told(health).values
    assert values[f'{TOPIC} rate (Hz)'] == 30
    assert values['received (MB/s)'] == 60
    assert values['free space (MB)'] == 1e6
    assert told(health).values[f'{TOPIC} rate (Hz)'] == 0


def test_drops_are_a_warning_that_stays(disk):
    health = RecorderHealth(disk, {})
    disk.dropped[TOPIC] = 3
    first, later = told(health), told(health)
    assert (first.level, later.level) == (WARN, WARN)
    assert first.message == 'the disk is too slow: 3 messages dropped, 3 in all'
    assert later.message == 'the disk was too slow: 3 messages dropped so far'
    assert first.values[f'{TOPIC} dropped'] == 3


def test_a_filling_queue_and_a_filling_disk_warn_before_anything_is_lost(disk):
    counts = {TOPIC: TopicCount(messages=30, size=10_000_000)}
    health = RecorderHealth(disk, counts)
    disk.waiting = 80
    assert told(health).level == WARN
    assert '80% of the queue' in told(health).message
    disk.waiting, disk.writer.free_space = 0, 264e6
    counts[TOPIC] = TopicCount(messages=60, size=20_000_000)
    assert (status := told(health)).level == WARN
    assert status.message == 'the disk is full in 20 s'


def test_a_full_disk_and_a_folder_that_is_gone_are_errors(disk, tmp_path):
    health = RecorderHealth(disk, {})
    disk.writer.ending = Ending(reason='the disk is full (No space left on device)', stamp=1)
    disk.dropped[TOPIC] = 3
    status = told(health)
    assert status.level == ERROR
    assert status.message.startswith('the disk is full (No space left on device): nothing')

    class Gone:
        folder, ending, reserve = '/data/s', None, 0

        @property
        def free_space(self):
            raise FileNotFoundError(2, 'No such file or directory')

    disk.writer = Gone()
    assert told(health).level == ERROR
    assert '/data/s is gone' in told(health).message
