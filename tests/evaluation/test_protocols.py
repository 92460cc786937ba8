"""Protocols by name, from files and from what a network predicted."""

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.protocols import PROTOCOLS, evaluate_network, evaluate_protocol


def joints(count=4):
    return np.random.default_rng(0).uniform(-0.1, 0.1, (count, 2, 21, 3)) + np.array([0, 0, 0.5])


@pytest.fixture
def files(tmp_path):
    truth = joints()
    pixels = truth[..., :2] * 100 + 300
    np.savez(tmp_path / 'truth.npz', joints=truth, pixels=pixels)
    np.savez(
        tmp_path / 'guess.npz',
        joints=truth + np.array([0.01, 0, 0]),
        pixels=pixels + np.array([6.4, 0]),
    )
    return tmp_path / 'guess.npz', tmp_path / 'truth.npz'


@pytest.mark.parametrize('name', ['thermohands', 'arctic', 'h2o', 'assemblyhands', 'egoexo4d'])
def test_two_hand_protocols_read_arrays(files, name):
    result = evaluate_protocol(name, *files, image_size=(640, 480))
    assert result.protocol == name
    assert result.comparable
    if name == 'thermohands':
        assert result.headline['mepe_mm'] == pytest.approx(10)
    else:
        assert result.headline['mpjpe_mm'] == pytest.approx(0, abs=1e-9)
        assert result.headline['pixels_224'] == pytest.approx(2.24)


def test_epic_reads_pixels(files):
    result = evaluate_protocol('epic', *files, image_size=(640, 480))
    assert result.headline == pytest.approx({'pixels_224': 2.24})


def test_an_unknown_protocol_lists_those_that_exist(files):
    with pytest.raises(DataError, match="protocol 'kinect' does not exist: use one of nyu, icvl"):
        evaluate_protocol('kinect', *files)
    assert list(PROTOCOLS)[:3] == ['nyu', 'icvl', 'msra']


def test_a_network_s_output_is_measured_its_own_way():
    truth = joints()
    guess = truth + np.array([0.01, 0, 0])
    guess[0, 0] = np.nan
    conditions = {'setting': 'office'}
    for network, metric, expected in (
        ('therformer', 'mepe_mm', 10),
        ('wildhands', 'mpjpe_mm', 0),
        ('densereg', 'mean_error_mm', 10),
    ):
        result = evaluate_network(
            network, {'joints': guess}, {'joints': truth}, data='simulated:test',
            conditions=conditions,
        )  # fmt: skip
        assert result.headline[metric] == pytest.approx(expected, abs=1e-9)
        assert result.conditions['setting'] == 'office'
        assert not result.comparable  # nobody has published on the simulation
    assert 'densereg on simulated:test' in result.title
    assert result.headline['worst_joint_20_mm'] == pytest.approx(100 * 7 / 8)


def test_published_results_stand_beside_the_same_data_only():
    arrays = {'joints': joints()}
    there = evaluate_network('therformer', arrays, arrays, data='thermohands:test', conditions={})
    other = evaluate_network('therformer', arrays, arrays, data='h2o:test', conditions={})
    assert there.comparable
    assert not other.comparable
