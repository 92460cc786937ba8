"""The synchroniser: exact scenarios, and what must hold for any stream of messages."""

import heapq

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hand_pose_ros.errors import RigError
from hand_pose_ros.rig.synchronizer import Synchronizer, SynchronizerConfig

MS = 1_000_000
STREAMS = ('thermal', 'nir', 'depth', 'rgb')
START = 1_700_000_000_000_000_000


def synchronizer(**options):
    return Synchronizer(SynchronizerConfig(**({'streams': STREAMS} | options)))


def feed(sync, messages):
    """Add (stream, stamp in ms) messages; the item is the message itself."""
    sets = []
    for stream, stamp in messages:
        sets += sync.add(stream, START + round(stamp * MS), (stream, stamp))
    return sets


def beat(count, period=33.0, streams=STREAMS, shift=None):
    """Messages of streams at one rate, in order of their stamps."""
    shift = shift or {}
    messages = [
        (stream, index * period + shift.get(stream, offset))
        for index in range(count)
        for offset, stream in enumerate(streams)
    ]
    return sorted(messages, key=lambda message: message[1])


def in_ms(found):
    return {stream: round((stamp - START) / MS, 3) for stream, stamp in found.stamps.items()}


def test_synced_streams_give_one_set_a_beat_at_once():
    sets = feed(synchronizer(), beat(30))
    assert len(sets) == 30
    assert all(not found.partial and found.spread == 3 * MS for found in sets)
    # From the third beat on the rates are known, and nothing waits for evidence.
    assert all(found.wait == 0 for found in sets[3:])
    assert in_ms(sets[0]) == {'thermal': 0, 'nir': 1, 'depth': 2, 'rgb': 3}


def test_items_are_those_of_the_stamps():
    for found in feed(synchronizer(), beat(10)):
        for stream, (name, stamp) in found.items.items():
            assert name == stream
            assert START + round(stamp * MS) == found.stamps[stream]


def test_a_drop_in_one_stream_gives_a_partial_set_and_disturbs_no_other():
    messages = [m for m in beat(30) if m != ('rgb', 10 * 33.0 + 3)]
    sets = feed(synchronizer(max_spread=100 * MS), messages)
    assert [found.partial for found in sets] == [index == 10 for index in range(30)]
    assert set(sets[10].stamps) == {'thermal', 'nir', 'depth'}
    assert max(found.spread for found in sets) == 3 * MS


def test_a_dropped_reference_image_skips_the_beat():
    messages = [m for m in beat(30) if m != ('thermal', 10 * 33.0)]
    sets = feed(synchronizer(), messages)
    assert len(sets) == 29
    assert not any(found.partial for found in sets)


@pytest.mark.parametrize('dead', STREAMS)
def test_a_dead_stream_does_not_stop_the_others(dead):
    messages = [m for m in beat(90) if m[0] != dead or m[1] < 1000]
    sync = synchronizer(timeout=150 * MS)
    sets = feed(sync, messages)
    late = [found for found in sets if min(in_ms(found).values()) > 1300]
    assert len(late) >= 48
    assert all(set(found.stamps) == set(STREAMS) - {dead} for found in late)
    # Once the silence is known, nobody waits for the dead stream any more.
    assert max(found.wait for found in late) < 34 * MS
    assert max(found.wait for found in sets) <= 190 * MS


@pytest.mark.parametrize('absent', STREAMS)
def test_a_stream_that_never_speaks_does_not_stop_the_others(absent):
    sets = feed(synchronizer(), beat(60, streams=[s for s in STREAMS if s != absent]))
    assert len(sets) >= 59
    assert all(found.partial for found in sets)


def test_a_dead_stream_that_comes_back_is_matched_again():
    messages = [m for m in beat(120) if m[0] != 'thermal' or not 1000 < m[1] < 2000]
    sets = feed(synchronizer(), messages)
    assert not any(found.partial for found in sets if min(in_ms(found).values()) > 2100)


def test_required_streams_are_never_missing():
    messages = [m for m in beat(60) if m[0] != 'depth' or m[1] < 1000]
    sets = feed(synchronizer(required=('thermal', 'depth')), messages)
    assert sets
    assert all({'thermal', 'depth'} <= set(found.stamps) for found in sets)
    assert max(in_ms(found)['thermal'] for found in sets) < 1000


def test_constant_offsets_are_taken_off():
    shift = {'thermal': 0, 'nir': 1, 'depth': 2, 'rgb': 150}
    sync = synchronizer(offsets={'rgb': 150 * MS})
    sets = feed(sync, beat(30, shift=shift))
    full = [found for found in sets if not found.partial]
    assert len(full) >= 25
    assert all(found.spread == 2 * MS for found in full)
    assert in_ms(full[5])['rgb'] == in_ms(full[5])['thermal']


def test_late_delivery_changes_nothing_but_the_wait():
    on_time = feed(synchronizer(), beat(60))
    sync = synchronizer()
    delivered = sorted(beat(60), key=lambda m: m[1] + (150 if m[0] == 'rgb' else 0))
    late = feed(sync, delivered)
    assert [found.stamps for found in late] == [found.stamps for found in on_time[: len(late)]]
    assert len(late) == 60


