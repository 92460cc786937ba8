"""The figures of a live run: rate, latency, errors, spread, hands found."""

from dataclasses import dataclass

import numpy as np

from hand_pose_ros.evaluation.live_run import LiveRun
from hand_pose_ros.evaluation.summary import AccuracySummary
from hand_pose_ros.skeleton import SIDES, Side

# Seconds at the start in which the networks warm up and the hand's shape is not known yet.
WARM_UP = 2.0


@dataclass(frozen=True, kw_only=True)
class LiveSummary:
    """What a run is judged by.

    Attributes:
        sets: number of results.
        seconds: length of the run by the stamps.
        rate: results per second.
        latency_p50_ms, latency_p99_ms: acquisition to reception.
        spread_mean_ms, spread_max_ms: between the images of a set.
        both: errors of both sides together.
        sides: errors per side.
        stages_ms: mean time per processing stage.
    """

    sets: int
    seconds: float
    rate: float
    latency_p50_ms: float
    latency_p99_ms: float
    spread_mean_ms: float
    spread_max_ms: float
    both: AccuracySummary
    sides: dict[Side, AccuracySummary]
    stages_ms: dict[str, float]

    @property
    def found_share(self) -> float:
        """Share of the visible hands that were reported; 0 when none was visible."""
        return self.both.found / self.both.frames if self.both.frames else 0.0

    def as_dict(self) -> dict[str, object]:
        """The figures by name, fit for JSON."""
        return {
            'sets': self.sets,
            'seconds': self.seconds,
            'rate_hz': self.rate,
            'latency_p50_ms': self.latency_p50_ms,
            'latency_p99_ms': self.latency_p99_ms,
            'spread_mean_ms': self.spread_mean_ms,
            'spread_max_ms': self.spread_max_ms,
            'found_share': self.found_share,
            'both': self.both.as_dict(),
            **{side: figures.as_dict() for side, figures in self.sides.items()},
            'stages_ms': self.stages_ms,
        }


def after_warm_up(run: LiveRun, seconds: float = WARM_UP) -> LiveRun:
    """The run without its first seconds; the whole run when nothing would be left."""
    if not run.results:
        return run
    start = run.results[0].stamp + round(seconds * 1e9)
    kept = [entry for entry in run.results if entry.stamp >= start]
    return LiveRun(results=kept or run.results, truth=run.truth)


def summarise_run(run: LiveRun) -> LiveSummary:
    """Compute the figures of a run with at least one result."""
    latencies, spreads = 1e3 * run.latencies, 1e3 * run.spreads
    names = {name for entry in run.results for name in entry.stages}
    return LiveSummary(
        sets=len(run.results),
        seconds=float(np.ptp(run.stamps) / 1e9),
        rate=run.rate,
        latency_p50_ms=float(np.percentile(latencies, 50)),
        latency_p99_ms=float(np.percentile(latencies, 99)),
        spread_mean_ms=float(spreads.mean()),
        spread_max_ms=float(spreads.max()),
        both=run.accuracy_of_both(),
        sides={side: run.accuracy(side) for side in SIDES},
        stages_ms={
            name: 1e3 * float(np.mean([entry.stages.get(name, 0.0) for entry in run.results]))
            for name in sorted(names)
        },
    )
