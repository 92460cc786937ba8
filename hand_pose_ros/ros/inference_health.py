"""What the inference node knows about its own health, as diagnostics."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.rig.synchronizer import SynchronizerConfig, SynchronizerCounters
from hand_pose_ros.ros.diagnostics import ERROR, OK, WARN, RateMeter, Status, Window
from hand_pose_ros.ros.stream_input import Arrivals, StreamInput

if TYPE_CHECKING:
    from hand_pose_ros.ros.results import Results

_SILENT_SECONDS = 1.0
_SLOW = 0.8


class InferenceHealth:
    """Counters and times of one activation; the worker writes, the diagnostics timer reads.

    Attributes:
        arrivals, inputs: the streams' ways in, by name.
        refused: images that could not be used, by stream.
        replaced: sets that were never estimated because a newer one came.
        late: sets older than one that was estimated already.
        faults: sets that failed with an exception.
        resets: times the estimator was reset because time jumped back.
        latency: seconds from the stamp to the publication of the hands.
    """

    def __init__(self, rig: RigDescription, config: SynchronizerConfig) -> None:
        """Start at zero."""
        self.arrivals: dict[str, Arrivals] = {}
        self.inputs: dict[str, StreamInput] = {}
        self.refused: dict[str, int] = {}
        self.replaced = self.late = self.faults = self.resets = 0
        self.latency = Window()
        self._rig = rig
        self._config = config
        self._meter = RateMeter()
        self._stages: dict[str, Window] = {}
        self._faults_reported = 0
        self._hands = 0

    @property
    def estimated(self) -> int:
        """Sets that were estimated and published."""
        return self._meter.total

    def finished(self, results: 'Results', published: int) -> None:
        """Note one set whose hands were published at a time of the node's clock (ns)."""
        self.latency.add((published - results.frame.stamp) * 1e-9)
        for stage, seconds in results.timings.items():
            self._stages.setdefault(stage, Window()).add(seconds)
        self._hands = len(results.hands)
        self._meter.count(results.frame.stamp)

    def statuses(
        self,
        now: int,
        counters: SynchronizerCounters | None,
        estimator: Estimator | None,
        active: bool,
    ) -> Iterable[Status]:
        """Return all entries at a time of the node's clock (ns)."""
        if not active:
            yield Status(name='estimator', level=WARN, message='not active')
            return
        for name, arrivals in self.arrivals.items():
            yield self._stream(name, arrivals, now)
        if counters is not None:
            yield self._synchronizer(counters)
        if estimator is not None:
            yield self._estimator(estimator)

    def _stream(self, name: str, arrivals: Arrivals, now: int) -> Status:
        rate = arrivals.meter.rate(time.monotonic_ns())
        age = arrivals.meter.age(now)
        level, text = OK, 'receiving'
        if not arrivals.meter.total:
            level, text = ERROR, 'no image yet'
        elif not rate:
            level, text = ERROR, 'no image for a second'
        elif rate < _SLOW * self._rig.cameras[name].rate:
            level, text = WARN, 'slower than the nominal rate'
        values = {
            'rate (Hz)': rate,
            'nominal rate (Hz)': self._rig.cameras[name].rate,
            'age of the newest image (s)': age,
            'received': arrivals.meter.total,
            'stamps in the future': arrivals.refused,
            'not usable': self.refused.get(name, 0),
        }
        return Status(name=f'stream {name}', level=level, message=text, values=values)

    def _synchronizer(self, counters: SynchronizerCounters) -> Status:
        values: dict[str, object] = {
            'policy': self._config.policy,
            'sets': counters.sets,
            'partial sets': counters.partial_sets,
            'spread mean (ms)': counters.spread_mean * 1e-6,
            'spread max (ms)': counters.spread_max * 1e-6,
            'wait mean (ms)': counters.wait_mean * 1e-6,
            'wait max (ms)': counters.wait_max * 1e-6,
            'resets': counters.resets,
        }
        for name, stream in counters.streams.items():
            values[f'{name} matched'] = stream.matched
            values[f'{name} dropped'] = stream.dropped
            values[f'{name} late'] = stream.late
        return Status(name='synchronizer', level=OK, message='matching', values=values)

    def _estimator(self, estimator: Estimator) -> Status:
        rate = self._meter.rate(time.monotonic_ns())
        faults, self._faults_reported = self.faults - self._faults_reported, self.faults
        level, text = OK, 'estimating'
        if faults:
            level, text = ERROR, f'{faults} sets failed in the last second, see the log'
        elif not rate:
            level, text = ERROR, 'no result for a second'
        values: dict[str, object] = {
            'estimator': estimator.name,
            'model hash': estimator.model_hash,
            'rate (Hz)': rate,
            'hands': self._hands,
            'sets estimated': self._meter.total,
            'sets replaced by newer ones': self.replaced,
            'sets too late': self.late,
            'sets failed': self.faults,
            'resets': self.resets,
            'latency p50 (ms)': 1e3 * self.latency.percentile(50),
            'latency p99 (ms)': 1e3 * self.latency.percentile(99),
        }
        for stage, window in list(self._stages.items()):
            values[f'{stage} p50 (ms)'] = 1e3 * window.percentile(50)
            values[f'{stage} p99 (ms)'] = 1e3 * window.percentile(99)
        return Status(name='estimator', level=level, message=text, values=values)
