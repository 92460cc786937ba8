"""Steps that can be taken back."""

import numpy as np
import pytest

from hand_pose_ros.review.history import History
from hand_pose_ros.sessions.labels import ACCEPTED, REJECTED, SessionLabels


@pytest.fixture
def labels():
    return SessionLabels.empty(np.arange(4), np.arange(4), 'thermal_optical_frame')


def test_steps_come_back_in_reverse(labels):
    history = History()
    for verdict in (ACCEPTED, REJECTED):
        with history.step(labels, [(1, 0), (2, 1)]):
            labels.verdict[1, 0] = labels.verdict[2, 1] = verdict
    for verdict in (ACCEPTED, 0):
        for hand in history.take_back():
            hand.restore(labels)
        assert (labels.verdict[1, 0], labels.verdict[2, 1]) == (verdict, verdict)
    assert history.take_back() == []


def test_a_step_that_fails_leaves_hands_as_they_were(labels):
    history = History()
    labels.joints[0, 0] = 1.0
    with pytest.raises(OSError, match='full'), history.step(labels, [(0, 0)], with_pose=True):
        labels.joints[0, 0] = 2.0
        labels.verdict[0, 0] = ACCEPTED
        raise OSError('full')
    assert (labels.joints[0, 0] == 1.0).all()
    assert labels.verdict[0, 0] == 0
    assert history.take_back() == []


def test_nothing_changed_is_no_step(labels):
    history = History()
    with history.step(labels, []):
        pass
    assert history.take_back() == []
