"""``hand-pose models`` tells the truth about the files."""

import json
from pathlib import Path

import pytest
import torch

from hand_pose_ros.cli.main import main
from hand_pose_ros.cli.models import summary
from hand_pose_ros.estimators import model_store, trained_models
from hand_pose_ros.networks.checkpoint import save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig

TINY = DenseRegConfig(
    stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8, weight_std=None
)


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


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Where trained models are; empty at first."""
    path = tmp_path / 'networks'
    monkeypatch.setattr(trained_models, 'folders', lambda: [path])
    return path


def checkpoint(path):
    torch.manual_seed(0)
    save_checkpoint(path, DenseReg(TINY), 'densereg', TINY, {'metrics': {'mean error': 8.25}})
    return path


def test_list_and_check_of_good_files(monkeypatch, capsys, tmp_path):
    states(monkeypatch, ('palm', 'present'))
    assert main(['models', '--json', str(tmp_path / 'm.json')]) == 0
    assert 'palm' in capsys.readouterr().out
    assert main(['models', 'check']) == 0
    written = json.loads((tmp_path / 'm.json').read_text())
    assert written == {
        'models': [{'name': 'palm', 'state': 'present', 'path': '/models/palm'}],
        'networks': [],
    }


def test_trained_models_are_listed_with_size_and_figures(monkeypatch, capsys, tmp_path, folder):
    states(monkeypatch, ('palm', 'present'))
    path = checkpoint(folder / 'small.safetensors')
    assert main(['models', '--json', str(tmp_path / 'm.json')]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert line.startswith('small') and 'densereg' in line and 'mean error 8.25' in line
    [record] = json.loads((tmp_path / 'm.json').read_text())['networks']
    assert record['bytes'] == path.stat().st_size and record['path'] == str(path)
    assert main(['models', 'check']) == 0


@pytest.mark.parametrize('state', ['missing', 'corrupt'])
def test_check_fails_for_bad_files_but_list_does_not(monkeypatch, capsys, state):
    states(monkeypatch, ('palm', 'present'), ('landmark', state))
    assert main(['models', 'check']) == 1
    assert 'landmark is missing or corrupt' in capsys.readouterr().err
    assert main(['models', 'list']) == 0


def test_check_fails_for_a_checkpoint_that_was_changed(monkeypatch, capsys, folder):
    states(monkeypatch, ('palm', 'present'))
    path = checkpoint(folder / 'small.safetensors')
    path.write_bytes(path.read_bytes()[:-1] + b'x')
    assert main(['models', 'check']) == 1
    assert 'small.safetensors' in capsys.readouterr().err
    assert main(['models']) == 0


def test_install_passes_the_options_on(monkeypatch, capsys, tmp_path):
    calls = []
    monkeypatch.setattr(model_store, 'install', lambda *a: calls.append(a) or tmp_path)
    assert main(['models', 'install', '--folder', str(tmp_path)]) == 0
    assert calls == [(tmp_path, None)]
    assert str(tmp_path) in capsys.readouterr().out


def test_install_of_a_checkpoint(capsys, tmp_path, folder):
    source = checkpoint(tmp_path / 'best.safetensors')
    assert main(['models', 'install', str(source), '--folder', str(folder)]) == 0
    assert str(folder / 'best.safetensors') in capsys.readouterr().out
    assert trained_models.find('densereg', 'best') == folder / 'best.safetensors'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['check', 'x.safetensors'], 'did you mean install'),
        (['install', 'x.safetensors', '--archive', 'y'], 'not both'),
        (['install', 'x.safetensors'], 'cannot be read'),
        (['install', 'x.pt'], 'is no checkpoint'),
    ],
)
def test_wrong_use_is_one_sentence(capsys, words, message):
    assert main(['models', *words]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_a_summary_has_the_first_figures_of_nested_metrics():
    card = {'metrics': {'thermal': {'MEPE': 30.123, 'ok': True}, 'a': 1, 'b': 2, 'c': None}}
    assert summary(card) == 'thermal MEPE 30.12, a 1, b 2'
    assert summary({}) == ''
