"""message_filters: the semantics of the ROS package, and what happens around its traps."""

import threading
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('rclpy')
from builtin_interfaces.msg import Time as TimeMessage
from message_filters import (
    ApproximateTimeSynchronizer,
    SimpleFilter,
    Subscriber,
    TimeSynchronizer,
)
from rclpy.time import Time

MILLISECOND = 1_000_000


def message(stamp: int, name: str = '') -> SimpleNamespace:
    time = TimeMessage(sec=stamp // 10**9, nanosec=stamp % 10**9)
    return SimpleNamespace(header=SimpleNamespace(stamp=time), name=name, stamp=stamp)


def collect(synchronizer: SimpleFilter) -> list[tuple]:
    collected: list[tuple] = []
    synchronizer.registerCallback(lambda *messages: collected.append(messages))
    return collected


def test_simple_filter_passes_messages_and_registered_arguments_in_order():
    source, calls = SimpleFilter(), []
    first = source.registerCallback(lambda *given: calls.append(('first', given)), 'extra', 2)
    second = source.registerCallback(lambda *given: calls.append(('second', given)))
    source.signalMessage('a', 'b')
    assert (first, second) == (0, 1)
    assert calls == [('first', ('a', 'b', 'extra', 2)), ('second', ('a', 'b'))]


def test_exact_synchroniser_waits_for_equal_stamps():
    left, right = SimpleFilter(), SimpleFilter()
    collected = collect(TimeSynchronizer([left, right], 10))
    a, b, c = message(1), message(2), message(2)
    left.signalMessage(a)
    left.signalMessage(b)
    assert collected == []
    right.signalMessage(c)
    assert collected == [(b, c)]
    right.signalMessage(message(3))
    assert len(collected) == 1


def test_exact_synchroniser_forgets_the_oldest():
    left, right = SimpleFilter(), SimpleFilter()
    collected = collect(TimeSynchronizer([left, right], 2))
    for stamp in (1, 2, 3):
        left.signalMessage(message(stamp))
    for stamp in (1, 2, 3):
        right.signalMessage(message(stamp))
    assert [a.stamp for a, _ in collected] == [2, 3]


def test_exact_synchroniser_takes_rclpy_times():
    left, right = SimpleFilter(), SimpleFilter()
    collected = collect(TimeSynchronizer([left, right], 2))
    for source in (left, right):
        source.signalMessage(SimpleNamespace(header=SimpleNamespace(stamp=Time(nanoseconds=5))))
    assert len(collected) == 1


def test_approximate_synchroniser_takes_the_nearest_within_slop():
    sources = [SimpleFilter() for _ in range(3)]
    collected = collect(ApproximateTimeSynchronizer(sources, 10, 0.02))
    sources[0].signalMessage(message(100 * MILLISECOND))
    sources[1].signalMessage(message(95 * MILLISECOND))
    sources[1].signalMessage(message(103 * MILLISECOND))
    sources[2].signalMessage(message(104 * MILLISECOND))
    assert [[m.stamp // MILLISECOND for m in found] for found in collected] == [[100, 103, 104]]
    sources[0].signalMessage(message(96 * MILLISECOND))
    sources[2].signalMessage(message(97 * MILLISECOND))
    assert [m.stamp // MILLISECOND for m in collected[1]] == [96, 95, 97]


@pytest.mark.parametrize(('spread', 'matches'), [(19_999_999, 1), (20_000_000, 0)])
def test_spread_must_be_below_slop(spread, matches):
    left, right = SimpleFilter(), SimpleFilter()
    collected = collect(ApproximateTimeSynchronizer([left, right], 10, 0.02))
    left.signalMessage(message(10**9))
    right.signalMessage(message(10**9 + spread))
    assert len(collected) == matches


def test_approximate_synchroniser_drops_headerless_messages_unless_allowed():
    for positional in (False, True):
        left, right = SimpleFilter(), SimpleFilter()
        # The Jazzy signature: allow_headerless in fourth place.
        collected = collect(ApproximateTimeSynchronizer([left, right], 5, 10.0, positional))
        left.signalMessage(SimpleNamespace(name='no header'))
        right.signalMessage(SimpleNamespace(name='none either'))
        assert len(collected) == (1 if positional else 0)


def test_kilted_arguments_by_name():
    left, right = SimpleFilter(), SimpleFilter()
    synchronizer = ApproximateTimeSynchronizer(
        fs=[left, right],
        queue_size=5,
        slop=10.0,
        queue_offset=False,
        allow_headerless=False,
        sync_arrival_time=True,
    )
    collected = collect(synchronizer)
    left.signalMessage(message(1))
    right.signalMessage(message(10**15))  # far apart by stamp, together on arrival
    assert len(collected) == 1


def test_offsets_are_refused_with_the_reason():
    with pytest.raises(ValueError, match='queue_offset'):
        ApproximateTimeSynchronizer([SimpleFilter()], 5, 0.1, queue_offset=[5])


@pytest.mark.parametrize(
    'make', [TimeSynchronizer, lambda f, q: ApproximateTimeSynchronizer(f, q, 0.01)]
)
def test_an_exception_in_a_callback_reaches_the_sender_and_locks_nothing(make):
    left, right = SimpleFilter(), SimpleFilter()
    synchronizer = make([left, right], 5)
    seen = []

    def callback(a, b):
        seen.append((a, b))
        if len(seen) == 1:
            raise RuntimeError('broken callback')

    synchronizer.registerCallback(callback)
    left.signalMessage(message(10**9))
    with pytest.raises(RuntimeError, match='broken callback'):
        right.signalMessage(message(10**9))
    left.signalMessage(message(2 * 10**9))
    right.signalMessage(message(2 * 10**9))
    assert len(seen) == 2


def test_a_callback_may_feed_its_own_synchroniser():
    left, right = SimpleFilter(), SimpleFilter()
    synchronizer = TimeSynchronizer([left, right], 5)
    seen = []

    def callback(a, b):
        seen.append(a.stamp)
        if a.stamp < 4:
            left.signalMessage(message(a.stamp + 1))
            right.signalMessage(message(a.stamp + 1))

    synchronizer.registerCallback(callback)
    left.signalMessage(message(1))
    right.signalMessage(message(1))
    assert seen == [1, 2, 3, 4]


def test_a_slow_callback_does_not_block_other_inputs():
    left, right = SimpleFilter(), SimpleFilter()
    synchronizer = TimeSynchronizer([left, right], 5)
    inside, leave = threading.Event(), threading.Event()
    seen, running, overlaps = [], [], []

    def callback(a, b):
        overlaps.append(len(running))
        running.append(a)
        seen.append(a.stamp)
        inside.set()
        assert leave.wait(10)
        running.pop()

    synchronizer.registerCallback(callback)
    left.signalMessage(message(1))
    left.signalMessage(message(2))
    slow = threading.Thread(target=right.signalMessage, args=(message(1),))
    slow.start()
    assert inside.wait(10)
    right.signalMessage(message(2))  # returns although the callback still runs
    assert seen == [1]
    leave.set()
    slow.join(10)
    assert seen == [1, 2]
    assert overlaps == [0, 0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 300)), min_size=1, max_size=60, unique=True
    )
)
def test_every_set_is_tight_and_every_message_is_used_once(arrivals):
    sources = [SimpleFilter() for _ in range(3)]
    collected = collect(ApproximateTimeSynchronizer(sources, 4, 0.02))
    for index, stamp in arrivals:
        sources[index].signalMessage(message(stamp * MILLISECOND, name=f'{index}/{stamp}'))
    for found in collected:
        stamps = [m.stamp for m in found]
        assert max(stamps) - min(stamps) < 20 * MILLISECOND
        assert [m.name.split('/')[0] for m in found] == ['0', '1', '2']
    used = [m.name for found in collected for m in found]
    assert len(used) == len(set(used))


def test_subscriber_subscribes_and_lends_the_attributes_of_the_subscription():
    created = {}

    class Node:
        def create_subscription(self, msg_type, topic, callback, **options):
            created.update(msg_type=msg_type, topic=topic, callback=callback, options=options)
            return SimpleNamespace(topic_name='/resolved')

    subscriber = Subscriber(Node(), dict, 'camera/image', qos_profile=3, callback_group='g')
    seen = []
    subscriber.registerCallback(seen.append)
    created['callback']('message')
    assert seen == ['message']
    assert created['options'] == {'qos_profile': 3, 'callback_group': 'g'}
    assert (subscriber.getTopic(), subscriber.topic_name) == ('camera/image', '/resolved')
    with pytest.raises(AttributeError):
        _ = subscriber.no_such_attribute