def test_slow_reference_takes_the_nearest_of_the_fast_streams():
    fast = beat(90, streams=('nir', 'depth', 'rgb'))
    slow = [('thermal', 17 + index * 1000 / 9) for index in range(26)]
    sets = feed(synchronizer(), sorted(fast + slow, key=lambda m: m[1]))
    assert len(sets) == 26
    for found in sets:
        stamps = in_ms(found)
        assert abs(stamps['nir'] - stamps['thermal']) <= 18


def test_fast_reference_shares_slow_streams_with_the_frame_they_fit():
    fast = [('thermal', index * 16.5) for index in range(120)]
    slow = beat(60, streams=('nir', 'depth', 'rgb'), shift={'nir': 1, 'depth': 2, 'rgb': 3})
    sets = feed(synchronizer(), sorted(fast + slow, key=lambda m: m[1]))
    full = [found for found in sets if not found.partial]
    assert len(full) >= 55
    assert all(found.spread == 3 * MS for found in full[3:])
    assert len(sets) >= 115


def test_spread_limit_leaves_out_what_does_not_fit():
    shift = {'thermal': 0, 'nir': 1, 'depth': 2, 'rgb': 15}
    sets = feed(synchronizer(max_spread=10 * MS), beat(30, shift=shift))
    assert len(sets) >= 29
    assert all(set(found.stamps) == {'thermal', 'nir', 'depth'} for found in sets)


def test_doubles_are_dropped_and_counted():
    messages = [message for message in beat(20) for _ in range(2)]
    sync = synchronizer()
    sets = feed(sync, messages)
    assert len(sets) == 20
    counters = sync.counters.streams['nir']
    assert (counters.received, counters.matched, counters.late) == (40, 20, 20)


def test_one_message_from_the_future_is_ignored():
    messages = beat(60)
    messages.insert(100, ('nir', 3_600_000.0))
    sync = synchronizer()
    sets = feed(sync, messages)
    assert len(sets) == 60
    assert not any(found.partial for found in sets)
    assert sync.counters.resets == 0
    assert sync.counters.streams['nir'].late == 1


def test_a_backward_jump_starts_anew_and_loses_nothing():
    sync = synchronizer()
    first, second = feed(sync, beat(90)), feed(sync, beat(90))
    assert (len(first), len(second)) == (90, 90)
    assert not any(found.partial for found in second)
    assert sync.counters.resets == 1


def test_a_forward_jump_starts_anew():
    sync = synchronizer()
    feed(sync, beat(30))
    sets = feed(sync, [(stream, stamp + 60_000) for stream, stamp in beat(30)])
    assert len(sets) == 30
    assert sync.counters.resets == 1


def test_a_very_short_recording_can_be_looped():
    sync = synchronizer()
    counts = [len(feed(sync, beat(5))) for _ in range(4)]
    assert sum(counts) >= 10
    assert sync.counters.resets >= 1


def test_one_stream_alone_survives_a_jump():
    sync = Synchronizer(SynchronizerConfig(streams=('thermal',)))
    for _ in range(3):
        assert len(feed(sync, beat(60, streams=('thermal',)))) >= 58


def test_reset_forgets_the_waiting_messages():
    sync = synchronizer()
    feed(sync, [('thermal', 0), ('nir', 1), ('depth', 2)])
    sync.reset()
    assert feed(sync, [('rgb', 3)]) == []
    assert sync.flush()[0].stamps.keys() == {'rgb'}


def test_poll_emits_what_waited_too_long_whatever_the_clock():
    for epoch in (0, 10**18):
        sync = synchronizer(timeout=100 * MS)
        feed(sync, [('thermal', 0), ('nir', 1)])
        assert sync.poll(epoch) == []
        assert sync.poll(epoch + 50 * MS) == []
        (found,) = sync.poll(epoch + 120 * MS)
        assert set(found.stamps) == {'thermal', 'nir'}
        assert found.partial
        assert found.wait == 120 * MS
        assert sync.poll(epoch + 500 * MS) == []


def test_flush_gives_the_rest():
    sync = synchronizer()
    assert feed(sync, beat(1)[:3]) == []
    (found,) = sync.flush()
    assert set(found.stamps) == {'thermal', 'nir', 'depth'}
    assert synchronizer().flush() == []
    assert synchronizer().poll(5) == []


def test_an_out_of_order_message_within_a_stream_is_put_in_its_place():
    messages = beat(30)
    place = messages.index(('nir', 10 * 33.0 + 1))
    late = messages.pop(place)
    messages.insert(place + 4, late)
    sync = synchronizer(max_spread=20 * MS)
    sets = feed(sync, messages)
    assert sync.counters.resets == 0
    assert len([found for found in sets if not found.partial]) >= 29


def test_queues_are_bounded():
    sync = synchronizer(queue_size=5, required=('rgb',))
    feed(sync, [('thermal', 10 * index) for index in range(100)])
    counters = sync.counters.streams['thermal']
    assert counters.received == 100
    assert counters.dropped >= 95


