"""The papers' findings on the simulator: trains every variant for several seeds and compares.

    python benchmarks/ablations/run.py [sensors frames mask_guidance kpe dense]
        [--seeds 0,1,2] [--scale 1.0] [--batch 1.0] [--device cuda --jobs 6 --minutes 9]
        [--cache FOLDER] [--output output/ablations] [--json FILE]
    python benchmarks/ablations/run.py --report [RESULTS.json ...]

Clips are rendered first, once; then ``--jobs`` processes take one training after another, all of
the first seed before those of the second. What was measured is kept in the output folder, and in
its ``results.json`` as a whole, and not trained again: the script can be stopped at any time and
goes on where it was. ``--report`` makes the tables from such files alone. The exit status says
whether every claim held in the mean over the seeds.
"""

import argparse
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.ablations.experiments import EXPERIMENTS  # noqa: E402
from benchmarks.ablations.report import held, make_report, markdown  # noqa: E402
from benchmarks.ablations.results import (  # noqa: E402
    RESULTS,
    collect,
    read_results,
    write_json,
)
from benchmarks.ablations.runs import Place, planned  # noqa: E402
from benchmarks.ablations.schedule import Schedule  # noqa: E402
from benchmarks.ablations.workers import Job, Outcome, work  # noqa: E402


def run_all(names: list[str], seeds: list[int], place: Place, *, jobs: int) -> None:
    """Train and measure what has no result yet; prints as it goes."""
    began = time.monotonic()
    runs = planned(names, seeds)
    schedule = Schedule(runs, collect(place.output), place)

    def finished(job: Job, outcome: Outcome) -> None:
        results = collect(place.output)
        passed = time.monotonic() - began
        state = f'{outcome.value:.0f} s' if isinstance(outcome.value, float) else 'done'
        if outcome.error:
            state = f'FAILED\n{outcome.error}'
            schedule.failed(job.name)
        elif outcome.value is False:
            state = 'stopped, the time is up'
        else:
            schedule.finished(job.name)
        known = sum(run in results for run in runs)
        print(f'{passed:5.0f} s, {known}/{len(runs)} runs: {job.name}: {state}', flush=True)

    work(schedule.take, finished, processes=jobs, deadline=place.deadline)


def main(arguments: list[str] | None = None) -> int:
    """Run or report what was asked for; 0 when every claim held."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('names', nargs='*', metavar='EXPERIMENT',
                        help=f'of {", ".join(EXPERIMENTS)} (default: all)')  # fmt: skip
    parser.add_argument('--seeds', default='0,1,2')
    parser.add_argument('--scale', type=float, default=1.0, metavar='FACTOR',
                        help='of the steps of every training')  # fmt: skip
    parser.add_argument('--batch', type=float, default=1.0, metavar='FACTOR',
                        help='of the clips of every step')  # fmt: skip
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    parser.add_argument('--threads', type=int, default=0,
                        help='of a process (default: cores / jobs, 1 with a GPU)')  # fmt: skip
    parser.add_argument('--minutes', type=float, default=math.inf,
                        help='begin nothing after these, and stop what runs')  # fmt: skip
    parser.add_argument('--output', type=Path, default=REPOSITORY / 'output' / 'ablations')
    parser.add_argument('--cache', type=Path, help='rendered clips (default: OUTPUT/clips)')
    parser.add_argument('--report', nargs='*', type=Path, metavar='RESULTS.json',
                        help='train nothing, report these (default: that of OUTPUT)')  # fmt: skip
    parser.add_argument('--json', type=Path)
    given: Any = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(EXPERIMENTS))
    if unknown:
        parser.error(f'there is no experiment {unknown[0]!r}: use {", ".join(EXPERIMENTS)}')
    if given.report is None:
        place = Place(
            output=given.output.absolute(),
            cache=(given.cache or given.output / 'clips').absolute(),
            device=given.device, threads=given.threads or _threads(given.device, given.jobs),
            scale=given.scale, batch=given.batch, deadline=time.time() + 60.0 * given.minutes,
        )  # fmt: skip
        seeds = [int(seed) for seed in given.seeds.split(',')]
        run_all(given.names or list(EXPERIMENTS), seeds, place, jobs=given.jobs)
    results = read_results(given.report or [given.output / RESULTS])
    report = make_report(results)
    print(markdown(report))
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / 'report.md').write_text(markdown(report), encoding='utf-8')
    if given.json:
        write_json(given.json, report)
    return 0 if held(report) else 1


def _threads(device: str, jobs: int) -> int:
    return 1 if device == 'cuda' else max(1, (os.cpu_count() or 1) // jobs)


if __name__ == '__main__':
    sys.exit(main())
