"""A run read back from its bag."""

import numpy as np
import pytest

from hand_pose_ros.bags.schemas import message_text
from hand_pose_ros.errors import BagError
from hand_pose_ros.evaluation.live_run import read_run
from hand_pose_ros.evaluation.live_summary import after_warm_up, summarise_run

try:
    message_text('hand_pose_ros/msg/HandPose3DArray')
except BagError as missing:
    pytest.skip(f'no message files here: {missing}', allow_module_level=True)

from tests.evaluation import recorded

TOPICS = ('/hand_pose/hands', '/thermal/ground_truth')


def test_truth_is_interpolated_so_only_the_offset_is_error(tmp_path):
    run = read_run(recorded.write_run(tmp_path / 'bag', offset=0.010), *TOPICS)
    figures = run.accuracy('left')
    # The last result lies after the last truth and cannot be compared.
    assert (figures.frames, figures.found) == (29, 29)
    assert figures.mepe_mm == pytest.approx(10.0, abs=0.01)
    assert figures.wrist_mm == pytest.approx(10.0, abs=0.01)
    assert run.accuracy('right').frames == 0


def test_summary_of_a_run(tmp_path):
    run = read_run(recorded.write_run(tmp_path / 'bag'), *TOPICS)
    summary = summarise_run(run)
    assert summary.rate == pytest.approx(30.0, abs=0.01)
    assert summary.latency_p50_ms == pytest.approx(30.0, abs=0.01)
    assert summary.spread_max_ms == pytest.approx(4.0, abs=0.01)
    assert summary.stages_ms == pytest.approx({'fit': 5.0, 'landmarks': 10.0}, abs=0.01)
    assert summary.found_share == 1.0
    assert len(after_warm_up(run, 0.45).results) == 16


def test_hands_the_camera_does_not_see_do_not_count(tmp_path):
    path = recorded.write_run(tmp_path / 'bag', frames=4)
    run = read_run(path, *TOPICS)
    for entry in run.truth:
        entry.hands['left'].confidence[:] = 0.0
    assert run.accuracy('left').frames == 0
    assert summarise_run(run).found_share == 0.0


def test_lost_hands_have_no_joints():
    message = recorded.hand_message('left', np.ones((21, 3)), state=3)
    from hand_pose_ros.evaluation.live_run import recorded_hand

    assert np.isnan(recorded_hand(message).joints).all()


def test_a_missing_topic_and_mixed_frames_are_refused(tmp_path):
    path = recorded.write_run(tmp_path / 'bag', frames=2)
    with pytest.raises(BagError, match='no messages on /nothing'):
        read_run(path, '/nothing', TOPICS[1])
    mixed = recorded.write_run(tmp_path / 'mixed', frames=2, result_frame='depth_optical_frame')
    with pytest.raises(BagError, match='different frames'):
        read_run(mixed, *TOPICS)
