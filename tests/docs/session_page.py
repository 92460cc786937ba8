"""The commands of docs/sessions.md, as its test and its benchmark run them."""

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / 'docs' / 'sessions.md'
_COMMAND = f'hand-pose() {{ "{sys.executable}" -m hand_pose_ros.cli.main "$@"; }}\n'


def commands() -> list[str]:
    """Lines of the page's bash blocks, in order."""
    found = re.findall(r'^```bash\n(.*?)^```', PAGE.read_text(encoding='utf-8'), re.M | re.S)
    return [line for block in found for line in block.splitlines() if line.strip()]


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line in a folder that has the checkout's ``config`` folder in it."""
    link = folder / 'config'
    if not link.exists():
        link.symlink_to(REPOSITORY / 'config')
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    return subprocess.run(
        ['bash', '-c', _COMMAND + line], cwd=folder, env=environment, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
