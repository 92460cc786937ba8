"""``hand-pose benchmark`` runs scripts by name and passes their status on."""

import json

import pytest

from hand_pose_ros.cli import benchmark
from hand_pose_ros.cli.main import main

SCRIPT = '''"""Measures nothing."""
import argparse, json, sys
parser = argparse.ArgumentParser()
parser.add_argument('--json')
parser.add_argument('--fail', action='store_true')
arguments = parser.parse_args()
if arguments.json:
    json.dump({'figure': 1}, open(arguments.json, 'w'))
sys.exit(3 if arguments.fail else 0)
'''


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / 'nothing.py').write_text(SCRIPT)
    monkeypatch.setattr(benchmark, '_FOLDER', tmp_path)
    return tmp_path


def test_names_are_listed_with_what_they_measure(capsys):
    assert main(['benchmark']) == 0
    assert 'nothing' in capsys.readouterr().out


def test_one_runs_and_writes_json(folder):
    assert main(['benchmark', 'nothing', '--json', str(folder / 'out.json')]) == 0
    assert json.loads((folder / 'out.json').read_text()) == {'figure': 1}


def test_its_failure_is_ours():
    assert main(['benchmark', 'nothing', '--', '--fail']) == 3


def test_an_unknown_name_lists_those_that_exist(capsys):
    assert main(['benchmark', 'everything']) == 1
    assert "no benchmark 'everything': use one of nothing, or all." in capsys.readouterr().err


def test_without_a_checkout_it_says_so(folder, capsys):
    (folder / 'nothing.py').unlink()
    assert main(['benchmark']) == 1
    assert 'come with the source checkout' in capsys.readouterr().err


def test_all_run_and_their_results_are_in_one_file(folder, capsys):
    (folder / 'other.py').write_text(SCRIPT)
    assert main(['benchmark', 'all', '--json', str(folder / 'all.json')]) == 0
    results = json.loads((folder / 'all.json').read_text())
    assert results == {'nothing': {'figure': 1}, 'other': {'figure': 1}}
    (folder / 'other.py').write_text('"""Fails."""\nraise SystemExit(1)')
    assert main(['benchmark', 'all']) == 1
    assert 'other missed a target or failed' in capsys.readouterr().err
