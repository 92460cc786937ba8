"""Processes that are started, watched and ended."""

import os
import signal
import time

import pytest

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.ros import child_processes
from hand_pose_ros.ros.child_processes import ChildProcesses

# Says by a file that it is ready.
SLEEPER = """
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
pathlib.Path(sys.argv[1]).touch()
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


def wait_for(path):
    end = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_children_end_by_themselves_when_told(module, tmp_path):
    complaints = []
    children = ChildProcesses(complaints.append)
    children.start('sleeper', module('sleeper', SLEEPER), [str(tmp_path / 'ready')])
    (pid,) = children.ids.values()
    wait_for(tmp_path / 'ready')
    children.check()
    assert children.stop() == {'sleeper': 7}
    assert not alive(pid)
    assert complaints == []
    assert children.ids == {}


def test_ctrl_c_is_left_to_the_parent(module, tmp_path, capfd):
    """A terminal interrupts all its processes: a child must neither end nor say anything."""
    children = ChildProcesses(print)
    children.start('sleeper', module('sleeper', SLEEPER), [str(tmp_path / 'ready')])
    (pid,) = children.ids.values()
    wait_for(tmp_path / 'ready')
    os.kill(pid, signal.SIGINT)
    assert children.stop() == {'sleeper': 7}
    assert capfd.readouterr() == ('', '')


def test_what_does_not_listen_is_killed_and_named(module, tmp_path, monkeypatch):
    monkeypatch.setattr(child_processes, '_GRACE', 0.3)
    deaf = SLEEPER.replace('lambda *_: sys.exit(7)', 'signal.SIG_IGN')
    complaints = []
    children = ChildProcesses(complaints.append)
    children.start('deaf', module('deaf', deaf), [str(tmp_path / 'ready')])
    (pid,) = children.ids.values()
    wait_for(tmp_path / 'ready')
    assert children.stop() == {'deaf': -9}
    assert not alive(pid)
    assert complaints == ['process deaf did not end and is killed']


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
