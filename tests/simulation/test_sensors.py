"""Sensor models: values mean what they say, noise is as strong as it should be."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.rig.depth import DepthValues
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.thermal import ThermalValues, celsius
from hand_pose_ros.simulation import depth as depth_sensor
from hand_pose_ros.simulation import thermal as thermal_sensor
from hand_pose_ros.simulation.rasterizer import Fragments
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.simulation.sensors import NoiseTable, ambient_occlusion, stamp_number

RIG = find_rig('simulated_head_rig')
SECOND = 1_000_000_000


def simulation(stream, **changes):
    """The static scene with one camera's description changed."""
    changed = replace(RIG.cameras[stream], **changes)
    return SimulatedRig(
        replace(RIG, cameras={**RIG.cameras, stream: changed}), seed=2, scenario='static'
    )


def palm_pixels(sim, stream, stamp=0):
    """Pixels at the middle of both palms."""
    points = []
    for hand in sim.truth(stamp):
        pixels = hand.joints_2d[stream]
        points.append(np.rint(pixels[[0, 5, 17]].mean(0)).astype(int))
    return points


def test_thermal_counts_are_the_temperature_of_skin_table_and_cloth():
    sim = simulation('thermal')
    image = sim.render('thermal', 0)
    degrees = celsius(image, RIG.cameras['thermal'].values)
    for column, row in palm_pixels(sim, 'thermal'):
        assert 31 < degrees[row, column] < 36
    assert 20 < np.percentile(degrees, 5) < 23.5
    for hand in sim.truth(0):
        column, row = np.rint(hand.joints_2d['thermal'][8]).astype(int)
        palm_column, palm_row = np.rint(hand.joints_2d['thermal'][9]).astype(int)
        tip = degrees[row - 1 : row + 2, column - 1 : column + 2].max()
        assert tip < degrees[palm_row, palm_column], 'finger tips are cooler'


def test_black_hot_and_eight_bit_thermal():
    values = replace(RIG.cameras['thermal'].values, white_hot=False)
    white, black = simulation('thermal'), simulation('thermal', values=values)
    a, b = white.render('thermal', 5).astype(int), black.render('thermal', 5).astype(int)
    np.testing.assert_array_equal(a + b, 65535)
    plain = simulation('thermal', encoding='mono8', values=ThermalValues(kind='none'))
    image = plain.render('thermal', 5)
    assert image.dtype == np.uint8
    for column, row in palm_pixels(plain, 'thermal'):
        assert image[row, column] > np.median(image) + 50


def test_temporal_noise_has_the_netd_and_the_pattern_stays():
    sim = simulation('thermal')
    images = np.array([sim.render('thermal', k * SECOND) for k in range(40)], np.float64) * 0.04
    corner = images[:, :60, :60]
    temporal = corner.std(axis=0).mean()
    assert temporal == pytest.approx(thermal_sensor.NETD, rel=0.25)
    mean = corner.mean(axis=0)
    pattern = mean - np.median(mean, axis=1, keepdims=True)
    assert pattern.std() > thermal_sensor.FIXED_PATTERN / 2


def test_nir_gets_darker_with_distance():
    sim = SimulatedRig(RIG, seed=0, scenario='normal')
    levels = []
    for k in range(40):
        stamp = k * SECOND
        image = sim.render('nir', stamp)
        for hand, (column, row) in zip(sim.truth(stamp), palm_pixels(sim, 'nir', stamp),
                                       strict=True):  # fmt: skip
            distance = np.linalg.norm(hand.joints[9])
            levels.append((distance, image[row, column]))
    distances, values = np.array(levels, dtype=float).T
    assert np.corrcoef(1 / distances**2, values)[0, 1] > 0.5
    assert np.mean(values >= 250) < 0.1, 'hands are not saturated'
    assert values.min() > 25


def test_depth_is_metric_with_noise_that_grows():
    sim = simulation('depth')
    stamps = [k * SECOND for k in range(30)]
    images = np.array([sim.render('depth', stamp) for stamp in stamps], np.float64) * 0.001
    for column, row in palm_pixels(sim, 'depth'):
        patch = images[:, row - 3 : row + 4, column - 3 : column + 4]
        centre = patch.mean()
        assert patch.std(axis=0).mean() == pytest.approx(
            depth_sensor.NOISE_AT_METRE * centre**2, rel=0.4
        )
    for hand in sim.truth(0):
        column, row = np.rint(hand.joints_2d['depth'][9]).astype(int)
        surface = images[:, row, column].mean()
        from_rig = RIG.cameras['depth'].T_rig_cam
        reference = RIG.reference_camera.T_rig_cam
        joint = np.linalg.inv(from_rig) @ reference @ np.append(hand.joints[9], 1)
        assert 0 < joint[2] - surface < 0.02, 'the skin lies up to 2 cm before the knuckle'


def test_depth_has_holes_at_edges_only_and_keeps_its_range():
    sim = simulation('depth', values=DepthValues(scale=0.001, minimum=0.1, maximum=0.7))
    image = sim.render('depth', 0)
    assert image.max() <= 701
    inside = image[image > 0]
    assert inside.min() >= 100
    wide = simulation('depth').render('depth', 0)
    for column, row in palm_pixels(sim, 'depth'):
        assert (wide[row - 4 : row + 5, column - 4 : column + 5] > 0).all()
    assert 500 < (wide == 0).sum() < 0.05 * wide.size


def test_float_depth_has_nan_where_integer_depth_has_zero():
    metres = simulation('depth', encoding='32FC1').render('depth', 0)
    counts = simulation('depth').render('depth', 0)
    assert metres.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(metres), counts == 0)
    np.testing.assert_allclose(metres[counts > 0], counts[counts > 0] * 0.001, atol=6e-4)


def test_colour_order_follows_the_encoding():
    rgb, bgr = simulation('rgb'), simulation('rgb', encoding='bgr8')
    a, b = rgb.render('rgb', 0), bgr.render('rgb', 0)
    for column, row in palm_pixels(rgb, 'rgb'):
        patch = np.s_[row - 5 : row + 6, column - 5 : column + 6]
        red, _, blue = a[patch].mean((0, 1))
        assert red > blue + 15, 'skin is redder than blue'
        np.testing.assert_allclose(a[patch].mean((0, 1)), b[patch].mean((0, 1))[::-1], atol=2)


def test_noise_windows_differ_and_repeat():
    table = NoiseTable((40, 50), 2.0, np.int8, seed=1)
    assert table.window(1).shape == (40, 50)
    np.testing.assert_array_equal(table.window(7), table.window(7))
    assert any((table.window(1) != table.window(k)).any() for k in (2, 3))
    assert table.window(3).std() == pytest.approx(2.0, rel=0.1)


def test_stamp_numbers_spread_evenly():
    numbers = [stamp_number(k * 33_333_333, 5) % 100 for k in range(5000)]
    counts = np.bincount(numbers, minlength=100)
    assert counts.min() > 20
    assert counts.max() < 90
    assert stamp_number(3, 4) == stamp_number(3, 4) != stamp_number(3, 5)


def test_occlusion_darkens_what_lies_behind():
    depth = np.full((40, 40), 0.40, np.float32)
    depth[10:30, 18:22] = 0.42
    fragments = Fragments(
        box=np.s_[0:40, 0:40], depth=depth, attributes=np.zeros((40, 40, 1), np.float32)
    )
    light = ambient_occlusion(fragments, 6)
    assert light[20, 20] < 0.3
    assert light[20, 5] == 1
