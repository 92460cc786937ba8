"""Results on disk: one JSON file per run, and all of them in one."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.ablations.runs import Run
from hand_pose_ros.whole_file import whole_file

RESULT = 'result.json'
RESULTS = 'results.json'


def write_json(path: Path, content: Any) -> None:
    """Write a file that is there as a whole or not at all."""
    with whole_file(path) as file:
        file.write(json.dumps(content, indent=1).encode())


def collect(output: Path) -> dict[Run, dict[str, Any]]:
    """Return the results in the folder of the runs, and write them into one file."""
    results = _by_run(
        json.loads(path.read_text(encoding='utf-8'))
        for path in sorted(output.glob(f'*/*/*/{RESULT}'))
    )
    write_json(output / RESULTS, list(results.values()))
    return results


def read_results(files: Iterable[Path]) -> dict[Run, dict[str, Any]]:
    """Return the results of files that ``collect`` wrote; of equal runs the last counts."""
    return _by_run(
        result for path in files for result in json.loads(path.read_text(encoding='utf-8'))
    )


def _by_run(results: Iterable[dict[str, Any]]) -> dict[Run, dict[str, Any]]:
    return {
        Run(**{name: result[name] for name in ('experiment', 'variant', 'seed')}): result
        for result in results
    }
