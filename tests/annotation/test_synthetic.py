"""Synthetic evidence: exact without noise, hidden where something hides, the same every time."""

import numpy as np
import pytest

from hand_pose_ros.annotation.silhouettes import inside_points
from hand_pose_ros.annotation.synthetic import EvidenceNoise, synthetic_session
from tests.annotation.sessions import EGO, PERIOD, exact, noisy, rig


def test_exact_landmarks_are_projected_joints():
    session = exact()
    evidence = session.evidence
    world = np.concatenate([session.joints, np.ones((*session.joints.shape[:3], 1))], axis=3)
    seen = np.einsum('vnab,nsjb->vnsja', evidence.T_cam_world[..., :3, :], world)
    away = seen[..., :2] / seen[..., 2:] - evidence.points
    known = np.isfinite(evidence.points)
    assert known.mean() > 0.8 and np.abs(away[known]).max() < 1e-6
    assert (np.isfinite(evidence.sigma) == known.all(axis=4)).all()


def test_exact_clouds_lie_on_the_mesh():
    session = exact()
    for side in range(2):
        cloud = session.evidence.cloud[0, side]
        cloud = cloud[np.isfinite(cloud[:, 0])]
        gap = np.linalg.norm(cloud[:, None] - session.vertices[0, side][None], axis=2).min(axis=1)
        assert len(cloud) > 100 and gap.mean() < 0.005 and gap.max() < 0.015


def test_masks_lie_on_the_projected_hand():
    session = exact()
    evidence = session.evidence
    for view in range(len(session.evidence.views)):
        where = view, 0, 1
        pixels, _ = inside_points(
            evidence.mask[where], evidence.mask_corner[where], evidence.mask_step[where], 400
        )
        T = session.evidence.T_cam_world[view, 0]
        seen = session.vertices[0, 1] @ T[:3, :3].T + T[:3, 3]
        plane = seen[:, :2] / seen[:, 2:]
        gap = np.linalg.norm(pixels[:, None] - plane[None], axis=2).min(axis=1)
        assert len(pixels) > 50
        gap *= session.evidence.focal[view]
        assert gap.mean() < 4 and gap.max() < 15


def test_the_start_is_the_truth_without_noise_and_near_it_with_noise():
    assert np.allclose(exact().evidence.translation, exact().truth.translation)
    away = np.linalg.norm(noisy().evidence.translation - noisy().truth.translation, axis=2)
    assert 0.001 < np.nanmean(away) < 0.08


def test_noise_is_as_large_as_it_says():
    session, quiet = noisy(), exact(16)
    ratio = (session.evidence.points - quiet.evidence.points) / session.evidence.sigma[..., None]
    spread = {
        exo: np.nanmedian(np.abs(ratio[session.evidence.exo == exo])) / 0.6745
        for exo in (False, True)
    }
    assert 0.6 < spread[False] < 1.6
    assert 1.3 < spread[True] / spread[False] < 3.0


def test_it_is_deterministic_and_follows_the_seed():
    stamps = 2_000_000_000 + PERIOD * np.arange(2)
    first, again, other = (
        synthetic_session(rig(), stamps, noise=EvidenceNoise(lost=0.0), seed=seed, views=EGO[:1])
        for seed in (4, 4, 5)
    )
    assert np.array_equal(first.evidence.points, again.evidence.points, equal_nan=True)
    assert not np.array_equal(first.evidence.points, other.evidence.points, equal_nan=True)


def test_without_depth_cameras_there_is_no_cloud():
    session = exact(2, ('thermal', 'rgb'))
    assert session.evidence.depth_eyes.shape[0] == 0
    assert np.isnan(session.evidence.cloud).all()
    assert list(session.evidence.views) == ['thermal', 'rgb']


@pytest.mark.parametrize('lost', (0.0, 1.0))
def test_lost_hands_are_missing_whole(lost):
    stamps = 2_000_000_000 + PERIOD * np.arange(2)
    noise = EvidenceNoise(lost=lost, outliers=0.0)
    evidence = synthetic_session(rig(), stamps, noise=noise, seed=3, views=('nir',)).evidence
    assert evidence.presence.max() == 1.0 - lost
    assert np.isfinite(evidence.points).any() == (lost == 0.0)
    assert evidence.started.any() == (lost == 0.0)
