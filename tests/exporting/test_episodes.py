"""Episodes: even rate, the rig's frame, gaps, splits, what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.annotation.poses import Poses
from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.episodes import STATE_NAMES, episodes_of
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.sessions.labels import ABSENT, FITTED, INTERPOLATED, REJECTED, SessionLabels

RIG = find_rig('simulated_head_rig')
PERIOD = 33_333_333


def labels(count=60, missing=(), side_missing=()):
    """Both hands moving evenly; frames ``missing`` have none, ``side_missing`` no left one."""
    stamps = 10**18 + np.arange(count, dtype=np.int64) * PERIOD
    made = SessionLabels.empty(stamps, np.arange(count), 'thermal_optical_frame')
    seconds = np.arange(count) * PERIOD * 1e-9
    for side in range(2):
        made.translation[:, side] = [0.1 * side, 0.0, 0.4]
        made.translation[:, side, 0] += 0.1 * seconds
        made.global_orient[:, side] = 0.0
        made.global_orient[:, side, 1] = 0.3 * seconds
    made.hand_pose[:] = 0.1
    made.betas[:] = 0.0
    made.origin[:] = FITTED
    made.quality[:] = 1.0
    poses = Poses(
        stamps=stamps, global_orient=made.global_orient, hand_pose=made.hand_pose,
        betas=made.betas, translation=made.translation, tracked=made.origin == FITTED,
    )  # fmt: skip
    made.joints[:] = poses.joints()
    made.origin[list(missing)] = ABSENT
    made.origin[list(side_missing), 0] = ABSENT
    return made


def episodes(made, rate=30.0, split_gap=1.0):
    return episodes_of(made, RIG, made.stamps, rate=rate, split_gap=split_gap)


@given(st.floats(1.0, 120.0))
def test_times_are_even_and_everything_is_finite_and_rigid(rate):
    [episode] = episodes(labels(20), rate)
    np.testing.assert_allclose(episode.times, np.arange(len(episode)) / rate)
    assert episode.times[-1] <= 19 * PERIOD * 1e-9 + 1e-6
    for name in ('wrist', 'rotation', 'joints', 'hand_pose', 'betas', 'aperture'):
        assert np.isfinite(getattr(episode, name)).all()
    turned = episode.rotation @ episode.rotation.transpose(0, 1, 3, 2)
    np.testing.assert_allclose(turned, np.broadcast_to(np.eye(3), turned.shape), atol=1e-9)
    assert episode.valid.all()


def test_hands_are_in_the_rig_frame_and_moved_between_labels():
    made = labels(30)
    [episode] = episodes(made, 60.0)
    T_rig_world = RIG.reference_camera.T_rig_cam
    np.testing.assert_allclose(episode.joints[0], apply(T_rig_world, made.joints[0]), atol=1e-12)
    middle = apply(T_rig_world, (made.joints[4] + made.joints[5]) / 2)
    np.testing.assert_allclose(episode.joints[9], middle, atol=2e-6)
    step = np.diff(episode.wrist[:, 0], axis=0)
    np.testing.assert_allclose(step, np.broadcast_to(step[0], step.shape), atol=1e-5)


def test_the_state_has_names_and_the_action_is_the_next_state():
    [episode] = episodes(labels(10))
    assert episode.state.shape == (len(episode), len(STATE_NAMES)) == (10, 22)
    np.testing.assert_array_equal(episode.action[:-1], episode.state[1:])
    place = STATE_NAMES.index('right_wrist_y')
    np.testing.assert_allclose(episode.state[:, place], episode.wrist[:, 1, 1], atol=1e-6)
    corner = STATE_NAMES.index('left_wrist_rotation_21')
    np.testing.assert_allclose(episode.state[:, corner], episode.rotation[:, 0, 2, 1], atol=1e-6)


def test_short_silences_are_bridged_and_long_ones_are_marked():
    [episode] = episodes(labels(40, side_missing=[*range(5, 8), *range(20, 32)]))
    assert episode.valid[:20, 0].all()
    np.testing.assert_array_equal(np.flatnonzero(episode.interpolated[:, 0]), [5, 6, 7])
    assert not episode.valid[20:32, 0].any()
    assert episode.valid[:, 1].all()
    np.testing.assert_array_equal(episode.wrist[20:32, 0], np.tile(episode.wrist[19, 0], (12, 1)))


def test_long_silences_of_both_hands_part_episodes():
    parts = episodes(labels(100, missing=range(40, 80)), split_gap=0.5)
    assert [len(part) for part in parts] == [40, 20]
    assert [part.times[0] for part in parts] == [0.0, 0.0]
    assert len(episodes(labels(100, missing=range(40, 80)), split_gap=2.0)) == 1


def test_long_sessions_are_cut_where_float32_seconds_get_too_coarse():
    made = labels(50)
    made.stamps[:] = 10**18 + np.arange(50) * 80_000_000_000
    parts = episodes(made, 0.5, split_gap=100.0)
    assert [len(part) for part in parts] == [900, 900, 161]
    for part in parts:
        assert part.times[0] == 0.0
        assert np.abs(part.times.astype(np.float32) - part.times).max() < 1e-4
    np.testing.assert_array_equal(
        np.diff(np.concatenate([part.stamps for part in parts])), 2 * 10**9
    )


def test_interpolated_labels_are_marked_and_rejected_ones_are_absent():
    made = labels(30)
    made.origin[7, 1] = INTERPOLATED
    made.verdict[15:, 0] = REJECTED
    [episode] = episodes(made)
    assert episode.interpolated[7, 1]
    assert not episode.interpolated[10:, 1].any()
    assert not episode.interpolated[:6, 1].any()
    assert not episode.valid[16:, 0].any()


def test_images_are_those_of_the_nearest_set():
    made = labels(30)
    [episode] = episodes(made, 15.0)
    away = np.abs(made.stamps[episode.sets] - episode.stamps)
    assert away.max() <= PERIOD // 2 + 1


def test_what_gives_no_episode_is_refused():
    with pytest.raises(DataError, match=r'the rate is -1\.0'):
        episodes(labels(), -1.0)
    with pytest.raises(DataError, match='parts episodes is 0'):
        episodes(labels(), split_gap=0.0)
    with pytest.raises(DataError, match='no hand of the session is labelled'):
        episodes(labels(10, missing=range(10)))
