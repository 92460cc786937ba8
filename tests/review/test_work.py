"""What a person does in a review: judged, corrected and saved at once."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation.label_masks import image_places
from hand_pose_ros.errors import DataError
from hand_pose_ros.review.work import Drag, NewHand, ReviewWork
from hand_pose_ros.sessions.labels import (
    ABSENT,
    ACCEPTED,
    CORRECTABLE,
    CORRECTED,
    REJECTED,
    UNSEEN,
    SessionLabels,
    labels_folder,
)
from hand_pose_ros.sessions.session import Session


def saved(work):
    return SessionLabels.load(work.folder)


def test_verdicts_are_saved_at_once_and_can_be_taken_back(work):
    work.judge(2, [1], REJECTED)
    assert saved(work).verdict[2, 1] == REJECTED
    work.judge(2, [1], ACCEPTED)
    assert work.undo() == 2
    assert saved(work).verdict[2, 1] == REJECTED
    assert work.undo() == 2
    assert saved(work).verdict[2, 1] == UNSEEN
    assert work.undo() is None


def test_good_hands_are_accepted_together(work):
    work.judge(0, [0], REJECTED)
    count = work.accept_above(0.6)
    labels = saved(work)
    assert (labels.verdict == ACCEPTED).sum() == count > 3
    assert labels.verdict[0, 0] == REJECTED
    assert labels.verdict[3, 0] == UNSEEN


def test_a_range_is_taken_back_as_one(work):
    before = saved(work).verdict
    work.accept_above(0.0)
    assert saved(work).verdict[3, 0] == ACCEPTED
    work.undo()
    np.testing.assert_array_equal(saved(work).verdict, before)
    assert work.undo() is None


def test_a_correction_can_be_taken_back(work):
    before = saved(work)
    x, y = work.frame(3)['views']['rgb']['pixels'][0][8]
    drag = Drag(row=3, side=0, joint=8, camera='rgb', x=x + 10, y=y)
    work.drag(drag)
    assert saved(work).origin[3, 0] == CORRECTED
    assert work.undo() == 3
    after = saved(work)
    for name in CORRECTABLE:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert not after.verdict.any()
    # Its pin is forgotten as well: only the new one counts.
    work.drag(replace(drag, joint=12, x=x, y=y))
    assert np.hypot(*(np.array(work.frame(3)['views']['rgb']['pixels'][0][8]) - [x + 10, y])) > 4


def test_what_cannot_be_saved_is_not_shown_as_done(work, monkeypatch):
    def full(*_):
        raise DataError('the disk is full.')

    before = work.labels.joints.copy()
    monkeypatch.setattr(SessionLabels, 'save_verdicts', full)
    with pytest.raises(DataError, match='full'):
        work.judge(0, [0, 1], REJECTED)
    assert not work.labels.verdict.any()
    monkeypatch.setattr(SessionLabels, 'save_correction', full)
    with pytest.raises(DataError, match='full'):
        work.drag(Drag(row=0, side=0, joint=8, camera='rgb', x=200, y=200))
    np.testing.assert_array_equal(work.labels.joints, before)
    assert work.undo() is None


def test_a_session_is_reviewed_once_at_a_time(work):
    with pytest.raises(DataError, match='is being reviewed by process'):
        ReviewWork(work.session.path)


def test_an_absent_hand_is_not_judged(work):
    work.labels.origin[1, 0] = ABSENT
    work.judge(1, [0, 1], ACCEPTED)
    assert work.labels.verdict[1].tolist() == [UNSEEN, ACCEPTED]
    assert work.counts()['accepted'] == 1


def test_a_rejected_hand_is_still_shown(work):
    before = work.frame(0)
    work.judge(0, [0], REJECTED)
    after = work.frame(0)
    assert after['meshes'] == before['meshes']
    assert after['views'] == before['views']


def test_measured_points_lie_on_the_hands(work):
    work.labels.origin[:, 1] = ABSENT
    work.labels.joints[:, 1] = np.nan
    points = np.reshape(work.cloud(0), (-1, 3))
    mesh = np.reshape(work.frame(0)['meshes'][0], (-1, 3))
    away = np.linalg.norm(points[:, None] - mesh[None], axis=2).min(axis=1)
    assert len(points) > 50
    assert np.median(away) < 0.01


def test_a_dragged_joint_comes_to_lie_where_it_was_put(work):
    before = work.labels.joints.copy()
    with Session.open(work.session.path) as session:
        true = session.truth().joints[3, 0]
    frame = work.frame(3)
    for camera in ('thermal', 'rgb'):
        for joint in (8, 12):
            place = next(one for one in _places(work, 3) if one.camera == camera)
            seen = true @ place.T_cam_world[:3, :3].T + place.T_cam_world[:3, 3]
            x, y = place.intrinsics.project(seen)[joint]
            work.drag(Drag(row=3, side=0, joint=joint, camera=camera, x=x, y=y))
    now = np.array(work.frame(3)['views']['thermal']['pixels'][0])
    wanted = _places(work, 3)[0]
    assert wanted.camera == 'thermal'
    seen = true @ wanted.T_cam_world[:3, :3].T + wanted.T_cam_world[:3, 3]
    pixels = wanted.intrinsics.project(seen)
    assert np.abs(now[[8, 12]] - pixels[[8, 12]]).max() < 1.0
    assert np.abs(np.array(frame['views']['thermal']['pixels'][0])[8] - pixels[8]).max() > 2.0
    after = work.labels.joints
    fingers = slice(5, 13)
    error = np.linalg.norm(after[3, 0, fingers] - true[fingers], axis=1).mean()
    assert error < 0.6 * np.linalg.norm(before[3, 0, fingers] - true[fingers], axis=1).mean()
    labels = saved(work)
    np.testing.assert_allclose(labels.joints[3, 0], after[3, 0], atol=1e-9)
    assert (labels.origin[3, 0], labels.verdict[3, 0]) == (CORRECTED, ACCEPTED)
    others = [row for row in range(len(after)) if row != 3]
    np.testing.assert_array_equal(labels.joints[others], before[others])


def _places(work, row):
    return list(image_places(work.session, int(work.labels.numbers[row])))


def test_frames_have_points_outlines_and_meshes_in_every_view(work):
    frame = work.frame(0)
    assert set(frame['views']) == {'thermal', 'nir', 'depth', 'rgb'}
    for view in frame['views'].values():
        assert all(len(points) == 21 for points in view['pixels'])
        assert all(contours for contours in view['outlines'])
    assert all(len(mesh) % 3 == 0 for mesh in frame['meshes'])
    for camera in frame['views']:
        assert work.image(camera, 0)[:2] == b'\xff\xd8'


def test_one_hand_or_none_is_fine(work):
    work.labels.origin[1, 0] = ABSENT
    work.labels.joints[1, 0] = np.nan
    work.labels.origin[2] = ABSENT
    work.labels.joints[2] = np.nan
    one, none = work.frame(1), work.frame(2)
    assert one['views']['rgb']['pixels'][0] is None
    assert none['meshes'] == [None, None]
    with pytest.raises(DataError, match='no left hand to correct'):
        work.drag(Drag(row=1, side=0, joint=0, camera='rgb', x=0, y=0))


def remove(work, row, side):
    """Make a hand absent, as an annotator leaves it that has not found it."""
    for name in CORRECTABLE:
        getattr(work.labels, name)[row, side] = 0 if name in ('origin', 'quality') else np.nan
    work.labels.save(work.folder)


@pytest.mark.parametrize('camera', ['rgb', 'depth'])
def test_an_absent_hand_is_added_dragged_and_taken_back(work, camera):
    true = work.labels.joints[1, 0].copy()
    (place,) = (one for one in _places(work, 1) if one.camera == camera)

    def pixels(joints):
        seen = joints @ place.T_cam_world[:3, :3].T + place.T_cam_world[:3, 3]
        return place.intrinsics.project(seen)

    remove(work, 1, 0)
    before = saved(work)
    x, y = pixels(true[[0, 5, 9, 13, 17]].mean(axis=0, keepdims=True))[0]
    work.add(NewHand(row=1, side=0, camera=camera, x=x, y=y))
    labels = saved(work)
    assert (labels.origin[1, 0], labels.verdict[1, 0], labels.quality[1, 0]) == (
        CORRECTED, ACCEPTED, 1.0,
    )  # fmt: skip
    # As in the neighbouring frame, a few millimetres further.
    assert np.linalg.norm(labels.joints[1, 0] - true, axis=1).mean() < 0.02
    for other in (name for name in CORRECTABLE if name != 'origin'):
        rest = np.delete(getattr(labels, other), 1, axis=0)
        np.testing.assert_array_equal(rest, np.delete(getattr(before, other), 1, axis=0))
    wanted = pixels(true)[8]
    work.drag(Drag(row=1, side=0, joint=8, camera=camera, x=wanted[0], y=wanted[1]))
    now = np.array(work.frame(1)['views'][camera]['pixels'][0][8])
    assert np.abs(now - wanted).max() < 2.0
    assert work.undo() == 1
    np.testing.assert_array_equal(saved(work).joints[1], labels.joints[1])
    assert work.undo() == 1
    after = saved(work)
    assert after.origin[1, 0] == ABSENT
    assert after.verdict[1, 0] == UNSEEN
    assert np.isnan(after.joints[1, 0]).all()
    assert work.undo() is None


def test_the_first_hand_of_a_session_is_added(work):
    for row in range(len(work.labels.stamps)):
        for side in (0, 1):
            remove(work, row, side)
    work.add(NewHand(row=2, side=1, camera='rgb', x=100, y=90))
    assert np.isfinite(saved(work).joints[2, 1]).all()
    assert work.frame(2)['meshes'][1] is not None
    assert work.counts()['hands'] == 1


def test_a_hand_that_cannot_be_saved_is_not_added(work, monkeypatch):
    def full(*_):
        raise DataError('the disk is full.')

    remove(work, 1, 0)
    monkeypatch.setattr(SessionLabels, 'save_correction', full)
    with pytest.raises(DataError, match='full'):
        work.add(NewHand(row=1, side=0, camera='rgb', x=100, y=90))
    assert work.labels.origin[1, 0] == ABSENT
    assert work.undo() is None


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'row': 99}, 'row 99 does not exist: there are'),
        ({'row': -1}, 'row -1 does not exist'),
        ({'side': 2}, r'side 2 does not exist: use 0 \(left\) or 1 \(right\)'),
        ({'side': 1}, 'row 1 has a right hand already: drag its joints'),
        ({'camera': '../x'}, "no image of camera '../x': use one of .*rgb"),
        ({'x': float('nan')}, 'outside of rgb images'),
        ({'y': 1e9}, 'outside of rgb images'),
        ({'x': -1.0}, 'outside of rgb images'),
    ],
)
def test_what_cannot_be_added_is_refused(work, change, message):
    remove(work, 1, 0)
    new = {'row': 1, 'side': 0, 'camera': 'rgb', 'x': 50.0, 'y': 50.0}
    before = saved(work).origin
    with pytest.raises(DataError, match=message):
        work.add(NewHand(**(new | change)))
    np.testing.assert_array_equal(saved(work).origin, before)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'row': 99}, 'row 99 does not exist'),
        ({'joint': 21}, 'joint 21 does not exist'),
        ({'side': 2}, 'side 2'),
        ({'camera': '../x'}, 'no image of camera'),
        ({'x': float('nan')}, 'far outside'),
        ({'y': 1e9}, 'far outside'),
    ],
)
def test_what_does_not_exist_is_refused(work, change, message):
    drag = {'row': 0, 'side': 0, 'joint': 0, 'camera': 'rgb', 'x': 0.0, 'y': 0.0}
    with pytest.raises(DataError, match=message):
        work.drag(Drag(**(drag | change)))


def test_unlabelled_sessions_and_labels_of_others_are_refused(session_path):
    labels = SessionLabels.load(labels_folder(session_path))
    labels.stamps[:] += 5
    labels.save(labels_folder(session_path))
    with pytest.raises(DataError, match='labels of another recording'):
        ReviewWork(session_path)
    (labels_folder(session_path) / 'labels.npz').unlink()
    with pytest.raises(DataError, match='hand-pose annotate'):
        ReviewWork(session_path)
