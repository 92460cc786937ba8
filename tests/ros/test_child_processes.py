"""Processes that are started, watched and ended."""

import os
import time

import pytest

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.ros import child_processes
from hand_pose_ros.ros.child_processes import ChildProcesses

SLEEPER = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: sys.exit(7))
print('ready', flush=True)
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes modules that children can run."""
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))

    def write(name, text):
        (tmp_path / f'{name}.py').write_text(text)
        return name

    return write


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_interrupted_children_end_by_themselves(module):
    complaints = []
    children = ChildProcesses(complaints.append)
    children.start('sleeper', module('sleeper', SLEEPER), [])
    (pid,) = children.ids.values()
    time.sleep(0.5)
    children.check()
    assert children.stop() == {'sleeper': 7}
    assert not alive(pid)
    assert complaints == []
    assert children.ids == {}


def test_what_does_not_listen_is_killed(module, monkeypatch):
    monkeypatch.setattr(child_processes, '_GRACE', 0.3)
    deaf = SLEEPER.replace('lambda *_: sys.exit(7)', 'signal.SIG_IGN')
    deaf = deaf.replace('print', 'signal.signal(signal.SIGTERM, signal.SIG_IGN); print')
    children = ChildProcesses(print)
    children.start('deaf', module('deaf', deaf), [])
    (pid,) = children.ids.values()
    time.sleep(0.5)
    assert children.stop() == {'deaf': -9}
    assert not alive(pid)


def test_what_ends_is_started_again_and_given_up_in_the_end(module, monkeypatch):
    monkeypatch.setattr(child_processes, '_PAUSE', 0.05)
    complaints = []
    children = ChildProcesses(complaints.append)
    children.start('brief', module('brief', 'raise SystemExit(3)'), [])
    end = time.monotonic() + 20
    with pytest.raises(HandPoseError, match=r'brief ended 3 times .*exit status 3'):
        while time.monotonic() < end:
            children.check()
            time.sleep(0.02)
    assert complaints == 2 * ['process brief ended with status 3, starting it again']
    assert children.stop() == {}
