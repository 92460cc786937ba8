"""From a device's clock to Unix time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.cameras.clock_mapping import ClockMapping, RisingStamps

MILLISECOND = 1_000_000
PERIOD = 33_333_333
EPOCH = 1_800_000_000_000_000_000


def mapped(stamps, arrivals, **options):
    mapping = ClockMapping(**options)
    return np.array(
        [mapping.to_unix(int(s), int(a)) for s, a in zip(stamps, arrivals, strict=True)]
    )


@given(st.lists(st.integers(0, 30), min_size=40, max_size=80), st.integers(-(10**15), 10**15))
def test_jitter_of_transport_goes_and_stamps_rise(delays, device_start):
    stamps = device_start + PERIOD * np.arange(len(delays))
    truth = EPOCH + PERIOD * np.arange(len(delays))
    least = min(delays[:5])
    delays = np.maximum(delays, least) * MILLISECOND
    times = mapped(stamps, truth + delays)
    assert (np.diff(times) > 0).all()
    # From the least delay on, all that is left is that delay, the same for all.
    assert (times[5:] - truth[5:] == least * MILLISECOND).all()


def test_a_drifting_clock_is_followed():
    count = 30 * 120
    truth = EPOCH + PERIOD * np.arange(count)
    for drift in (-100e-6, 100e-6):
        stamps = (PERIOD * np.arange(count) * (1 + drift)).round().astype(np.int64)
        delays = np.random.default_rng(0).exponential(4 * MILLISECOND, count).astype(np.int64)
        times = mapped(stamps, truth + delays)
        error = (times - truth) / MILLISECOND
        assert np.abs(error[300:]).max() < 2.0
        assert (np.diff(times) > 0).all()


def test_a_device_that_starts_again_is_mapped_anew():
    stamps = [*range(0, 10 * PERIOD, PERIOD), *range(0, 5 * PERIOD, PERIOD)]
    arrivals = EPOCH + PERIOD * np.arange(15) + MILLISECOND
    assert (mapped(stamps, arrivals) == arrivals).all()


def test_a_host_clock_that_is_set_is_followed():
    stamps = PERIOD * np.arange(20)
    for step in (-3600, 3600):
        arrivals = EPOCH + stamps + np.where(np.arange(20) < 10, 0, step * 1000 * MILLISECOND)
        assert (mapped(stamps, arrivals) == arrivals).all()


def test_a_clock_that_stands_still_is_not_believed():
    arrivals = EPOCH + PERIOD * np.arange(20)
    assert (mapped(np.full(20, 5), arrivals) == arrivals).all()


def test_streams_of_one_device_keep_their_distance():
    """A stream that takes longer to arrive gets the same stamps as one that does not."""
    mapping = ClockMapping()
    for number in range(10):
        stamp = number * PERIOD
        quick = mapping.to_unix(stamp, EPOCH + stamp + 2 * MILLISECOND, 'depth')
        slow = mapping.to_unix(stamp, EPOCH + stamp + 40 * MILLISECOND, 'color')
        assert quick == slow == EPOCH + stamp + 2 * MILLISECOND


def test_stamps_rise_while_the_mapping_settles():
    """The first image of a device may come very late."""
    mapping, rising = ClockMapping(), RisingStamps()
    delays = np.array([300, 200, 100, *[5] * 20]) * MILLISECOND
    stamps = PERIOD * np.arange(len(delays))
    times = [
        rising.next(mapping.to_unix(int(s), int(EPOCH + s + d)))
        for s, d in zip(stamps, delays, strict=True)
    ]
    assert (np.diff(times) > 0).all()
    assert times[-1] == EPOCH + stamps[-1] + 5 * MILLISECOND


def test_a_clock_that_was_set_back_is_followed():
    rising = RisingStamps()
    assert [rising.next(stamp) for stamp in (10**12, 10**12 - 5, 10**11)] == [
        10**12, 10**12 + 1, 10**11,
    ]  # fmt: skip
