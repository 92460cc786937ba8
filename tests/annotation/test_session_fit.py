"""Session fit: labels near the truth, absent where nothing was seen, carried over short gaps."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation.poses import Poses
from hand_pose_ros.annotation.session_fit import LONGEST_GAP, fit_session, session_shape
from hand_pose_ros.annotation.synthetic import EvidenceNoise, synthetic_session
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.sessions.labels import ABSENT, FITTED, INTERPOLATED
from tests.annotation.sessions import PERIOD, rig

FRAMES = 24
GONE = slice(8, 11)  # a gap of 0.13 s


@pytest.fixture(scope='module')
def session():
    """Evidence whose landmarks lie where the networks see them."""
    stamps = 2_000_000_000 + PERIOD * np.arange(FRAMES)
    return synthetic_session(
        rig(), stamps, seed=5, offsets=load_landmark_model().offsets,
        noise=EvidenceNoise(lost=0.0),
    )  # fmt: skip


@pytest.fixture(scope='module')
def shape(session):
    return session_shape(session.evidence)


@pytest.fixture(scope='module')
def labels(session, shape):
    return fit_session(session.evidence, shape, 'thermal_optical_frame')


def without(evidence, rows, side):
    """Evidence in which one hand was not there in some frames."""
    points, cloud = evidence.points.copy(), evidence.cloud.copy()
    translation = evidence.translation.copy()
    points[:, rows, side] = np.nan
    cloud[rows, side] = np.nan
    translation[rows, side] = np.nan
    return replace(evidence, points=points, cloud=cloud, translation=translation)


def test_both_hands_are_labelled_within_five_millimetres(session, labels):
    assert (labels.origin == FITTED).all()
    away = 1e3 * np.linalg.norm(labels.joints - session.joints, axis=3).mean(axis=2)
    assert away.mean() < 5 and away.max() < 12
    assert ((labels.quality > 0.2) & (labels.quality < 1)).all()
    assert labels.frame_id == 'thermal_optical_frame'
    assert np.array_equal(labels.numbers, session.evidence.numbers)


def test_two_views_are_three_times_as_exact_as_the_wearers_rgb_alone(session, labels):
    """The published finding, along the ray too."""
    blind = replace(session.evidence, cloud=np.full_like(session.evidence.cloud, np.nan))
    alone = blind.seen_by(['rgb'])
    lonely = fit_session(alone, session_shape(alone), 'thermal_optical_frame')
    away, farther = (np.abs(each.joints - session.joints)[each.usable] for each in (labels, lonely))
    assert len(farther) > 40
    for axes in (slice(None), slice(2, 3)):
        near, far = (np.linalg.norm(x[..., axes], axis=2).mean() for x in (away, farther))
        assert near < 0.010 and near < far / 3


def test_residuals_are_pixels_and_metres(labels):
    pixels, surface = labels.residuals['pixels'], labels.residuals['surface']
    assert ((pixels > 0.3) & (pixels < 8)).all()
    assert ((surface > 2e-4) & (surface < 0.006)).all()
    outline = labels.residuals['outline']
    assert ((outline > 0.01) & (outline < 3)).all()


def test_parameters_make_the_joints(labels):
    poses = Poses(
        stamps=labels.stamps, global_orient=labels.global_orient, hand_pose=labels.hand_pose,
        betas=labels.betas, translation=labels.translation, tracked=labels.origin == FITTED,
    )  # fmt: skip
    assert np.abs(poses.joints() - labels.joints).max() < 1e-6
    assert np.ptp(labels.betas, axis=0).max() == 0, 'one shape a session'


def test_the_shape_is_near_the_persons(session, shape):
    # The first coefficient is the size of the hand, which all evidence shows.
    assert abs(shape[0] - session.truth.betas[0, 1, 0]) < 0.4


def test_short_gaps_are_carried_over_and_marked(session, shape):
    labels = fit_session(without(session.evidence, GONE, 1), shape, 'f')
    assert (labels.origin[GONE, 1] == INTERPOLATED).all()
    assert (labels.origin[:, 0] == FITTED).all()
    away = np.linalg.norm(labels.joints - session.joints, axis=3).mean(axis=2)
    assert away[GONE, 1].max() < 0.02
    around = min(labels.quality[GONE.start - 1, 1], labels.quality[GONE.stop, 1])
    assert labels.quality[GONE, 1] == pytest.approx(around / 2)


def test_long_gaps_stay_absent(session, shape):
    rows = slice(6, 6 + int(LONGEST_GAP / 0.0333) + 2)
    labels = fit_session(without(session.evidence, rows, 0), shape, 'f')
    assert (labels.origin[rows, 0] == ABSENT).all()
    assert np.isnan(labels.joints[rows, 0]).all() and (labels.quality[rows, 0] == 0).all()


def test_a_hand_nothing_bears_is_absent(session, shape):
    """A tracker that says a hand is somewhere, which no landmark and no surface confirms."""
    evidence = session.evidence
    points, cloud = evidence.points.copy(), evidence.cloud.copy()
    points[:, :, 0] = np.nan
    cloud[:, 0] = np.nan
    labels = fit_session(replace(evidence, points=points, cloud=cloud), shape, 'f')
    assert (labels.origin[:, 0] == ABSENT).all() and (labels.origin[:, 1] == FITTED).all()


@pytest.mark.parametrize('rows', (slice(0, 0), slice(0, 1), slice(0, 2)))
def test_few_frames_or_none_are_no_problem(session, rows):
    evidence = session.evidence.take(rows)
    labels = fit_session(evidence, session_shape(evidence), 'f')
    assert len(labels.stamps) == rows.stop
    assert (labels.origin == FITTED).all()


def test_chunks_with_context_agree_with_the_whole(session, shape, labels):
    part = fit_session(session.evidence.take(slice(0, 18)), shape, 'f')
    away = np.linalg.norm(part.joints[:10] - labels.joints[:10], axis=3).mean()
    assert away < 0.001


def test_it_is_deterministic(session, shape, labels):
    again = fit_session(session.evidence, shape, 'thermal_optical_frame')
    assert np.array_equal(again.joints, labels.joints)
