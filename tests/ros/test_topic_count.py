"""Counting what is recorded of a topic."""

import struct

import pytest

from hand_pose_ros.ros.topic_count import TopicCount
from hand_pose_ros.sessions.checks.stream_times import LossCounter

SECOND = 1_000_000_000


def message(stamp, size=20):
    return b'\0\1\0\0' + struct.pack('<iI', *divmod(stamp, SECOND)) + bytes(size - 12)


def test_messages_bytes_and_rate_are_counted():
    count = TopicCount()
    assert (count.rate, count.lost) == (0.0, 0)
    for number in range(5):
        count.add(message(0), SECOND + number * SECOND // 10)
    assert (count.messages, count.size, count.lost) == (5, 100, 0)
    assert count.rate == pytest.approx(10)


def test_stamps_tell_what_never_came():
    count = TopicCount(losses=LossCounter(period=SECOND / 10))
    for number in (1, 2, 3, 6, 7):
        count.add(message(number * SECOND // 10), number)
    assert count.lost == 2
