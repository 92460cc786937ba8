"""Diagnostics messages, rates and windows."""

import statistics

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus

from hand_pose_ros.ros.diagnostics import ERROR, OK, Diagnostics, RateMeter, Status, Window

SECOND = 1_000_000_000


def test_statuses_are_published_about_once_a_second(ros):
    node = ros.node('source', namespace='/rig')
    received = ros.listen(DiagnosticArray, '/diagnostics')
    statuses = [
        Status(name='images', level=OK, message='delivering', values={'rate (Hz)': 29.97123}),
        Status(name='other', level=ERROR, message='bad', values={'count': 3}),
    ]
    diagnostics = Diagnostics(node, 'my rig', lambda: statuses)
    ros.until(lambda: len(received) >= 4)
    first, second = received[0].status
    assert first.name == 'rig/source: images'
    assert first.level == DiagnosticStatus.OK
    assert first.hardware_id == 'my rig'
    assert [(v.key, v.value) for v in first.values] == [('rate (Hz)', '29.97')]
    assert second.level == DiagnosticStatus.ERROR
    times = [m.header.stamp.sec + m.header.stamp.nanosec * 1e-9 for m in received]
    # A busy machine may be late once; the next one comes when it was due.
    assert statistics.median(np.diff(times)) == pytest.approx(1.0, abs=0.5)
    diagnostics.stop()


def test_rate_meter():
    meter = RateMeter()
    assert meter.age(5 * SECOND) == float('inf')
    assert meter.rate(10 * SECOND) == 0
    for number in range(30):
        meter.count(number)
    assert meter.rate(12 * SECOND) == pytest.approx(15)
    assert meter.rate(13 * SECOND) == 0
    assert meter.total == 30
    meter.count(3 * SECOND)
    assert meter.age(5 * SECOND) == pytest.approx(2)


def test_window_forgets_the_oldest():
    window = Window()
    assert window.percentile(50) == 0
    for value in range(1000):
        window.add(value)
    assert window.values.min() == 1000 - 128
    assert window.percentile(100) == 999
