"""The summary counts what was there and what was found."""

import json

import numpy as np

from hand_pose_ros.evaluation.summary import summarise


def test_counts_and_millimetres():
    truth = np.random.default_rng(0).normal(0, 0.05, (4, 21, 3))
    predicted = truth + np.array([0.0, 0.0, 0.012])
    truth[3] = np.nan
    predicted[0] = np.nan
    result = summarise(predicted, truth)
    assert (result.frames, result.found) == (3, 2)
    assert abs(result.mepe_mm - 12.0) < 1e-9 and abs(result.wrist_mm - 12.0) < 1e-9


def test_missing_figures_are_null_in_json():
    missing = np.full((2, 21, 3), np.nan)
    figures = summarise(missing, missing).as_dict()
    assert figures['mepe_mm'] is None and figures['frames'] == 0
    json.loads(json.dumps(figures, allow_nan=False))
