"""Stage timer: all stages are there, times add up, errors do not lose them."""

import time

import pytest

from hand_pose_ros.estimators.stage_timer import StageTimer


def test_times_of_a_stage_add_up_and_start_anew():
    timer = StageTimer('look', 'fit')
    for _ in range(2):
        with timer.stage('look'):
            time.sleep(0.002)
    assert timer.seconds['look'] >= 0.004 and timer.seconds['fit'] == 0.0
    before = timer.seconds
    timer.begin()
    assert timer.seconds == {'look': 0.0, 'fit': 0.0}
    assert before['look'] >= 0.004


def test_a_stage_that_fails_is_timed_and_its_error_goes_on():
    timer = StageTimer('fit')
    with pytest.raises(ValueError, match='no'), timer.stage('fit'):
        time.sleep(0.001)
        raise ValueError('no')
    assert timer.seconds['fit'] > 0
