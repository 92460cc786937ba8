"""Waiting messages of one stream and the rate learned from them."""

import random

import pytest

from hand_pose_ros.rig.stream_queue import StreamQueue


def learned(intervals):
    queue = StreamQueue('nir', 0)
    stamp = 0
    queue.push(stamp, None)
    for interval in intervals:
        stamp += interval
        queue.push(stamp, None)
    return queue


def test_rate_is_learned_from_a_steady_stream():
    queue = learned([33_000_000] * 20)
    assert queue.period == 33_000_000
    assert 20_000_000 < queue.shortest <= 33_000_000


def test_bound_stays_below_nearly_all_intervals_of_a_jittering_stream():
    noise = random.Random(4)
    intervals = [round(33e6 + noise.gauss(0, 2.8e6)) for _ in range(400)]
    queue = learned(intervals)
    assert sum(interval < queue.shortest for interval in intervals) < 0.1 * len(intervals)
    assert queue.period == pytest.approx(33e6, rel=0.1)


def test_drops_hardly_slow_the_estimate():
    queue = learned([33_000_000] * 50 + [66_000_000] + [33_000_000] * 10)
    assert queue.period == pytest.approx(33e6, rel=0.03)


def test_a_change_of_rate_is_followed():
    queue = learned([16_000_000] * 100 + [111_000_000] * 150)
    assert queue.period == pytest.approx(111e6, rel=0.05)
    queue = learned([111_000_000] * 100 + [16_000_000] * 100)
    assert queue.period == pytest.approx(16e6, rel=0.05)


def test_late_messages_are_put_in_order_unless_double_or_used():
    queue = learned([10, 10, 10])
    queue.pop(3)
    queue.used = 20
    assert not queue.insert(15, 'late')
    assert queue.insert(25, 'in time')
    assert queue.stamps == [25, 30]
    assert queue.items == ['in time', None]
    assert not queue.insert(25, 'double')
