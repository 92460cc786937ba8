"""ARCTIC's measures: invariances, the rule of valid hands, means in their order."""

import numpy as np
import pytest

from hand_pose_ros.errors import DataError
from hand_pose_ros.evaluation.arctic_protocol import (
    HandArrays,
    evaluate_arctic,
    hand_pa_mpjpe,
    valid_hands,
)

SIZE = (640, 480)


def hands(count=5, seed=0):
    return np.random.default_rng(seed).uniform(-0.1, 0.1, (count, 2, 21, 3)) + np.array([0, 0, 0.5])


def pixels(count=5, seed=1):
    return np.random.default_rng(seed).uniform(50, 400, (count, 2, 21, 2))


def measured(predicted, truth, **options):
    return evaluate_arctic(HandArrays(joints=predicted), HandArrays(joints=truth), **options)


def rotation(seed=0):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.linalg.det(q)


def test_a_constant_error_of_19_mm_on_all_but_the_root():
    truth = hands()
    guess = truth.copy()
    guess[:, :, 1:, 1] += 0.019
    headline = measured(guess, truth).headline
    assert headline['mpjpe_mm'] == pytest.approx(19 * 20 / 21)  # the root's zero is included
    assert headline['mrrpe_mm'] == pytest.approx(0, abs=1e-9)


def test_mpjpe_does_not_see_translation_and_mrrpe_only_the_relative_one():
    truth = hands()
    common = measured(truth + np.array([0.3, -0.1, 0.2]), truth).headline
    assert common['mpjpe_mm'] == pytest.approx(0, abs=1e-9)
    assert common['mrrpe_mm'] == pytest.approx(0, abs=1e-9)
    guess = truth.copy()
    guess[:, 0] += [0.03, 0.04, 0]
    relative = measured(guess, truth).headline
    assert relative['mpjpe_mm'] == pytest.approx(0, abs=1e-9)
    assert relative['mrrpe_mm'] == pytest.approx(50)


def test_pa_mpjpe_does_not_see_similarities_but_mirrors():
    truth = hands()
    similar = 1.7 * truth @ rotation().T + np.array([0.1, 0, 0.4])
    assert measured(similar, truth).headline['pa_mpjpe_mm'] == pytest.approx(0, abs=1e-6)
    assert measured(similar, truth).headline['mpjpe_mm'] > 10
    mirrored = truth * [-1, 1, 1]
    assert measured(mirrored, truth).headline['pa_mpjpe_mm'] > 10


def test_pa_mpjpe_is_that_of_the_other_measures():
    from hand_pose_ros.evaluation.metrics import pa_mpjpe

    truth, guess = hands(seed=2), hands(seed=3)
    assert hand_pa_mpjpe(guess, truth)[:, 0].mean() == pytest.approx(
        pa_mpjpe(guess[:, 0], truth[:, 0])
    )


def test_hands_count_with_root_and_three_joints_in_the_image():
    places = pixels()
    places[0, 0, 0] = [-1, 100]  # root outside
    places[1, 1, 2:] = [700, 100]  # two joints inside
    places[2, 1, 3:] = [100, 480]  # three inside: enough; 480 is the first row outside
    places[3, 0] = np.nan  # not labelled
    truth = HandArrays(pixels=places)
    expected = np.ones((5, 2), bool)
    expected[0, 0] = expected[1, 1] = expected[3, 0] = False
    assert (valid_hands(truth, SIZE) == expected).all()


def test_invalid_hands_take_no_part():
    truth, places = hands(), pixels()
    guess = truth.copy()
    guess[0, 0, 1:] += 5.0
    guess[0, 0, 0] += 1.0
    places[0, 0, 0] = [-1, -1]
    result = evaluate_arctic(
        HandArrays(joints=guess, pixels=places), HandArrays(joints=truth, pixels=places),
        image_size=SIZE,
    )  # fmt: skip
    assert result.headline == pytest.approx(
        {'mpjpe_mm': 0, 'pa_mpjpe_mm': 0, 'mrrpe_mm': 0, 'pixels_224': 0}, abs=1e-6
    )
    assert 'left 4, right 5' in result.conditions['valid hands']
    assert 'in the image' in result.conditions['valid hands']


def test_mrrpe_needs_both_hands():
    truth = hands(2)
    guess = truth.copy()
    guess[0, 0] += 0.1
    truth[0, 1] = np.nan
    assert measured(guess, truth).headline['mrrpe_mm'] == pytest.approx(0, abs=1e-9)
    truth[1, 1] = np.nan
    assert np.isnan(measured(guess, truth).headline['mrrpe_mm'])


def test_hands_are_averaged_in_the_image_before_images_are():
    truth = hands(2)
    guess = truth.copy()
    guess[0, :, 1:, 0] += 0.021  # both hands of one image: 20 mm each
    guess[1, 0, 1:, 0] += 0.063  # the only hand of the other: 60 mm
    truth[1, 1] = np.nan
    result = measured(guess, truth)
    assert result.headline['mpjpe_mm'] == pytest.approx(40)  # not the 33.3 of three hands
    row = next(row for row in result.tables[0].rows if row.name.startswith('MPJPE'))
    assert row.values[:2] == pytest.approx((40, 20))


def test_pixels_are_those_of_a_224_frame():
    places = pixels()
    result = evaluate_arctic(
        HandArrays(joints=hands(), pixels=places + np.array([0, 20.0])),
        HandArrays(joints=hands(), pixels=places), image_size=SIZE,
    )  # fmt: skip
    assert result.headline['pixels_224'] == pytest.approx(20 * 224 / 640)


def test_ego_exo4d_takes_the_first_labelled_joint_as_root():
    truth = hands()
    truth[:, :, :4] = np.nan
    guess = truth.copy()
    guess[:, :, 5:, 0] += 0.017
    result = measured(guess, truth, name='egoexo4d')
    assert result.headline['mpjpe_mm'] == pytest.approx(17 * 16 / 17)
    assert np.isnan(measured(guess, truth).headline['mpjpe_mm'])  # ARCTIC needs the wrist


def test_epic_is_measured_in_pixels_alone():
    places = pixels()
    result = evaluate_arctic(
        HandArrays(joints=hands(), pixels=places + 3.0), HandArrays(pixels=places), 'epic',
        image_size=SIZE,
    )  # fmt: skip
    assert set(result.headline) == {'pixels_224'}
    with pytest.raises(DataError, match='give pixels in both files and --image-size'):
        evaluate_arctic(HandArrays(joints=hands()), HandArrays(pixels=places), 'epic')


def test_missing_predictions_are_counted_and_missing_labels_refused():
    truth = hands(4)
    guess = truth.copy()
    guess[0, 0] = np.nan
    result = measured(guess, truth)
    row = result.tables[0].rows[-1]
    assert row.name == 'valid hands found'
    assert row.values == pytest.approx((75, 100, 87.5))
    assert result.headline['mpjpe_mm'] == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match='neither joints nor pixels'):
        evaluate_arctic(HandArrays(joints=guess), HandArrays())
    with pytest.raises(DataError, match='needs 3D joints'):
        evaluate_arctic(HandArrays(), HandArrays(pixels=pixels(4)))
