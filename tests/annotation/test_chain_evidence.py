"""Chain evidence: what a fit gets of a side's evidence; missing parts are marked, not guessed."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from hand_pose_ros.annotation.chain_evidence import chain_evidence
from hand_pose_ros.annotation.posing import Poser
from hand_pose_ros.annotation.session_fit import fitting_model
from tests.annotation.sessions import noisy

ROWS = np.arange(3, 11)


def prepared(side=1, evidence=None, rows=ROWS):
    poser = Poser(fitting_model(), side, torch.device('cpu'))
    return chain_evidence(evidence or noisy().evidence, rows, poser)


@pytest.mark.parametrize('side', (0, 1))
def test_it_holds_the_side_and_frames_asked_for(side):
    evidence, chain = noisy().evidence, prepared(side)
    assert np.array_equal(chain.stamps, evidence.stamps[ROWS])
    points = evidence.points[:, ROWS, side]
    seen = np.isfinite(points).all(axis=3)
    assert np.array_equal(chain.points.numpy()[seen], points[seen])
    assert np.array_equal(chain.inverse.numpy() > 0, seen)
    assert np.array_equal(chain.masked.numpy(), np.isfinite(evidence.mask_step[:, ROWS, side]))
    away = chain.joints.numpy() - noisy().joints[ROWS, side]
    known = chain.joint_inverse.numpy() > 0
    assert known.mean() > 0.5 and np.median(np.linalg.norm(away[known], axis=1)) < 0.02


def test_some_of_its_frames_are_what_those_frames_give():
    part, whole = prepared(rows=ROWS[[1, 4]]), prepared().take(np.array([1, 4]))
    for entry in fields(whole):
        value, expected = getattr(whole, entry.name), getattr(part, entry.name)
        if isinstance(value, torch.Tensor):
            assert torch.equal(value.nan_to_num(), expected.nan_to_num()), entry.name
    assert np.array_equal(whole.stamps, part.stamps)


def test_landmarks_believed_less_have_larger_deviations_alone():
    chain, factors = prepared(), np.ones((4, 21))
    factors[2, 5] = 2.0
    after = chain.believed(factors)
    assert torch.equal(after.inverse[2, :, 5], chain.inverse[2, :, 5] / 2)
    assert torch.equal(after.inverse[:, :, 6], chain.inverse[:, :, 6])
    assert torch.equal(after.joints, chain.joints)


def test_a_view_without_a_place_has_neither_landmarks_nor_masks():
    evidence = noisy().evidence
    T = evidence.T_cam_world.copy()
    T[1] = np.nan
    chain = prepared(evidence=replace(evidence, T_cam_world=T))
    assert not chain.outlined[1] and not chain.masked[1].any() and (chain.inverse[1] == 0).all()
    assert torch.isfinite(chain.rotation).all()


def test_a_few_points_are_no_cloud():
    evidence = noisy().evidence
    cloud = evidence.cloud.copy()
    cloud[:, :, 10:] = np.nan
    assert not prepared(evidence=replace(evidence, cloud=cloud)).has_cloud.any()
    assert prepared().has_cloud.all()
