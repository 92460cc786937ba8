"""``hand-pose train`` end to end on the simulator, with a tiny network."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hand_pose_ros.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = """
task: densereg
network: {{stem_channels: 4, channels: 8, branch_channels: 8, vote_channels: 8, stacks: 1}}
options: {{reduction: mean}}
steps: {steps}
data:
  stream: depth
  batch: 2
  validation_batch: 2
  cache: {cache}
  train: [{{clips: 4, setting: office}}]
  validation: {{clips: 2, split: val, setting: office}}
validate_every: 1000000
checkpoint_every: 2
log_every: 1
threads: 1
tensorboard: false
"""


@pytest.fixture(scope='module')
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp('clips')


def write(folder, cache, steps=3):
    path = folder / 'tiny.yaml'
    path.write_text(TINY.format(cache=cache, steps=steps))
    return path


def test_it_trains_exports_and_resumes(tmp_path, cache, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path, cache)
    assert main(['train', str(config), '--json', 'summary.json']) == 0
    summary = json.loads((tmp_path / 'summary.json').read_text())
    assert summary['steps'] == 3
    assert summary['reason'] == 'finished'
    assert summary['metrics']['mean joint error'] > 0
    folder = tmp_path / 'output/train/tiny'
    assert {path.name for path in folder.iterdir()} == {
        'model.safetensors', 'model.json', 'state.pt', 'metrics.jsonl', 'curves.png', 'samples.png',
    }  # fmt: skip
    assert 'finished at step 3' in capsys.readouterr().out
    assert main(['train', str(config)]) == 1
    assert '--resume' in capsys.readouterr().err
    assert main(['train', str(config), '--resume', '--steps', '5']) == 0
    assert 'finished at step 5' in capsys.readouterr().out


def test_a_checkpoint_evaluates_as_its_validation_did(tmp_path, cache):
    from hand_pose_ros.networks.checkpoint import read_card
    from hand_pose_ros.training.evaluate import evaluate_checkpoint

    config = write(tmp_path, cache)
    assert main(['train', str(config), '--output', str(tmp_path / 'run')]) == 0
    model = tmp_path / 'run/model.safetensors'
    result = evaluate_checkpoint(model, 'simulated:val', clips=2, cache=cache)
    stated = read_card(model)['metrics']
    assert result.metrics['mean joint error'] == pytest.approx(stated['mean joint error'], abs=0.01)
    assert result.predicted['joints'].shape == result.truth['joints'].shape == (2, 2, 21, 3)


def test_ctrl_c_saves_the_state(tmp_path, cache):
    config = write(tmp_path, cache, steps=10**6)
    process = subprocess.Popen(
        [sys.executable, '-m', 'hand_pose_ros.cli.main', 'train', str(config),
         '--output', str(tmp_path / 'run')],
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    journal = tmp_path / 'run/metrics.jsonl'
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if journal.is_file() and journal.stat().st_size:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors[-2000:]
    assert 'stopped at step' in output
    assert 'Traceback' not in errors
    assert (tmp_path / 'run/state.pt').is_file()


@pytest.mark.parametrize(
    ('arguments', 'expected'),
    [
        (['missing.yaml'], 'missing.yaml'),
        (['--steps', '0'], '--steps is 0'),
        (['--time-limit', '0'], '--time-limit is 0'),
        (['--resume', '--output', 'nothing'], 'start without --resume'),
    ],
)
def test_bad_use_is_one_sentence(tmp_path, cache, capsys, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    config = write(tmp_path, cache)
    words = arguments if arguments[0].endswith('.yaml') else [str(config), *arguments]
    assert main(['train', *words]) == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count('\n') == 1


def test_options_of_network_and_task_are_checked(tmp_path, cache, capsys):
    for old, new, expected in (
        ('stacks: 1', 'stack: 1', "network.stack is unknown, did you mean 'stacks'?"),
        ('reduction: mean', 'reduction: man', "options.reduction is 'man', did you mean 'mean'?"),
        ('stacks: 1', 'size: tiny', "network.size is 'tiny'"),
        ('stacks: 1', 'stacks: 7', '7 stacks does not exist'),
    ):
        path = write(tmp_path, cache)
        path.write_text(path.read_text().replace(old, new))
        assert main(['train', str(path), '--output', str(tmp_path / 'no')]) == 1
        assert expected in capsys.readouterr().err
