"""The loop of docs/sessions.md runs as it stands, on recordings of seconds."""

import json

import pytest

from hand_pose_ros.sessions.labels import SessionLabels
from tests.docs.session_page import commands, run

# What is shorter here than on the page.
_SHORTER = (
    ('--duration 20', '--duration 1'),
    ('--duration 10', '--duration 0.5'),
    ('--time-limit 3', '--steps 2'),
    ('--target chessboard:9x6:0.025 --output rig', '--target chessboard:9x6:0.025 --output rig '
     '--moments 24'),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_loop_runs_from_the_first_command_to_the_last(tmp_path):
    pytest.importorskip('av', reason='pip install -r requirements/export.txt')
    lines = commands()
    assert len(lines) >= 10
    for line in lines:
        for long, short in _SHORTER:
            line = line.replace(long, short)
        done = run(line, tmp_path)
        allowed = (0, 3) if ' check ' in line else (0,)
        assert done.returncode in allowed, f'{line}\n{done.stdout}{done.stderr}'
    labels = SessionLabels.load(tmp_path / 'sessions' / 'subject_01' / 'wave_labels')
    assert labels.usable.mean() > 0.8
    card = json.loads((tmp_path / 'run' / 'model.json').read_text())
    assert card['network'] == 'wildhands'
    info = json.loads((tmp_path / 'episodes' / 'meta' / 'info.json').read_text())
    assert info['codebase_version'] == 'v3.0'
    assert info['total_frames'] == pytest.approx(30, abs=2)
