"""``hand-pose annotate``: what it writes and says, and what it refuses."""

import json
import shutil

import pytest

from hand_pose_ros.cli.main import main
from hand_pose_ros.sessions.labels import SessionLabels
from tests.annotation.recordings import record
from tests.sessions.recorded import write_session


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """A recorded session of two cameras."""
    return record(tmp_path_factory.mktemp('recorded') / 'short', 0.27, ('thermal', 'depth'))


def test_labels_report_and_bag_are_written_and_told(bag, tmp_path, capsys):
    session = tmp_path / 'session'
    shutil.copytree(bag, session)
    report_file = tmp_path / 'report.json'
    assert main(['annotate', str(session), '--json', str(report_file)]) == 0
    captured = capsys.readouterr()
    assert 'session: 9 frames, left' in captured.out and 'against the exact hands' in captured.out
    assert 'no calibrated nir, rgb camera' in captured.err
    folder = tmp_path / 'session_labels'
    assert len(SessionLabels.load(folder).stamps) == 9
    assert (folder / 'bag' / 'metadata.yaml').is_file() and not (folder / 'thermohands').exists()
    (report,) = json.loads(report_file.read_text())['sessions']
    assert report['frames'] == 9 and report['chunks'] == 1
    assert json.loads((folder / 'report.json').read_text())['hands'] == report['hands']


def test_no_hand_is_said_and_is_no_error(tmp_path, capsys):
    bag = write_session(tmp_path / 'empty', frames=4)
    assert main(['annotate', str(bag), '--outputs', 'none']) == 0
    assert 'no hand was seen in any frame' in capsys.readouterr().out
    assert not (tmp_path / 'empty_labels' / 'bag').exists()


def test_a_session_that_fails_does_not_keep_the_others_from_being_annotated(tmp_path, capsys):
    good = write_session(tmp_path / 'good', frames=2)
    bad = tmp_path / 'bad'
    file = tmp_path / 'all.json'
    assert main(['annotate', str(bad), str(good), '--outputs', 'none', '--json', str(file)]) == 1
    results = json.loads(file.read_text())
    assert [entry['session'] for entry in results['sessions']] == [str(good)]
    assert str(bad) in results['failures'][0] and str(bad) in capsys.readouterr().err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--outputs', 'coco'], "--outputs 'coco' is unknown: use bag, thermohands or none"),
        (['--subject', '100'], '--subject is 100: use 0 to 99'),
        (['--rig', 'missing.yaml'], 'rig file missing.yaml does not exist'),
        (['--device', 'gpu'], "device 'gpu' does not exist: use cpu, cuda or cuda:N"),
        (['--chunk', '3'], 'chunk is 3 frames: use at least 16'),
        (['--cameras', 'lwir'], "no images of camera 'lwir': use thermal, depth"),
        (['--segmenter', 'nothing:here'], "segmenter 'nothing:here' cannot be made"),
        (['--estimator', 'magic'], "estimator 'magic' does not exist"),
    ],
)
def test_wrong_options_end_in_one_sentence(tmp_path, capsys, options, message):
    bag = write_session(tmp_path / 'session', frames=2)
    assert main(['annotate', str(bag), *options]) == 1
    error = capsys.readouterr().err
    assert message in error and 'Traceback' not in error


def test_a_bag_without_a_rig_says_how_to_name_one(tmp_path, capsys):
    bag = write_session(tmp_path / 'session', frames=2, rig_inside=False)
    assert main(['annotate', str(bag)]) == 1
    assert '--rig' in capsys.readouterr().err
