"""``hand-pose record``: a simulated session, twice the same, and what is refused."""

import json

import pytest

from hand_pose_ros.cli.main import main
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


def test_a_bag_that_exists_is_not_touched(rig, tmp_path, capsys):
    (tmp_path / 'bag').mkdir()
    assert record(rig, tmp_path / 'bag') == 1
    assert 'exists already' in capsys.readouterr().err


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
