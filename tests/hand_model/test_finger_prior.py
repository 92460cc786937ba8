"""How fingers usually lie."""

import numpy as np

from hand_pose_ros.hand_model.finger_prior import finger_prior
from hand_pose_ros.hand_model.kinematics import FittingModel
from hand_pose_ros.hand_model.model_files import load_hand_model

MODEL = FittingModel(load_hand_model('right'))
PRIOR = MODEL.finger_prior
FLEXION = MODEL.degrees[:, 1] == 2


def row(joint: int, angle: int = 2) -> int:
    return int(np.flatnonzero((MODEL.degrees == (joint, angle)).all(axis=1))[0])


def test_it_is_a_gaussian_of_hands_within_their_limits():
    np.testing.assert_allclose(PRIOR.precision, PRIOR.precision.T, rtol=1e-9)
    deviations = np.sqrt(np.linalg.eigvalsh(np.linalg.inv(PRIOR.precision)))
    assert deviations.min() > 0.05 and deviations.max() < 2.0
    assert (PRIOR.mean >= MODEL.lower).all() and (PRIOR.mean <= MODEL.upper).all()
    assert (PRIOR.mean[FLEXION] > 0.2).all()


def test_fingers_bend_together_and_may_spread():
    covariance = np.linalg.inv(PRIOR.precision)
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    for base in (0, 3, 6, 9):  # index, middle, little, ring: their joints bend together
        assert correlation[row(base), row(base + 1)] > 0.5
        assert correlation[row(base + 1), row(base + 2)] > 0.5
        # 11 degrees at least: real hands spread more than the simulator's.
        assert 0.2 < deviations[row(base, 1)] < deviations[row(base)]
    # The ring finger follows its neighbours.
    assert correlation[row(9), row(3)] > 0.4 and correlation[row(9), row(6)] > 0.4


def test_a_hidden_joint_is_expected_where_the_others_say():
    covariance = np.linalg.inv(PRIOR.precision)
    hidden, seen = row(10), [row(9), row(3), row(4), row(6), row(7)]  # the ring finger's middle
    gain = covariance[hidden, seen] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    flat = PRIOR.mean[hidden] + gain @ (0.0 - PRIOR.mean[seen])
    fist = PRIOR.mean[hidden] + gain @ (1.3 - PRIOR.mean[seen])
    assert flat < 0.25 and fist > 1.0


def test_angles_that_the_table_does_not_know_are_relaxed_and_independent():
    degrees = np.array([[0, 2], [0, 0], [1, 0], [1, 2]])
    prior = finger_prior(degrees, np.full(4, -0.1), np.full(4, 0.3))
    covariance = np.linalg.inv(prior.precision)
    assert np.abs(covariance[1:3][:, [0, 3]]).max() < 1e-12
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)[1:3]), np.hypot(0.7, 0.2))
    np.testing.assert_allclose(prior.mean[1:3], 0.0)
    assert (prior.mean <= 0.3).all()
    unknown = finger_prior(np.array([[0, 2], [30, 2]]), np.full(2, -1.0), np.full(2, 2.0))
    assert unknown.mean[1] == 0.35
