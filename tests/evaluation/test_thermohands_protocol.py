"""ThermoHands' measures: the unit values of the specification, grids beside numbers."""

import numpy as np
import pytest

from hand_pose_ros.evaluation.metrics import ROOT_ALIGNED
from hand_pose_ros.evaluation.thermohands_protocol import evaluate_thermohands, grid_name


def hands(count=6, seed=0):
    return np.random.default_rng(seed).uniform(-0.1, 0.1, (count, 2, 21, 3)) + np.array([0, 0, 0.5])


def value(result, name, column=-1):
    for table in result.tables:
        for row in table.rows:
            if row.name.startswith(name):
                return row.values[column]
    raise AssertionError(name)


def test_no_error_is_perfect():
    truth = hands()
    result = evaluate_thermohands(truth, truth)
    assert result.headline['mepe_mm'] == pytest.approx(0)
    for name in ('auc_camera_0_90', 'auc_camera_0_80', 'auc_aligned_0_50'):
        assert result.headline[name] == pytest.approx(1)


def test_a_constant_error_of_19_mm_gives_the_stated_areas():
    truth = hands()
    result = evaluate_thermohands(truth + np.array([0, 0, 0.019]), truth)
    assert result.headline['mepe_mm'] == pytest.approx(19)
    assert result.headline['auc_camera_0_90'] == pytest.approx(0.791667, abs=1e-6)
    assert result.headline['auc_camera_0_80'] == pytest.approx(0.765625)
    assert result.headline['mepe_ra_mm'] == pytest.approx(0, abs=1e-9)  # common to wrist and rest
    moved = truth.copy()
    moved[:, :, 1:, 2] += 0.019
    aligned = evaluate_thermohands(moved, truth)
    assert aligned.headline['mepe_ra_mm'] == pytest.approx(19)  # 20 joints, the wrist left out
    assert aligned.headline['auc_aligned_0_50'] == pytest.approx(0.625)
    assert aligned.headline['mepe_mm'] == pytest.approx(19 * 20 / 21)


def test_four_errors_of_one_joint_give_the_stated_area():
    """4, 12, 31 and 60 mm; the other joints have no label."""
    truth = np.full((4, 2, 21, 3), np.nan)
    truth[:, :, 5] = 0.5
    guess = truth.copy()
    guess[:, :, 5, 0] += np.array([4, 12, 31, 60])[:, None] * 1e-3
    result = evaluate_thermohands(guess, truth)
    assert result.headline['auc_camera_0_90'] == pytest.approx(0.708333, abs=1e-6)
    truth[:, :, 0] = guess[:, :, 0] = 0.4
    assert evaluate_thermohands(guess, truth).headline['auc_aligned_0_50'] == pytest.approx(0.51875)


def test_a_hundred_millimetres_are_worth_nothing():
    truth = hands()
    result = evaluate_thermohands(truth + np.array([0.1, 0, 0]), truth)
    assert result.headline['auc_camera_0_90'] == 0
    assert value(result, 't = 50 mm') == 0


def test_every_area_states_its_grid():
    result = evaluate_thermohands(hands(), hands())
    names = [row.name for row in result.tables[0].rows if row.name.startswith('AUC')]
    assert names == [
        'AUC, camera space, 0-90 mm, 37 thresholds, step 2.5 mm',
        'AUC, camera space, 0-80 mm, 33 thresholds, step 2.5 mm',
        'AUC, wrist-aligned, 0-50 mm, 21 thresholds, step 2.5 mm',
    ]
    assert grid_name(ROOT_ALIGNED) in names[2]
    assert [len(curve.thresholds) for curve in result.curves] == [37, 37, 21, 21]


def test_sides_are_measured_by_themselves():
    truth = hands()
    guess = truth.copy()
    guess[:, 0] += [0.01, 0, 0]
    guess[:, 1] += [0, 0.03, 0]
    result = evaluate_thermohands(guess, truth)
    row = result.tables[0].rows[0]
    assert row.values == pytest.approx((10, 30, 20))
    assert result.tables[0].columns == ('left', 'right', 'mean of both')


def test_padding_and_missing_labels_change_nothing():
    truth = hands(8)
    guess = truth + np.array([0.005, 0, 0])
    truth[6], guess[7, 1] = np.nan, np.nan
    guess[5] += 9.0
    padding = np.ones(8)
    padding[5] = 0
    result = evaluate_thermohands(guess, truth, padding)
    assert result.headline['mepe_mm'] == pytest.approx(5)
    assert result.conditions['frames'] == '7'
    assert result.conditions['hands'] == 'left: 6 of 6 found, right: 5 of 6 found'
    assert value(result, 'labelled hands found', 1) == pytest.approx(100 * 5 / 6)


def test_nothing_to_compare_is_no_number():
    empty = np.full((2, 2, 21, 3), np.nan)
    result = evaluate_thermohands(empty, empty)
    assert np.isnan(result.headline['mepe_mm'])
    assert np.isnan(value(result, 't = 10 mm'))


def test_joints_are_averaged_before_joints_are():
    """A joint labelled once weighs as much as one labelled always."""
    truth = np.full((4, 2, 21, 3), np.nan)
    truth[:, :, 0] = 0.5
    truth[0, :, 1] = 0.5
    guess = truth.copy()
    guess[0, :, 1, 0] += 0.02
    result = evaluate_thermohands(guess, truth)
    assert result.headline['mepe_mm'] == pytest.approx(10)
    assert result.joints['thumb_cmc'] == pytest.approx(20)
