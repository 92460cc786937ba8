"""The demo end to end: its own process, real DDS, a bag, a report, honest exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from hand_pose_ros.bags.reader import BagReader
from hand_pose_ros.cli.main import main
from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def hand_pose(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'hand_pose_ros.cli.main', *arguments]
    search = f'{Path(__file__).parents[2]}:{os.environ.get("PYTHONPATH", "")}'
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=110, check=False,
        env={**os.environ, 'PYTHONPATH': search, **environment},
    )  # fmt: skip


def test_the_demo_finds_hands_and_reports(tmp_path):
    try:
        for model in model_store.MODELS:
            model_store.find(model)
    except ModelError as missing:
        pytest.skip(f'no network weights: {missing}')
    done = hand_pose(
        'demo', '--seconds', '5', '--output', 'out', '--json', 'out.json', cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ('rate', 'latency p50 / p99', 'MEPE', 'wrist error', 'spread', 'hands found'):
        assert name in done.stdout
    for line in done.stdout.splitlines()[-3:]:
        assert (tmp_path / line.split(maxsplit=1)[1]).exists()
    figures = json.loads((tmp_path / 'out.json').read_text())
    assert figures['both']['found'] > 0 and figures['rate_hz'] > 0
    with BagReader(tmp_path / 'out' / 'bag') as bag:
        counts = bag.counts
    for topic in ('/hand_pose/hands', '/thermal/ground_truth', '/tf_static', '/hand_pose/topology'):
        assert counts[topic] > 0, topic
    for camera in ('thermal', 'nir', 'depth', 'rgb'):
        assert counts[f'/{camera}/camera_info'] > counts[f'/{camera}/image_raw'] > 0


def test_without_models_it_says_what_to_do(tmp_path, capsys, monkeypatch):
    def missing(name: str) -> Path:
        raise ModelError(f'model {name} is in no folder: run `make setup`')

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(model_store, 'find', missing)
    assert main(['demo']) == 1
    assert 'run `make setup`' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (('--seconds', '0'), '--seconds must be at least'),
        (('--seconds', 'nan'), '--seconds must be at least'),
        (('--rig', 'thermohands_ego'), 'needs simulated cameras'),
        (('--rig', 'nothing'), 'nothing'),
    ],
)
def test_what_cannot_be_run_is_a_sentence(tmp_path, arguments, sentence, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(['demo', *arguments]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'output').exists()
