"""Nodes in processes of their own: started, watched, started again, and ended cleanly."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hand_pose_ros.errors import HandPoseError

# A process that ends so soon after its start so many times in a row is given up.
_SHORT_LIFE = 10.0
_TRIALS = 3
_PAUSE = 1.0
_GRACE = 5.0
# Ctrl-C goes to every process of a terminal, but only the parent ends its children: a child that is
# interrupted while it starts, or a second time while it ends, would print a traceback.
_DEAF_TO_CTRL_C = ('/bin/sh', '-c', 'trap "" INT; exec "$@"', 'sh')


@dataclass(kw_only=True)
class _Child:
    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    ended: float = 0.0
    short_lives: int = 0
    codes: list[int] = field(default_factory=list)


class ChildProcesses:
    """Processes that run as long as their parent wants them to."""

    def __init__(self, complain: Callable[[str], None]) -> None:
        """Make an empty set; ``complain`` is called with a sentence for every early end."""
        self._children: list[_Child] = []
        self._complain = complain

    def start(self, name: str, module: str, arguments: Sequence[str]) -> None:
        """Start ``python -m module arguments`` with the environment of this process."""
        command = [*_DEAF_TO_CTRL_C, sys.executable, '-m', module, *arguments]
        child = _Child(name=name, command=command)
        self._children.append(child)
        _launch(child)

    @property
    def ids(self) -> dict[str, int]:
        """Process ids by name of those that run."""
        running = ((c.name, c.process) for c in self._children)
        return {name: p.pid for name, p in running if p is not None and p.poll() is None}

    def check(self) -> None:
        """Start what has ended again; to be called about once a second.

        Raises:
            HandPoseError: a process ends again and again right after its start.
        """
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now - child.ended >= _PAUSE:
                    _launch(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            child.short_lives = child.short_lives + 1 if now - child.started < _SHORT_LIFE else 1
            child.process, child.ended = None, now
            if child.short_lives >= _TRIALS:
                raise HandPoseError(
                    f'process {child.name} ended {_TRIALS} times right after its start (exit '
                    f'status {code}): its messages above say why'
                )
            self._complain(f'process {child.name} ended with status {code}, starting it again')

    def stop(self) -> dict[str, int]:
        """Ask all to end, wait, and kill only what does not; returns exit statuses by name."""
        running = [c for c in self._children if c.process is not None]
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + _GRACE
            for child in running:
                if child.process is not None and child.process.poll() is None:
                    if number == signal.SIGKILL:
                        self._complain(f'process {child.name} did not end and is killed')
                    child.process.send_signal(number)
            for child in running:
                _wait(child, deadline)
        self._children.clear()
        return {c.name: c.process.returncode for c in running if c.process is not None}


def _launch(child: _Child) -> None:
    package = str(Path(__file__).resolve().parents[2])
    environment = dict(os.environ)
    # The same package as this one, wherever the process is started.
    paths = [package, *filter(None, environment.get('PYTHONPATH', '').split(os.pathsep))]
    environment['PYTHONPATH'] = os.pathsep.join(dict.fromkeys(paths))
    child.process = subprocess.Popen(child.command, env=environment)  # noqa: S603
    child.started = time.monotonic()


def _wait(child: _Child, deadline: float) -> None:
    if child.process is None:
        return
    try:
        child.process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return
