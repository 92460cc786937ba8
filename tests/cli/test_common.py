"""Output of results and the check for ROS."""

import builtins
import json

import pytest

from hand_pose_ros.cli.common import CommandError, names_of, require_ros, write_json


def test_names_are_told_apart_by_commas():
    assert names_of(' a, b,,a ') == ('a', 'b', 'a') and names_of('') == ()


def test_json_is_written_where_asked(tmp_path):
    write_json(tmp_path / 'new' / 'file.json', {'a': 1.5})
    assert json.loads((tmp_path / 'new' / 'file.json').read_text()) == {'a': 1.5}
    write_json(None, {'a': 1})


def test_json_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(CommandError, match='cannot be written'):
        write_json(tmp_path / 'file' / 'inner.json', {})


def test_without_ros_a_sentence_says_what_to_do(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.split('.')[0] == 'rclpy':
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, '__import__', without)
    monkeypatch.setattr(
        'hand_pose_ros.cli.common.importlib.import_module',
        lambda name: without(name),
    )
    with pytest.raises(CommandError, match='needs ROS 2.*make setup.*estimate'):
        require_ros()
