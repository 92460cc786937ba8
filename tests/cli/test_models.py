"""``hand-pose models`` tells the truth about the files."""

import json
from pathlib import Path

import pytest

from hand_pose_ros.cli.main import main
from hand_pose_ros.estimators import model_store


def states(monkeypatch, *names_and_states):
    monkeypatch.setattr(
        model_store,
        'check',
        lambda: [
            model_store.ModelStatus(
                name=name, state=state, path=None if state == 'missing' else Path('/models') / name
            )
            for name, state in names_and_states
        ],
    )


def test_list_and_check_of_good_files(monkeypatch, capsys, tmp_path):
    states(monkeypatch, ('palm', 'present'))
    assert main(['models', '--json', str(tmp_path / 'm.json')]) == 0
    assert 'palm' in capsys.readouterr().out
    assert main(['models', 'check']) == 0
    written = json.loads((tmp_path / 'm.json').read_text())
    assert written == {'models': [{'name': 'palm', 'state': 'present', 'path': '/models/palm'}]}


@pytest.mark.parametrize('state', ['missing', 'corrupt'])
def test_check_fails_for_bad_files_but_list_does_not(monkeypatch, capsys, state):
    states(monkeypatch, ('palm', 'present'), ('landmark', state))
    assert main(['models', 'check']) == 1
    assert 'landmark is missing or corrupt' in capsys.readouterr().err
    assert main(['models', 'list']) == 0


def test_install_passes_the_options_on(monkeypatch, capsys, tmp_path):
    calls = []
    monkeypatch.setattr(model_store, 'install', lambda *a: calls.append(a) or tmp_path)
    assert main(['models', 'install', '--folder', str(tmp_path)]) == 0
    assert calls == [(tmp_path, None)]
    assert str(tmp_path) in capsys.readouterr().out