def test_unknown_stream_is_refused():
    with pytest.raises(RigError, match="no stream 'infrared', use one of thermal, nir"):
        synchronizer().add('infrared', 0, None)


def test_counters_add_up():
    sync = synchronizer()
    messages = [m for index, m in enumerate(beat(60)) if index % 7]
    sets = feed(sync, messages) + sync.flush()
    counters = sync.counters
    assert counters.sets == len(sets)
    assert counters.partial_sets == sum(found.partial for found in sets)
    assert counters.spread_max == max(found.spread for found in sets)
    assert counters.wait_max == max(found.wait for found in sets)
    for stream in STREAMS:
        assert counters.streams[stream].matched == sum(stream in found.stamps for found in sets)
        assert counters.streams[stream].received == sum(m[0] == stream for m in messages)


@st.composite
def traces(draw):
    """Four streams with their own rate, phase, jitter, drops, delay, and maybe an early death."""
    messages = []
    for stream in STREAMS:
        period = draw(st.sampled_from([16.7, 33.3, 50, 111]))
        phase = draw(st.floats(0, 50))
        delay = draw(st.floats(0, 120))
        end = draw(st.sampled_from([200, 900, 900, 900]))
        random = draw(st.randoms(use_true_random=False))
        stamp = phase
        while stamp < end:
            if random.random() > 0.1:
                arrival = stamp + delay + random.uniform(0, 3)
                messages.append((arrival, stream, round(stamp * MS)))
            stamp += period * random.uniform(0.7, 1.3)
    return sorted(messages)


def run(messages, **options):
    sync = synchronizer(**options)
    sets = []
    for index, (_, stream, stamp) in enumerate(messages):
        sets += sync.add(stream, START + stamp, index)
    return sync, sets


@settings(max_examples=30)
@given(traces(), st.sampled_from([5, 20, 40, 100]))
def test_any_trace_gives_monotone_disjoint_narrow_sets(messages, limit):
    sync, sets = run(messages, max_spread=limit * MS)
    sets += sync.flush()
    newest = dict.fromkeys(STREAMS, 0)
    seen = set()
    for found in sets:
        assert found.spread <= limit * MS
        assert found.spread == max(found.stamps.values()) - min(found.stamps.values())
        assert found.wait >= 0
        assert found.partial == (len(found.stamps) < len(STREAMS))
        for stream, stamp in found.stamps.items():
            assert stamp > newest[stream]
            newest[stream] = stamp
            index = found.items[stream]
            assert START + messages[index][2] == stamp
            assert index not in seen
            seen.add(index)


@settings(max_examples=30)
@given(traces())
def test_output_never_pauses_while_any_stream_speaks(messages):
    """Whatever dies, a set comes at least every time-out plus the longest gap between messages."""
    sync = synchronizer(timeout=100 * MS)
    assume(messages)
    last = newest = START + min(stamp for _, _, stamp in messages)
    for _, stream, stamp in messages:
        newest = max(newest, START + stamp)
        if sync.add(stream, START + stamp, None):
            last = newest
        # Longest period 111 ms * 1.3, a few drops in a row, delays up to 123 ms.
        assert newest - last <= 1000 * MS


@settings(max_examples=20)
@given(traces(), st.randoms(use_true_random=False))
def test_order_of_arrival_within_a_few_milliseconds_does_not_matter(messages, random):
    """Reordering streams against each other gives the same sets wherever rates are known."""
    by_stamp = sorted((stamp, stream) for _, stream, stamp in messages)
    jittered = {
        stream: [
            (stamp + random.uniform(0, 2 * MS), stamp, stream)
            for stamp, name in by_stamp
            if name == stream
        ]
        for stream in STREAMS
    }
    # Each stream delivers in order, as DDS does.
    for stream, arrivals in jittered.items():
        latest = 0.0
        for index, (arrival, stamp, _) in enumerate(arrivals):
            latest = max(latest, arrival)
            arrivals[index] = (latest, stamp, stream)
    shuffled = heapq.merge(*jittered.values())
    _, straight = run([(0, stream, stamp) for stamp, stream in by_stamp], timeout=400 * MS)
    _, mixed = run([(0, stream, stamp) for _, stamp, stream in shuffled], timeout=400 * MS)
    same = {tuple(found.stamps.items()) for found in straight}
    other = {tuple(found.stamps.items()) for found in mixed}
    assert len(same & other) >= 0.8 * min(len(same), len(other)) - 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'streams': ()}, 'distinct names'),
        ({'streams': ('a', 'a')}, 'distinct names'),
        ({'reference': 'lidar'}, "reference names 'lidar', use one of thermal"),
        ({'required': ('lidar',)}, 'required names'),
        ({'offsets': {'lidar': 1}}, 'offsets names'),
        ({'max_spread': -1}, 'max_spread must not be negative'),
        ({'timeout': -1}, 'timeout must not be negative'),
        ({'queue_size': 0}, 'at least 1'),
        ({'policy': 'exact'}, "'exact' is unknown"),
    ],
)
def test_configuration_mistakes_are_named(change, message):
    with pytest.raises(RigError, match=message):
        SynchronizerConfig(**({'streams': STREAMS} | change))
