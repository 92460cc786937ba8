"""The measures against the values of the specification, and their invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.evaluation import metrics


def hands(seed: int, frames: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.05, (frames, 21, 3)) + np.array(
        [0.0, 0.0, 0.5]
    )


def shifted(distance: float, frames: int = 6) -> tuple[np.ndarray, np.ndarray]:
    truth = hands(1, frames)
    return truth + np.array([distance, 0.0, 0.0]), truth


@pytest.mark.parametrize(
    ('grid', 'expected'),
    [
        (metrics.ROOT_ALIGNED, 0.625),
        (metrics.CAMERA_SPACE, 0.791667),
        (metrics.SINGLE_HAND, 0.765625),
    ],
)
def test_auc_of_a_constant_19_mm(grid, expected):
    errors = np.full((5, 21), 0.019)
    assert metrics.auc(errors, grid) == pytest.approx(expected, abs=1e-6)


def test_auc_of_one_joint_with_four_errors():
    errors = np.array([[0.004], [0.012], [0.031], [0.060]])
    assert metrics.auc(errors, metrics.ROOT_ALIGNED) == pytest.approx(0.51875, abs=1e-9)
    assert metrics.auc(errors, metrics.CAMERA_SPACE) == pytest.approx(0.708333, abs=1e-6)


@pytest.mark.parametrize('grid', [metrics.ROOT_ALIGNED, metrics.CAMERA_SPACE, metrics.SINGLE_HAND])
def test_auc_ends(grid):
    assert metrics.auc(np.zeros((3, 21)), grid) == 1.0
    assert metrics.auc(np.full((3, 21), 0.1), grid) == 0.0


def test_grids_have_the_stated_steps():
    assert np.allclose(np.diff(metrics.CAMERA_SPACE.thresholds), 0.0025)
    assert np.allclose(np.diff(metrics.ROOT_ALIGNED.thresholds), 0.0025)
    assert np.allclose(np.diff(metrics.SINGLE_HAND.thresholds), 0.0025)


def test_pck_counts_an_error_on_the_threshold_as_inside():
    shares = metrics.pck(np.array([[0.06]]), metrics.CAMERA_SPACE.thresholds)
    assert shares[0, 24] == 1.0 and shares[0, 23] == 0.0


def test_mepe_is_the_shift_and_root_alignment_removes_it():
    predicted, truth = shifted(0.02)
    assert metrics.mepe(predicted, truth) == pytest.approx(0.02)
    assert metrics.wrist_error(predicted, truth) == pytest.approx(0.02)
    assert metrics.mepe_root_aligned(predicted, truth) == pytest.approx(0.0, abs=1e-12)
    assert metrics.mpjpe(predicted, truth) == pytest.approx(0.0, abs=1e-12)


def test_root_alignment_uses_twenty_joints_and_mpjpe_twenty_one():
    truth = hands(2)
    predicted = truth.copy()
    predicted[:, 1:] += [0.0, 0.021, 0.0]
    assert metrics.mepe_root_aligned(predicted, truth) == pytest.approx(0.021)
    assert metrics.mpjpe(predicted, truth) == pytest.approx(0.020)


def test_joint_means_come_first_when_counts_differ():
    truth = np.zeros((3, 21, 3))
    predicted = np.zeros((3, 21, 3))
    predicted[:, 0, 0] = (0.03, 0.03, 0.03)
    predicted[1:, 1] = np.nan
    predicted[0, 1, 0] = 0.09
    assert metrics.mepe(predicted, truth) == pytest.approx((0.03 + 0.09) / 21)


def test_a_missing_label_is_left_out_never_zero():
    predicted, truth = shifted(0.02)
    truth[0] = np.nan
    predicted[1] = np.nan
    assert metrics.mepe(predicted, truth) == pytest.approx(0.02)
    assert metrics.pa_mpjpe(predicted, truth) == pytest.approx(0.0, abs=1e-9)
    errors = metrics.joint_errors(predicted, truth)
    assert metrics.auc(errors) == pytest.approx(metrics.auc(errors[2:]))


def test_nothing_to_compare_is_nan():
    missing = np.full((2, 21, 3), np.nan)
    for measure in (metrics.mepe, metrics.mepe_root_aligned, metrics.mpjpe, metrics.pa_mpjpe,
                    metrics.wrist_error):  # fmt: skip
        assert np.isnan(measure(missing, hands(1, 2)))
    assert np.isnan(metrics.auc(metrics.joint_errors(missing, hands(1, 2))))


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match='twice'):
        metrics.joint_errors(hands(1, 2), hands(1, 3))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0.2, 5.0))
def test_pa_mpjpe_ignores_similarity_transforms(seed, scale):
    truth = hands(seed, 3)
    turn = Rotation.random(random_state=seed).as_matrix()
    predicted = scale * truth @ turn.T + [0.3, -0.2, 1.0]
    assert metrics.pa_mpjpe(predicted, truth) == pytest.approx(0.0, abs=1e-9)


def test_pa_mpjpe_does_not_accept_a_mirror_image():
    truth = hands(3)
    assert metrics.pa_mpjpe(truth * [-1.0, 1.0, 1.0], truth) > 0.01


def test_sigma_share_of_gaussian_errors_is_68_percent():
    generator = np.random.default_rng(0)
    truth = np.zeros((400, 21, 3))
    sigmas = np.array([0.002, 0.003, 0.010])
    predicted = truth + generator.normal(0.0, sigmas, truth.shape)
    covariance = np.broadcast_to(np.diag(sigmas**2), (400, 21, 3, 3)).copy()
    assert metrics.sigma_share(predicted, truth, covariance) == pytest.approx(0.6827, abs=0.01)
    assert metrics.sigma_share(predicted, truth, covariance / 100) < 0.1
    covariance[:] = np.nan
    assert np.isnan(metrics.sigma_share(predicted, truth, covariance))


def test_jitter_is_the_noise_along_each_axis():
    generator = np.random.default_rng(0)
    noise = generator.normal(0.0, [0.001, 0.002, 0.004], (600, 21, 3))
    still = hands(5, 1) + noise
    still[::7] = np.nan
    assert metrics.jitter(still) == pytest.approx([0.001, 0.002, 0.004], rel=0.05)
