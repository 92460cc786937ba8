"""Lines of the offline output keep their format."""

import json

import numpy as np
import pytest

from hand_pose_ros.cli.records import frame_record, json_line
from tests.cli import hands

KEYS = ['side', 'track_id', 'state', 'score', 'joints', 'joints_2d', 'confidence', 'sigma', 'betas']


def test_the_format_of_a_line():
    line = json_line(frame_record(hands.frame(stamp=5), '01.png', [hands.hand()]))
    assert line.endswith('\n') and line.count('\n') == 1
    record = json.loads(line)
    assert list(record) == ['stamp', 'source', 'frame_id', 'spread_ms', 'hands']
    assert (record['stamp'], record['source'], record['spread_ms']) == (5, '01.png', 0.0)
    assert record['frame_id'] == 'thermal_optical_frame'
    (hand,) = record['hands']
    assert list(hand) == KEYS
    assert np.array(hand['joints']).shape == (21, 3)
    assert np.array(hand['joints_2d']['thermal']).shape == (21, 2)
    assert len(hand['confidence']) == len(hand['sigma']) == 21 and len(hand['betas']) == 10
    assert hand['sigma'] == pytest.approx([0.004] * 21)
    assert np.allclose(hand['joints'], hands.open_hand(), atol=1e-6)


def test_a_frame_without_hands_has_an_empty_list():
    assert frame_record(hands.frame(), 'a', [])['hands'] == []
    assert frame_record(hands.frame(), 'a', [hands.hand(state='lost')])['hands'] == []


def test_only_2d_has_null_joints():
    flat = hands.hand(covariance=None, parameters=None)
    flat = type(flat)(**{**flat.__dict__, 'joints': None})
    (record,) = frame_record(hands.frame(), 'a', [flat])['hands']
    assert record['joints'] is None and record['sigma'] is None and record['betas'] is None
    assert record['joints_2d']['thermal'][0] == [100.12, 100.12]


def test_what_is_not_finite_is_null():
    points = np.full((21, 2), np.nan)
    record = frame_record(hands.frame(), 'a', [hands.hand(joints_2d={'thermal': points})])
    assert json.loads(json_line(record))['hands'][0]['joints_2d']['thermal'][0] == [None, None]
