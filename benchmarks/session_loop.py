"""The whole loop of docs/sessions.md, unattended: record, calibrate, annotate, train, export.

    python benchmarks/session_loop.py [--folder DIR] [--json FILE]

Runs the commands of the page as they stand in an empty folder and prints the time of each, the
errors of the labels against the simulation's exact hands, and the held-out session's errors with
the shipped and with the fine-tuned weights. Target: all of it within 15 minutes on two cores, and
better weights at the end.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from tests.docs.session_page import commands, run  # noqa: E402

_LIMIT = 15.0  # minutes


def main() -> int:
    """Run the loop; 0 if it was quick enough and the weights got better."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--folder', type=Path, help='empty folder (default: a temporary one)')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = loop(arguments.folder or Path(scratch))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(results, indent=2) + '\n')
    print(f'whole loop: {results["minutes"]:.1f} min (target {_LIMIT:.0f}), {results["machine"]}')
    return 0 if results['minutes'] <= _LIMIT and results['better'] else 1


def loop(folder: Path) -> dict[str, Any]:
    """Run all commands in a folder; return times and errors."""
    folder.mkdir(parents=True, exist_ok=True)
    times: dict[str, float] = {}
    began = time.monotonic()
    errors: dict[str, Any] = {}
    for line in commands():
        is_evaluation = ' evaluate ' in line
        line = f'{line} --json evaluation.json' if is_evaluation else line
        start = time.monotonic()
        done = run(line, folder)
        times[line] = time.monotonic() - start
        print(f'{times[line]:6.1f} s  {line}')
        if done.returncode not in (0, 3):
            sys.exit(f'{done.stdout}{done.stderr}')
        for text in done.stdout.splitlines():
            if 'exact hands' in text or '->' in text:
                print(f'          {text.strip()}')
        if is_evaluation:
            errors = json.loads((folder / 'evaluation.json').read_text())
    after, before = errors['headline'], errors['against']
    better = {name: after[name] < before[name] for name in after if name.endswith('_mm')}
    return {
        'machine': platform.processor() or platform.machine(),
        'minutes': (time.monotonic() - began) / 60.0,
        'seconds': times,
        'before': before,
        'after': after,
        'better': bool(better) and all(better.values()),
    }


if __name__ == '__main__':
    sys.exit(main())
