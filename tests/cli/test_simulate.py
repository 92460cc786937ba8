"""``hand-pose simulate``: a data set from the command line."""

import json

import pytest

from hand_pose_ros.cli import main as command


def test_a_data_set_is_written_and_reported(tmp_path, capsys):
    folder, report = tmp_path / 'hands', tmp_path / 'report.json'
    words = ['simulate', str(folder), '--clips', '2', '--frames', '2', '--setting', 'gloves']
    assert command.main([*words, '--split', 'val', '--json', str(report)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f'{folder}: 2 clips (2 gloves), 4 frames\n'
    assert json.loads(report.read_text())['settings'] == {'gloves': 2}
    assert (folder / 'calibration' / 'ego_calib.json').exists()
    assert len(list(folder.glob('subject_*_glove/*/thermal320_256/*.png'))) == 4
    assert len(list(folder.glob('subject_*_glove/*/gt_info/*.json'))) == 4


def test_the_same_command_writes_the_same_bytes(tmp_path):
    for name in ('a', 'b'):
        words = ['simulate', str(tmp_path / name), '--clips', '1', '--frames', '1', '--seed', '5']
        assert command.main(words) == 0
    files = sorted(path.relative_to(tmp_path / 'a') for path in (tmp_path / 'a').rglob('*.*'))
    assert len(files) > 8
    for file in files:
        assert (tmp_path / 'a' / file).read_bytes() == (tmp_path / 'b' / file).read_bytes()


def test_a_folder_in_use_is_refused_in_one_sentence(tmp_path, capsys):
    (tmp_path / 'mine.txt').write_text('x')
    assert command.main(['simulate', str(tmp_path), '--clips', '1']) == 1
    error = capsys.readouterr().err
    assert error.startswith('hand-pose simulate: ') and 'not empty' in error
    assert error.count('\n') == 1


@pytest.mark.parametrize(
    'option', [('--clips', '0'), ('--frames', '-1'), ('--first', '-2'), ('--rate', '0')]
)
def test_numbers_nothing_can_be_rendered_from(option, tmp_path, capsys):
    assert command.main(['simulate', str(tmp_path / 'a'), *option]) == 1
    assert option[0] in capsys.readouterr().err
    assert not (tmp_path / 'a').exists()


def test_an_unknown_setting_is_wrong_usage(tmp_path):
    assert command.main(['simulate', str(tmp_path / 'a'), '--setting', 'beach']) == 2


def test_settings_of_the_command_are_those_of_the_simulation():
    from hand_pose_ros.cli.simulate import _SETTINGS
    from hand_pose_ros.simulation.batch_config import SETTINGS

    assert _SETTINGS == SETTINGS
