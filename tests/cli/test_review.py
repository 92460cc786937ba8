"""``hand-pose review``: prints its address, serves, ends cleanly; refuses what is not labelled."""

import os
import re
import signal
import subprocess
import sys
import urllib.request

from hand_pose_ros.cli.main import main
from hand_pose_ros.sessions.labels import SessionLabels, labels_folder
from hand_pose_ros.sessions.session import Session
from tests.sessions.recorded import write_session


def labelled(folder):
    bag = write_session(folder / 'bag')
    with Session.open(bag) as session:
        labels = SessionLabels.empty(
            session.stamps, session.stamps * 0, session.rig.reference_camera.frame_id
        )
        labels.numbers[:] = range(len(session.stamps))
    labels.save(labels_folder(bag))
    return bag


def test_it_serves_until_it_is_told_to_end(repository, tmp_path):
    bag = labelled(tmp_path)
    process = subprocess.Popen(
        [sys.executable, '-m', 'hand_pose_ros.cli.main', 'review', str(bag)],
        env={**os.environ, 'PYTHONPATH': str(repository)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        address = re.search(r'http://127\.0\.0\.1:\d+/\?token=\S+', process.stdout.readline())[0]
        with urllib.request.urlopen(address) as answer:
            assert b'hand-pose review' in answer.read()
        second = subprocess.run(
            [sys.executable, '-m', 'hand_pose_ros.cli.main', 'review', str(bag)],
            env={**os.environ, 'PYTHONPATH': str(repository)}, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert second.stderr.count('\n') == 1
        assert f'is being reviewed by process {process.pid}' in second.stderr
    finally:
        process.send_signal(signal.SIGINT)
        output = process.communicate(timeout=30)
    assert (process.returncode, output[1]) == (0, '')


def test_a_session_without_labels_names_the_step(tmp_path, capsys):
    bag = write_session(tmp_path / 'bag')
    assert main(['review', str(bag)]) == 1
    assert 'run `hand-pose annotate` first' in capsys.readouterr().err
