"""``hand-pose record``: a simulated session, twice the same, and what is refused."""

import json

import numpy as np
import pytest

from hand_pose_ros.cameras import direct_recording
from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cli.main import main
from hand_pose_ros.errors import CameraError
from hand_pose_ros.sessions.session import Session


@pytest.fixture(scope='module')
def rig(repository, tmp_path_factory):
    """The simulated rig with two small cameras."""
    text = (repository / 'config' / 'simulated_head_rig.yaml').read_text()
    head, rest = text.split('  nir:\n')
    path = tmp_path_factory.mktemp('rig') / 'rig.yaml'
    path.write_text(head + 'estimator: landmarks\n' + (rest and ''))
    return path


def record(rig, output, *more):
    return main(['record', str(rig), str(output), '--direct', '--offline', '--duration', '0.3',
                 *more])  # fmt: skip


def test_a_simulated_session_is_always_the_same(rig, tmp_path, capsys):
    assert record(rig, tmp_path / 'a', '--json', str(tmp_path / 'a.json')) == 0
    assert 'thermal: 9 messages, 30.' in capsys.readouterr().out
    assert json.loads((tmp_path / 'a.json').read_text())['streams']['thermal']['images'] == 9
    assert record(rig, tmp_path / 'b') == 0
    assert record(rig, tmp_path / 'c', '--seed', '4') == 0
    sessions = [Session.open(tmp_path / name) for name in 'abc']
    first, again, other = (session.frame(3).streams['thermal'].image for session in sessions)
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['simulated_head_rig', '--direct', '--offline'], '--offline needs --duration'),
        (['simulated_head_rig', '--direct', '--duration', '-1'], '--duration is -1.0'),
        (['template_head_rig', '--direct', '--seed', '1'], "has the driver 'external'"),
        (['template_head_rig', '--direct', '--duration', '1'], 'another ROS node publishes'),
    ],
)
def test_what_cannot_be_recorded_is_refused(arguments, message, tmp_path, capsys):
    assert main(['record', arguments[0], str(tmp_path / 'bag'), *arguments[1:]]) == 1
    assert message in capsys.readouterr().err
    # No empty bag is in the way of the next try.
    assert not (tmp_path / 'bag').exists()


def test_a_bag_that_exists_is_not_touched(rig, tmp_path, capsys):
    (tmp_path / 'bag').mkdir()
    assert record(rig, tmp_path / 'bag') == 1
    assert 'exists already' in capsys.readouterr().err
    assert (tmp_path / 'bag').is_dir()


class Failing:
    """A camera that gives some images, then fails."""

    live, camera = True, None

    def __init__(self, images, error):
        self._images, self._error = images, error

    def open(self):
        if not self._images:
            raise CameraError(self._error)

    def samples(self):
        for number in range(self._images):
            stamp = (number + 1) * 10**8
            yield CameraSample(image=np.zeros((6, 8), np.uint16), encoding='mono16', stamp=stamp)
        if self._error:
            raise CameraError(self._error)

    def close(self):
        pass


ERROR = 'thermal: no device at /dev/video9, plug it in'


def test_a_camera_that_fails_at_its_start_leaves_no_folder(rig, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(direct_recording, 'create', lambda *_: Failing(0, ERROR))
    for _ in range(2):
        assert main(['record', str(rig), str(tmp_path / 'bag'), '--direct']) == 1
        assert capsys.readouterr().err.splitlines() == [f'hand-pose record: {ERROR}']
        assert list(tmp_path.iterdir()) == []


def test_a_camera_that_fails_later_leaves_what_was_recorded(rig, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(direct_recording, 'create', lambda *_: Failing(3, ERROR))
    assert main(['record', str(rig), str(tmp_path / 'bag'), '--direct']) == 1
    assert ERROR in capsys.readouterr().err
    with Session.open(tmp_path / 'bag') as session:
        assert len(session.sets) == 3


def test_nothing_recorded_is_no_success(rig, tmp_path, capsys, monkeypatch):
    ended = Failing(1, '')
    monkeypatch.setattr(direct_recording, 'create', lambda *_: ended)
    monkeypatch.setattr(ended, 'samples', lambda: iter(()))
    assert main(['record', str(rig), str(tmp_path / 'bag'), '--direct']) == 1
    assert 'nothing was recorded in' in capsys.readouterr().err
    assert not (tmp_path / 'bag').exists()


def test_a_simulated_target_is_a_recording_to_calibrate_with(rig, tmp_path):
    line = ['record', str(rig), str(tmp_path / 'board'), '--direct', '--duration', '0.2']
    assert main([*line, '--target', 'chessboard:9x6:0.025']) == 0
    with Session.open(tmp_path / 'board') as session:
        assert len(session.sets) == 6
        assert session.truth() is None


def test_a_target_that_is_none_is_refused(rig, tmp_path, capsys):
    line = ['record', str(rig), str(tmp_path / 'board'), '--direct', '--target', 'chess:9']
    assert main(line) == 1
    assert 'chess:9' in capsys.readouterr().err
