"""Pipeline: a session to labels near the truth; killed runs go on; what cannot be done is said."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.annotation import pipeline
from hand_pose_ros.annotation.gathering import Gatherer
from hand_pose_ros.annotation.pipeline import annotate
from hand_pose_ros.annotation.report import errors
from hand_pose_ros.annotation.settings import Settings
from hand_pose_ros.annotation.work import owned
from hand_pose_ros.errors import BagError, DataError
from hand_pose_ros.sessions.labels import ABSENT, REJECTED, SessionLabels, labels_folder
from hand_pose_ros.sessions.session import Session
from tests.sessions.recorded import rig as small_rig
from tests.sessions.recorded import write_session

SETTINGS = Settings(chunk=16, threads=1)


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.fixture(scope='module')
def bag(recording, tmp_path_factory):
    """A copy of the recording that may be annotated."""
    folder = tmp_path_factory.mktemp('annotated') / 'session'
    shutil.copytree(recording, folder)
    return folder


@pytest.fixture(scope='module')
def annotation(bag):
    return annotate(bag, SETTINGS)


def test_labels_are_near_the_truth_in_every_frame(annotation, bag):
    with Session(bag) as session:
        result = errors(annotation.labels, session.truth())
    assert result['missed'] == 0
    assert result['joint_error_mm']['mean'] < 6.0
    saved = SessionLabels.load(labels_folder(bag))
    np.testing.assert_array_equal(saved.joints, annotation.labels.joints)
    assert (np.diff(saved.stamps) > 0).all() and annotation.chunks == 2


def test_a_killed_run_goes_on_to_the_same_labels(annotation, bag, monkeypatch):
    shutil.rmtree(labels_folder(bag))
    gather, gathered = Gatherer.gather, []

    def dying(self, chunk):
        gathered.append(chunk.start)
        if len(gathered) == 2:
            raise Killed
        return gather(self, chunk)

    monkeypatch.setattr(Gatherer, 'gather', dying)
    with pytest.raises(Killed):
        annotate(bag, SETTINGS)
    again = annotate(bag, SETTINGS)
    assert gathered == [0, 16, 16] and again.resumed == 1
    np.testing.assert_array_equal(again.labels.joints, annotation.labels.joints)


def test_what_is_done_is_not_done_again_but_verdicts_are_kept(annotation, bag, monkeypatch):
    annotate(bag, SETTINGS)
    labels = SessionLabels.load(labels_folder(bag)).with_verdict(3, 1, REJECTED)
    labels.save_verdicts(labels_folder(bag))
    monkeypatch.setattr(Gatherer, 'gather', lambda *_: pytest.fail('gathered again'))
    monkeypatch.setattr(pipeline, 'fit_session', lambda *_: pytest.fail('fitted again'))
    again = annotate(bag, SETTINGS)
    assert again.resumed == 2 and again.labels.verdict[3, 1] == REJECTED


@pytest.mark.slow
def test_two_processes_give_the_same_evidence(annotation, bag):
    shutil.rmtree(labels_folder(bag))
    shared = annotate(bag, replace(SETTINGS, threads=2))
    assert shared.resumed == 0
    np.testing.assert_allclose(shared.labels.joints, annotation.labels.joints, atol=1e-6)


def test_other_settings_begin_anew_and_leave_nothing_behind(annotation, bag):
    annotate(bag, SETTINGS)
    other = annotate(bag, replace(SETTINGS, cameras=('rgb', 'depth')))
    assert (other.resumed, other.left_over) == (0, 1)
    with Session(bag) as session:
        result = errors(other.labels, session.truth())
        assert set(other.labels.stamps) <= set(session.stamps)
    assert result['joint_error_mm']['mean'] < 10.0
    assert len([path for path in (other.folder / 'work').iterdir() if path.is_dir()]) == 1


def test_a_second_run_on_the_session_is_refused(annotation, bag):
    with owned(labels_folder(bag)), pytest.raises(DataError, match='is being annotated by process'):
        annotate(bag, SETTINGS)


def test_images_without_hands_give_empty_labels(tmp_path):
    bag = write_session(tmp_path / 'empty', frames=4)
    labels = annotate(bag, SETTINGS).labels
    assert len(labels.stamps) == 4 and (labels.origin == ABSENT).all()


def test_missing_cameras_rigs_and_calibrations_are_named(tmp_path):
    bag = write_session(tmp_path / 'session', frames=2)
    with pytest.raises(DataError, match="no images of camera 'rgb': use thermal, depth"):
        annotate(bag, replace(SETTINGS, cameras=('rgb',)))
    with pytest.raises(DataError, match='no calibrated thermal, NIR or RGB camera among depth'):
        annotate(bag, replace(SETTINGS, cameras=('depth',)))
    with pytest.raises(BagError, match='is not there|cannot be|does not exist'):
        annotate(tmp_path / 'nothing', SETTINGS)
    assert not labels_folder(tmp_path / 'nothing').exists()


def test_a_camera_whose_images_have_another_size_is_named(tmp_path):
    bag = write_session(tmp_path / 'session', frames=2)
    rig = small_rig()
    thermal = rig.cameras['thermal']
    larger = replace(thermal, camera=thermal.camera.scaled(64, 48), size=(64, 48))
    rig = replace(rig, cameras={**rig.cameras, 'thermal': larger})
    with pytest.raises(Exception, match='thermal'):
        annotate(bag, SETTINGS, rig)
