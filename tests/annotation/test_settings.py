"""Settings: what work is kept under."""

from dataclasses import replace

import pytest

from hand_pose_ros.annotation.settings import Settings, work_key
from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.session import Session


def test_the_key_is_the_same_for_the_same_session_wherever_it_is_computed(session, recording):
    with Session(recording) as again:
        assert work_key(Settings(), session) == work_key(Settings(threads=7, device='cuda'), again)


@pytest.mark.parametrize(
    'change',
    [{'estimator': 'fusion'}, {'cameras': ('thermal',)}, {'segmenter': 'a:b'}, {'chunk': 64}],
)
def test_the_key_changes_with_what_changes_the_results(session, change):
    assert work_key(Settings(**change), session) != work_key(Settings(), session)


def test_the_key_changes_with_the_rig_and_with_the_exo_cameras_motion(session, recording):
    key = work_key(Settings(), session)
    moved = replace(session.rig.cameras['nir'], time_offset=1000)
    rig = replace(session.rig, cameras={**session.rig.cameras, 'nir': moved})
    with Session(recording, rig) as other:
        assert work_key(Settings(), other) != key
    ((body, trajectory),) = session.trajectories.items()
    poses = trajectory.T_rig_body.copy()
    poses[0, 0, 3] += 1e-6
    session.trajectories[body] = replace(trajectory, T_rig_body=poses)
    assert work_key(Settings(), session) != key


def test_chunks_too_short_are_refused():
    with pytest.raises(DataError, match='chunk is 4 frames: use at least 16'):
        Settings(chunk=4)
