"""The command: verbs, exit statuses, sentences."""

import re
import subprocess
import sys

import pytest

from hand_pose_ros import __version__
from hand_pose_ros.cli import main as command
from hand_pose_ros.errors import HandPoseError

VERBS = ('demo', 'up', 'estimate', 'view', 'models', 'benchmark')


def test_version(capsys):
    assert command.main(['--version']) == 0
    assert capsys.readouterr().out == f'hand-pose {__version__}\n'


@pytest.mark.parametrize('verb', VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    assert command.main([verb, '--help']) == 0
    text = capsys.readouterr().out
    assert 'example' in text and f'hand-pose {verb}' in text


def test_help_lists_every_verb(capsys):
    assert command.main(['--help']) == 0
    text = capsys.readouterr().out
    for verb in VERBS:
        assert re.search(rf'^    {verb}\s', text, re.MULTILINE)


@pytest.mark.parametrize('argv', [[], ['fly'], ['estimate'], ['up'], ['models', 'eat']])
def test_wrong_usage_is_2(argv, capsys):
    assert command.main(argv) == 2
    assert 'usage: hand-pose' in capsys.readouterr().err


def ending(monkeypatch, error):
    def run(_):
        raise error

    def with_run(verbs):
        verbs.add_parser('models').set_defaults(run=run)

    monkeypatch.setattr(command.models, 'add_parser', with_run)


def test_an_error_is_one_sentence_and_1(monkeypatch, capsys):
    ending(monkeypatch, HandPoseError('rig.yaml: no\nsuch key: fix it.'))
    assert command.main(['models']) == 1
    captured = capsys.readouterr()
    assert captured.err == 'hand-pose models: rig.yaml: no such key: fix it.\n'
    assert captured.out == ''


def test_ctrl_c_is_130_without_a_traceback(monkeypatch, capsys):
    ending(monkeypatch, KeyboardInterrupt())
    assert command.main(['models']) == 130
    assert capsys.readouterr().err == 'hand-pose models: interrupted\n'


def test_a_fault_of_ours_is_not_hidden(monkeypatch):
    ending(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        command.main(['models'])


def test_the_command_starts_without_ros_torch_or_opencv():
    code = (
        'import sys; from hand_pose_ros.cli.main import main; main(["--version"]); '
        'print(sorted({"rclpy", "torch", "cv2", "viser", "matplotlib"} & set(sys.modules)))'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == '[]'
