"""Fixtures of the annotation tests."""

import pytest

from hand_pose_ros.sessions.session import Session
from tests.annotation.recordings import record


@pytest.fixture(scope='session')
def recording(tmp_path_factory):
    """A bag of 20 frames of all six cameras; tests leave it as it is."""
    return record(tmp_path_factory.mktemp('recorded') / 'two_view', 0.66)


@pytest.fixture
def session(recording):
    """The recording, open."""
    with Session(recording) as opened:
        yield opened


@pytest.fixture
def truth(session):
    """The exact labels of the recording."""
    return session.truth()
