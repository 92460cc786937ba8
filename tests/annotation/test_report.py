"""Report: counts and errors."""

import numpy as np
import pytest

from hand_pose_ros.annotation.report import summary
from hand_pose_ros.sessions.labels import FITTED, INTERPOLATED, SessionLabels


def labels():
    made = SessionLabels.empty(np.arange(4), np.arange(4), 'frame')
    made.joints[:3, 0] = 0.0
    made.origin[:3, 0] = FITTED, FITTED, INTERPOLATED
    made.quality[:3, 0] = 0.9, 0.6, 0.3
    made.residuals['pixels'] = np.full((4, 2), np.nan)
    made.residuals['pixels'][0, 0] = 2.0
    return made


def test_counts_quality_and_residuals():
    report = summary(labels(), None)
    assert (report['frames'], report['frames_with_hands'], report['hands']) == (4, 3, 3)
    assert report['sides']['left'] == {
        'fitted': 2, 'interpolated': 1, 'corrected': 0, 'quality': 0.6,
        'median_residuals': {'pixels': 2.0},
    }  # fmt: skip
    assert report['sides']['right']['quality'] is None
    assert 'truth' not in report


def test_errors_against_the_truth():
    truth = labels()
    truth.joints[:3, 0] = [0.003, 0.0, 0.004]
    truth.origin[:] = 0
    truth.origin[1:3, 0] = FITTED
    truth.origin[2, 1] = FITTED
    errors = summary(labels(), truth)['truth']
    assert (errors['hands'], errors['missed'], errors['false']) == (3, 1, 1)
    assert errors['joint_error_mm']['mean'] == pytest.approx(5.0)
    assert errors['wrist_relative_error_mm']['mean'] == pytest.approx(0.0)


def test_no_hand_at_all():
    empty = SessionLabels.empty(np.arange(2), np.arange(2), 'frame')
    report = summary(empty, empty)
    assert report['hands'] == 0 and report['truth']['joint_error_mm'] is None
