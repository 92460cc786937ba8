"""Merging: nobody's work is lost when a session is annotated again."""

import numpy as np
import pytest

from hand_pose_ros.annotation.merging import keep_what_people_said, refuse_to_lose
from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.labels import (
    ABSENT,
    ACCEPTED,
    CORRECTED,
    FITTED,
    REJECTED,
    UNSEEN,
    SessionLabels,
)


def labels(shift=0.0, first=0):
    stamps = np.arange(first, first + 4, dtype=np.int64) * 33
    made = SessionLabels.empty(stamps, np.arange(4), 'thermal_optical_frame')
    for name in ('joints', 'global_orient', 'hand_pose', 'betas', 'translation'):
        getattr(made, name)[:, 1] = shift
    made.origin[:, 1] = FITTED
    made.quality[:, 1] = 0.5
    return made


def test_without_earlier_labels_nothing_changes(tmp_path):
    new = labels()
    assert keep_what_people_said(new, tmp_path) is new


def test_corrected_hands_stay_with_their_verdict(tmp_path):
    before = labels()
    before.joints[2, 0] = 0.25
    before.origin[2, 0] = CORRECTED
    before.verdict[2, 0] = ACCEPTED
    before.save(tmp_path)
    merged = keep_what_people_said(labels(shift=0.1), tmp_path)
    assert merged.origin[2].tolist() == [CORRECTED, FITTED]
    assert (merged.joints[2, 0] == 0.25).all()
    assert merged.verdict[2, 0] == ACCEPTED
    assert (merged.joints[:, 1] == 0.1).all()


def test_a_verdict_holds_for_the_hand_it_was_said_of(tmp_path):
    before = labels()
    before.verdict[0, 1], before.verdict[1, 1], before.verdict[1, 0] = REJECTED, ACCEPTED, REJECTED
    before.save(tmp_path)
    nearly = keep_what_people_said(labels(shift=0.001), tmp_path)
    assert nearly.verdict.tolist() == before.verdict.tolist()
    moved = keep_what_people_said(labels(shift=0.1), tmp_path)
    assert (moved.verdict[:, 1] == UNSEEN).all()
    assert moved.origin[1, 0] == ABSENT and moved.verdict[1, 0] == REJECTED


def test_reviewed_labels_of_another_frame_are_not_overwritten(tmp_path):
    before = labels().with_verdict(0, 1, ACCEPTED)
    before.save(tmp_path)
    with pytest.raises(DataError, match='reviewed labels in thermal_optical_frame'):
        refuse_to_lose(tmp_path, before.stamps, 'nir_optical_frame')
    refuse_to_lose(tmp_path, before.stamps, before.frame_id)
    labels().save(tmp_path)
    refuse_to_lose(tmp_path, before.stamps, 'nir_optical_frame')


def test_reviewed_frames_that_the_session_no_longer_has_are_not_dropped(tmp_path):
    labels().with_verdict(0, 1, ACCEPTED).save(tmp_path)
    with pytest.raises(DataError, match='1 reviewed frames'):
        refuse_to_lose(tmp_path, labels(first=1).stamps, 'thermal_optical_frame')


def test_damaged_labels_are_not_overwritten(tmp_path):
    (tmp_path / 'labels.npz').write_bytes(b'damaged')
    with pytest.raises(DataError, match='damaged'):
        refuse_to_lose(tmp_path, labels().stamps, 'thermal_optical_frame')
