"""The synchroniser as a message filter."""

import message_filters
import pytest
from sensor_msgs.msg import CameraInfo

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.synchronizer import SynchronizerConfig
from hand_pose_ros.ros.stamps import header, nanoseconds
from hand_pose_ros.ros.synchronizer_filter import SynchronizerFilter, synchronize

MILLISECOND = 1_000_000
START = 1_000_000_000_000
PERIOD = 33 * MILLISECOND


def config(**changes):
    return SynchronizerConfig(
        streams=('thermal', 'nir', 'rgb'), timeout=100 * MILLISECOND, **changes
    )


@pytest.fixture
def connected(ros):
    """A filter with plain inputs, and what it calls back with."""

    def connect(settings):
        inputs = {name: message_filters.SimpleFilter() for name in settings.streams}
        synchronizer = synchronize(ros.node(), inputs, settings)
        sets = []
        synchronizer.registerCallback(lambda *messages: sets.append(messages))
        return inputs, synchronizer, sets

    return connect


def send(inputs, name, stamp):
    inputs[name].signalMessage(CameraInfo(header=header(START + stamp, name)))


def stamps(messages):
    return [m and nanoseconds(m.header.stamp) - START for m in messages]


def test_sets_come_in_the_order_of_the_streams(connected):
    inputs, synchronizer, sets = connected(config())
    for index in range(10):
        for shift, name in enumerate(('rgb', 'thermal', 'nir')):
            send(inputs, name, index * PERIOD + shift * MILLISECOND)
    assert len(sets) >= 8
    # The first sets may lack a stream whose rate is not known yet.
    for messages in sets[2:]:
        assert [m.header.frame_id for m in messages] == ['thermal', 'nir', 'rgb']
        times = stamps(messages)
        assert max(times) - min(times) == 2 * MILLISECOND
    counters = synchronizer.counters
    assert counters.sets == len(sets)
    assert counters.streams['nir'].received == 10


def test_a_missing_stream_is_none_after_the_time_out(connected, ros):
    inputs, synchronizer, sets = connected(config())
    for index in range(4):
        for name in ('thermal', 'nir', 'rgb'):
            send(inputs, name, index * PERIOD)
    ros.for_seconds(0.05)
    sets.clear()
    for name in ('thermal', 'nir'):
        send(inputs, name, 4 * PERIOD)
    ros.until(lambda: any(stamps(s) == [4 * PERIOD, 4 * PERIOD, None] for s in sets), timeout=5)
    assert synchronizer.counters.partial_sets >= 1


def test_a_callback_that_raises_or_feeds_the_filter_does_not_lock_it(connected):
    inputs, synchronizer, _ = connected(config())
    failures = []

    def fail(*messages):
        failures.append(messages)
        if len(failures) == 1:
            raise ValueError('a fault in user code')
        if len(failures) == 2:
            send(inputs, 'rgb', 100 * PERIOD)

    synchronizer.registerCallback(fail)
    raised = 0
    for index in range(20):
        for name in ('thermal', 'nir', 'rgb'):
            try:
                send(inputs, name, index * PERIOD)
            except ValueError:
                raised += 1
    assert raised == 1
    assert len(failures) >= 15


def test_reset_forgets_what_waits(connected, ros):
    inputs, synchronizer, sets = connected(config())
    send(inputs, 'thermal', 0)
    synchronizer.reset()
    ros.for_seconds(0.3)
    assert sets == []
    assert synchronizer.counters.resets == 1


def test_inputs_must_match_the_streams(ros):
    with pytest.raises(RigError, match='give one filter for each'):
        SynchronizerFilter(ros.node(), {'thermal': message_filters.SimpleFilter()}, config())


class TestApproximateTime:
    """Upstream's own class, chosen by the policy."""

    def test_it_is_used(self, connected):
        inputs, synchronizer, sets = connected(config(policy='approximate_time'))
        assert isinstance(synchronizer, message_filters.ApproximateTimeSynchronizer)
        for name in ('rgb', 'nir', 'thermal'):
            send(inputs, name, PERIOD)
        assert [[m.header.frame_id for m in s] for s in sets] == [['thermal', 'nir', 'rgb']]

    def test_time_offsets_are_refused(self, connected):
        with pytest.raises(RigError, match='adaptive'):
            connected(config(policy='approximate_time', offsets={'nir': 5}))


def test_subscribers_of_a_node_as_inputs(ros):
    node = ros.node()
    names = ('thermal', 'nir', 'rgb')
    inputs = {
        name: message_filters.Subscriber(node, CameraInfo, f'{name}/camera_info') for name in names
    }
    synchronizer = synchronize(node, inputs, config())
    sets = []
    synchronizer.registerCallback(lambda *messages: sets.append(messages))
    publishers = {name: node.create_publisher(CameraInfo, f'{name}/camera_info', 10)
                  for name in names}  # fmt: skip
    ros.until(lambda: all(p.get_subscription_count() for p in publishers.values()))
    for index in range(5):
        for name in names:
            publishers[name].publish(CameraInfo(header=header(START + index * PERIOD, name)))
    ros.until(lambda: len(sets) >= 4)
