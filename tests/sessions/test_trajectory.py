"""Trajectories: interpolation, gaps, files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.transforms import rigid
from hand_pose_ros.sessions.trajectory import Trajectory

STEP = 100_000_000


def turning(count=5):
    """Turns by 0.1 rad and moves by 1 cm a step."""
    poses = [
        rigid(Rotation.from_rotvec([0, 0.1 * n, 0]).as_matrix(), [0.01 * n, 0, 0])
        for n in range(count)
    ]
    stamps = np.arange(count, dtype=np.int64) * STEP
    return Trajectory(body='exo', stamps=stamps, T_rig_body=np.array(poses))


@given(st.integers(0, 4 * STEP))
def test_between_poses_motion_is_even(stamp):
    pose = turning().at(stamp)
    share = stamp / STEP
    angle = Rotation.from_matrix(pose[:3, :3]).as_rotvec()[1]
    assert angle == pytest.approx(0.1 * share, abs=1e-9)
    assert pose[0, 3] == pytest.approx(0.01 * share, abs=1e-9)


def test_long_gaps_and_far_ends_are_unknown():
    track = turning()
    assert track.at(4 * STEP + 250_000_000) is not None
    assert track.at(4 * STEP + 250_000_001) is None
    assert track.at(-250_000_001) is None
    kept = [0, 4]
    gap = Trajectory(body='exo', stamps=track.stamps[kept], T_rig_body=track.T_rig_body[kept])
    assert gap.at(2 * STEP) is None


def test_round_trip(tmp_path):
    turning().save(tmp_path / 'a.npz')
    read = Trajectory.load(tmp_path / 'a.npz')
    assert read.body == 'exo'
    np.testing.assert_array_equal(read.T_rig_body, turning().T_rig_body)


def test_bad_trajectories_are_refused(tmp_path):
    track = turning()
    with pytest.raises(DataError, match='rise'):
        Trajectory(body='exo', stamps=track.stamps[::-1], T_rig_body=track.T_rig_body)
    with pytest.raises(DataError, match='do not fit'):
        Trajectory(body='exo', stamps=track.stamps[:2], T_rig_body=track.T_rig_body)
    with pytest.raises(DataError, match='does not exist'):
        Trajectory.load(tmp_path / 'none.npz')
