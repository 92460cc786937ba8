"""Interrupts that were dealt with do not decide how a program ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PROGRAM = """
import sys
from hand_pose_ros.interrupts import forget_interrupt

try:
    exec('raise KeyboardInterrupt')
except KeyboardInterrupt:
    pass
{call}
sys.exit(0)
"""


@pytest.mark.parametrize(('call', 'expected'), [('forget_interrupt()', 0), ('', -signal.SIGINT)])
def test_a_program_that_dealt_with_an_interrupt_ends_with_its_own_status(tmp_path, call, expected):
    (tmp_path / 'program.py').write_text(PROGRAM.format(call=call))
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    ended = subprocess.run(
        [sys.executable, '-m', 'program'], env={**os.environ, 'PYTHONPATH': path},
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (expected, '')
