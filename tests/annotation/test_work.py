"""Work folder: chunks survive or are made again, one process owns a session."""

import subprocess
import sys

import numpy as np
import pytest

from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.work import WorkFolder, owned
from hand_pose_ros.errors import DataError
from hand_pose_ros.sessions.labels import SessionLabels

HOLD = """
import sys
from pathlib import Path
from hand_pose_ros.annotation.work import owned
with owned(Path(sys.argv[1]), *sys.argv[2:]):
    print('owned', flush=True)
    sys.stdin.read()
"""


def evidence(frames=3):
    stamps = np.arange(frames, dtype=np.int64)
    return Evidence.empty(stamps, stamps, ('thermal', 'rgb'), (False, True), 1)


def test_evidence_and_labels_come_back(tmp_path):
    work = WorkFolder(tmp_path, 'key')
    assert work.evidence(2) is None and work.labels(2) is None
    work.save_evidence(2, evidence())
    labels = SessionLabels.empty(np.arange(3), np.arange(3), 'frame')
    work.save_labels(2, labels)
    again = WorkFolder(tmp_path, 'key')
    assert again.evidence(2).views.tolist() == ['thermal', 'rgb']
    assert again.labels(2).frame_id == 'frame'
    assert again.evidence(1) is None


def test_a_damaged_chunk_is_none(tmp_path):
    work = WorkFolder(tmp_path, 'key')
    work.save_evidence(0, evidence())
    (path,) = work.folder.glob('evidence*')
    path.write_bytes(path.read_bytes()[:100])
    assert work.evidence(0) is None


def test_folders_of_other_keys_are_found_and_removed_when_told(tmp_path):
    WorkFolder(tmp_path, 'before').save_evidence(0, evidence())
    work = WorkFolder(tmp_path, 'now')
    work.save_evidence(0, evidence())
    assert [path.name for path in work.others] == ['before']
    work.remove_others()
    assert WorkFolder(tmp_path, 'before').evidence(0) is None
    assert work.evidence(0) is not None


@pytest.mark.parametrize('doing', [[], ['reviewed']])
def test_a_second_process_is_told_who_does_what_and_a_killed_one_lets_go(tmp_path, doing):
    with subprocess.Popen(
        [sys.executable, '-c', HOLD, str(tmp_path), *doing], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        assert other.stdout.readline() == 'owned\n'
        what = doing[0] if doing else 'annotated'
        with (
            pytest.raises(DataError, match=f'is being {what} by process {other.pid} on .*: wait'),
            owned(tmp_path),
        ):
            pass
        other.kill()
        other.wait()
    with owned(tmp_path):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='cannot be made'), owned(tmp_path / 'file'):
        pass
