"""The simulated camera driver: pace, stamps, drops, options."""

import itertools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.cameras import registry
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.description import find_rig

RIG = find_rig('simulated_head_rig')
INTERVAL = 1e9 / 30


def driver(stream='thermal', rig=RIG, **options):
    description = replace(rig.cameras[stream], driver_options={'scenario': 'static', **options})
    return registry.create(description, rig)


def take(stream, count, **options):
    camera = driver(stream, offline=True, **options)
    camera.open()
    samples = list(itertools.islice(camera.samples(), count))
    camera.close()
    return samples


def test_offline_is_deterministic_and_in_order():
    first, again = take('thermal', 8, seed=3), take('thermal', 8, seed=3)
    assert [s.stamp for s in first] == [s.stamp for s in again]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
    stamps = np.array([s.stamp for s in first])
    assert (np.diff(stamps) > 0).all()
    assert all(s.encoding == 'mono16' for s in first)


def test_rate_and_jitter_are_as_asked():
    camera = driver('nir', offline=True, jitter=0.05, drop=0.0)
    stamps = np.array([camera._clock.exposure(k) for k in range(3000)])
    steps = np.diff(stamps)
    assert steps.mean() == pytest.approx(INTERVAL, rel=1e-3)
    assert (steps > 0).all()
    # The jitter of one exposure shows twice in the differences.
    assert steps.std() == pytest.approx(0.05 * INTERVAL * np.sqrt(2), rel=0.1)


def test_drops_are_counted_and_as_frequent_as_asked():
    samples = take('thermal', 40, drop=0.5, seed=1)
    dropped = sum(s.dropped for s in samples)
    assert 20 < dropped < 70
    numbers = np.rint(np.diff([s.stamp for s in samples]) / INTERVAL).astype(int)
    assert numbers.tolist() == [s.dropped + 1 for s in samples[1:]]
    assert sum(s.dropped for s in take('thermal', 20, drop=0.0)) == 0


def test_cameras_of_one_sensor_fire_together_and_others_do_not():
    nir, depth, rgb = (
        [s.stamp for s in take(name, 5, drop=0.0)] for name in ('nir', 'depth', 'rgb')
    )
    assert nir == depth
    assert set(nir).isdisjoint(rgb)


def test_only_the_reference_stream_carries_the_truth():
    sample = take('thermal', 1)[0]
    hands = sample.extras['truth']
    assert [hand.side for hand in hands] == ['left', 'right']
    assert hands[0].joints.shape == (21, 3)
    assert take('rgb', 1)[0].extras == {}


def test_duration_and_start():
    start = 1_700_000_000_000_000_000
    camera = driver('thermal', offline=True, duration=0.5, start=start, drop=0.0)
    camera.open()
    stamps = [s.stamp for s in camera.samples()]
    assert len(stamps) in (14, 15, 16)
    assert start <= stamps[0] < start + 2 * INTERVAL
    assert stamps[-1] < start + 0.5e9


def test_a_time_offset_makes_stamps_late_but_not_the_image():
    offset = 7_000_000
    late = replace(RIG.cameras['thermal'], time_offset=offset)
    rig = replace(RIG, cameras={**RIG.cameras, 'thermal': late}, synchronizer=None)
    camera = driver('thermal', rig=rig, offline=True)
    camera.open()
    sample = next(camera.samples())
    plain = take('thermal', 1)[0]
    assert sample.stamp == plain.stamp + offset
    np.testing.assert_array_equal(sample.image, plain.image)


def test_live_keeps_pace_with_the_clock_and_stops_at_once():
    camera = driver('thermal', drop=0.0)
    assert camera.live
    camera.open()
    samples, ages = [], []

    def work():
        for sample in camera.samples():
            ages.append(time.time_ns() - sample.stamp)
            samples.append(sample)

    thread = threading.Thread(target=work)
    started = time.monotonic()
    thread.start()
    time.sleep(1.0)
    camera.close()
    thread.join(timeout=1.0)
    assert not thread.is_alive()
    elapsed = time.monotonic() - started
    delivered = len(samples) + sum(s.dropped for s in samples)
    assert delivered == pytest.approx(30 * elapsed, abs=4)
    assert min(ages) > 0, 'no image comes from the future'
    assert (np.diff([s.stamp for s in samples]) > 0).all()
    camera.close()


def test_a_slow_consumer_loses_images_and_is_told():
    camera = driver('thermal', drop=0.0)
    camera.open()
    samples = []
    for sample in camera.samples():
        samples.append(sample)
        time.sleep(0.12)
        if len(samples) == 4:
            camera.close()
    assert len(samples) == 4
    assert all(sample.dropped >= 2 for sample in samples[1:])
    steps = np.rint(np.diff([s.stamp for s in samples]) / INTERVAL).astype(int)
    assert steps.tolist() == [s.dropped + 1 for s in samples[1:]]


def test_cameras_of_one_rig_share_one_simulation():
    one, two = driver('nir', offline=True), driver('depth', offline=True)
    one.open()
    two.open()
    assert one._simulation is two._simulation


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'sede': 1}, 'sede does not exist, use one of scenario, seed'),
        ({'seed': 'one'}, 'seed must be of type int'),
        ({'seed': True}, 'seed must be of type int'),
        ({'offline': 1}, 'offline must be of type bool'),
        ({'drop': 2.0}, r'drop must be in 0 \.\. 0\.9'),
        ({'jitter': -0.1}, 'jitter must be in'),
        ({'jitter': float('nan')}, 'jitter must be in'),
    ],
)
def test_bad_options_name_the_key(options, message):
    with pytest.raises(CameraError, match=f'cameras.thermal.driver_options.{message}'):
        driver('thermal', **options)


def test_wrong_scenario_and_use_before_open():
    with pytest.raises(CameraError, match="scenario 'juggle'"):
        driver('thermal', scenario='juggle').open()
    with pytest.raises(CameraError, match='open the simulated camera'):
        next(driver('thermal').samples())
