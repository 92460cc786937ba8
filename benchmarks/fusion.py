"""Figure: accuracy of every estimator in the five settings of the simulator, by streams.

    hand-pose benchmark fusion -- [--clips 4] [--frames 24] [--settings office,darkness] [--json F]

Clips are from the test split: shapes, motions and rooms that no network was trained or chosen on.
Images are as a live rig delivers them: native sizes and encodings, through the lens, all streams
of one stamp. Each clip starts without tracks, and its first frames are not counted. A hand counts
when a stream in use has most of its joints in view; one that is not reported as tracked has no
error and lowers the share of those that are. Errors of one motion go together, in whatever setting:
behind ``+-`` stands the standard error of the mean over motions as they come.
"""

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import registry
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import RigFrame
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.simulation.batch import BatchSimulator
from hand_pose_ros.simulation.batch_config import SETTINGS, SimulationConfig

ALL = ('thermal', 'nir', 'depth', 'rgb')
# Estimator -> the sets of streams it is measured with.
RUNS: dict[str, tuple[tuple[str, ...], ...]] = {
    'fusion': (ALL, ('thermal', 'depth'), ('thermal',)),
    'landmarks': (ALL, ('thermal', 'depth'), ('thermal',)),
    'therformer': (('thermal',),),
    'densereg': (('thermal', 'depth'), ('depth',)),
    'wildhands': (('thermal', 'rgb'), ('rgb',)),
}
# (estimator, streams) -> most millimetres of MEPE over all settings.
TARGETS = {('fusion', ALL): 10.0, ('fusion', ('thermal', 'depth')): 18.0}
LEAST_TRACKED = 0.8  # of the hands in view, in each setting, by fusion with all streams
WARM_UP = 4  # frames
_FAR = 0.06  # metres; a tracked hand that is farther off is elsewhere, not inexact


@dataclass
class Comparison:
    """Results beside the truth of the hands in view; NaN where no tracked hand was reported."""

    predicted: list[np.ndarray] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)
    covariance: list[np.ndarray] = field(default_factory=list)
    clip: list[int] = field(default_factory=list)
    false: int = 0
    seconds: float = 0.0
    frames: int = 0

    def add(
        self, poses: Iterable[HandPose], truth: Iterable[HandPose], streams: tuple[str, ...],
        clip: int,
    ) -> None:  # fmt: skip
        """Compare one frame of a clip."""
        reported = {p.side: p for p in poses if p.state == 'tracked' and p.joints is not None}
        for true in truth:
            if not set(true.sources) & set(streams):
                continue
            found = reported.pop(true.side, None)
            nothing = np.full((21, 3), np.nan)
            self.truth.append(nothing if true.joints is None else true.joints)
            self.predicted.append(
                nothing if found is None or found.joints is None else found.joints
            )
            covariance = None if found is None else found.covariance
            self.covariance.append(
                np.full((21, 3, 3), np.nan) if covariance is None else covariance
            )
            self.clip.append(clip)
        self.false += len(reported)

    def join(self, other: 'Comparison') -> None:
        """Add everything of another one."""
        self.predicted += other.predicted
        self.truth += other.truth
        self.covariance += other.covariance
        self.clip += other.clip
        self.false += other.false
        self.seconds += other.seconds
        self.frames += other.frames

    def figures(self) -> dict[str, float]:
        """Return the figures, in millimetres and shares."""
        predicted, truth = np.array(self.predicted), np.array(self.truth)
        found = np.isfinite(predicted).any(axis=(1, 2))
        per_hand = np.linalg.norm(predicted - truth, axis=2).mean(axis=1)
        known = np.isfinite(per_hand)
        per_hand = per_hand[known]
        return {
            'hands': len(truth),
            'tracked_share': float(found.mean()),
            'mepe_mm': 1e3 * metrics.mepe(predicted, truth),
            'mepe_error_mm': 1e3 * error_of_mean(per_hand, np.array(self.clip)[known]),
            'median_mm': 1e3 * float(np.median(per_hand)) if len(per_hand) else float('nan'),
            'mepe_ra_mm': 1e3 * metrics.mepe_root_aligned(predicted, truth),
            'wrist_mm': 1e3 * metrics.wrist_error(predicted, truth),
            'far_share': float((per_hand > _FAR).mean()) if len(per_hand) else float('nan'),
            'sigma_share': metrics.sigma_share(predicted, truth, np.array(self.covariance)),
            'false_hands': self.false,
            'ms_per_frame': 1e3 * self.seconds / max(self.frames, 1),
        }


def error_of_mean(values: np.ndarray, groups: np.ndarray) -> float:
    """Return the standard error of a mean of values that are alike within groups."""
    names, index = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        return float('nan')
    sums = np.bincount(index, weights=values - values.mean())
    return float(np.sqrt(np.square(sums).sum() * len(names) / (len(names) - 1)) / len(values))


def clips(
    setting: str, numbers: Sequence[int], frames: int
) -> dict[int, tuple[list[RigFrame], list[list[HandPose]]]]:
    """Render clips of the test split with all streams."""
    simulator = BatchSimulator(SimulationConfig(setting=setting, split='test'))  # type: ignore[arg-type]
    return {number: simulator.rig_frames(number, frames) for number in numbers}


def compare(
    estimator: Estimator,
    recorded: Mapping[int, tuple[list[RigFrame], list[list[HandPose]]]],
    streams: tuple[str, ...],
) -> Comparison:
    """Run an estimator on clips that are reduced to some streams."""
    comparison = Comparison()
    for clip, (frames, truth) in recorded.items():
        estimator.reset()
        for number, (frame, hands) in enumerate(zip(frames, truth, strict=True)):
            started = time.perf_counter()
            poses = estimator.estimate(reduced(frame, streams))
            if number >= WARM_UP:
                comparison.seconds += time.perf_counter() - started
                comparison.frames += 1
                comparison.add(poses, hands, streams, clip)
    return comparison


def reduced(frame: RigFrame, streams: tuple[str, ...]) -> RigFrame:
    """Return a frame with fewer streams, in the same frame of reference."""
    images = {name: image for name, image in frame.streams.items() if name in streams}
    reference = frame.reference if frame.reference in images else next(iter(images))
    return RigFrame(
        streams=images,
        reference=reference,
        frame_id=frame.frame_id,
        T_rig_frame=frame.T_rig_frame,
    )


def verdicts(table: dict[str, dict[str, dict[str, float]]]) -> dict[str, bool]:
    """Say which targets hold; the table is figures by run and setting."""
    held = {}
    for (name, streams), most in TARGETS.items():
        run = f'{name} {"+".join(streams)}'
        if 'all' in table.get(run, {}):
            held[f'{run}: MEPE <= {most:g} mm'] = table[run]['all']['mepe_mm'] <= most
    for setting, figures in table.get(f'fusion {"+".join(ALL)}', {}).items():
        tracked = figures['tracked_share'] >= LEAST_TRACKED
        held[f'fusion tracks {LEAST_TRACKED:.0%} of the hands in {setting}'] = tracked
    return held


def make(name: str, rig: RigDescription, options: dict[str, Any]) -> Estimator | None:
    """Make an estimator, or say why it cannot be measured."""
    try:
        return registry.create(name, dict(options), rig)
    except ModelError as error:
        print(f'{name}: left out, {error}')
        return None


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and return 0 when every target holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--clips', type=int, default=4, help='clips a setting')
    parser.add_argument('--first', type=int, default=0, help='number of the first clip')
    parser.add_argument('--frames', type=int, default=24, help='frames a clip')
    parser.add_argument('--settings', default=','.join(SETTINGS[:-1]))
    parser.add_argument('--estimators', default=','.join(RUNS))
    parser.add_argument('--json', type=Path, help='write the figures to this file')
    parser.add_argument(
        '--runtimes', action='store_true', help='only compare PyTorch with onnxruntime'
    )
    options = parser.parse_args(arguments)
    if options.runtimes:
        runtimes(SimulationConfig().rig)
        return 0
    numbers = range(options.first, options.first + options.clips)
    rig = SimulationConfig().rig
    made = {name: make(name, rig, {'mesh': False}) for name in options.estimators.split(',')}
    table: dict[str, dict[str, dict[str, float]]] = {}
    everything: dict[str, Comparison] = {}
    print(f'clips {numbers.start}..{numbers.stop - 1} a setting, {options.frames} frames each')
    for setting in options.settings.split(','):
        recorded = clips(setting, numbers, options.frames)
        for name, estimator in made.items():
            for streams in RUNS[name] if estimator is not None else ():
                assert estimator is not None
                run = f'{name} {"+".join(streams)}'
                found = compare(estimator, recorded, streams)
                everything.setdefault(run, Comparison()).join(found)
                table.setdefault(run, {})[setting] = found.figures()
                show(run, setting, table[run][setting])
    for run, comparison in everything.items():
        table[run]['all'] = comparison.figures()
        show(run, 'all', table[run]['all'])
    held = verdicts(table)
    for target, holds in held.items():
        print(f'{"holds" if holds else "MISSED"}: {target}')
    if options.json:
        report = {
            'clips': list(numbers),
            'frames': options.frames,
            'table': {run: written(settings) for run, settings in table.items()},
            'targets': held,
        }
        options.json.write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')
    return 0 if all(held.values()) else 1


def written(settings: dict[str, dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Return figures as JSON has them: null where nothing was measured."""
    return {
        setting: {key: value if np.isfinite(value) else None for key, value in figures.items()}
        for setting, figures in settings.items()
    }


def runtimes(rig: RigDescription) -> None:
    """Print how long each network takes in PyTorch and in onnxruntime, on the same frames."""
    recorded = clips('office', [0], 24)
    for name in ('therformer', 'densereg', 'wildhands'):
        for runtime in ('torch', 'onnx'):
            options: dict[str, Any] = {'runtime': runtime, 'mesh': False}
            if name != 'therformer':
                options['locators'] = ['therformer', 'track']
            estimator = make(name, rig, options)
            if estimator is not None:
                spent = compare(estimator, recorded, ALL)
                print(f'{name:10} {runtime:5} {1e3 * spent.seconds / spent.frames:6.1f} ms a frame')


def show(run: str, setting: str, figures: dict[str, float]) -> None:
    """Print one line of the table."""
    print(
        f'{run:32} {setting:10} MEPE {figures["mepe_mm"]:6.1f} '
        f'+-{figures["mepe_error_mm"]:4.1f}  '
        f'median {figures["median_mm"]:5.1f}  RA {figures["mepe_ra_mm"]:5.1f}  '
        f'wrist {figures["wrist_mm"]:6.1f}  far {figures["far_share"]:5.1%}  '
        f'tracked {figures["tracked_share"]:6.1%} of {figures["hands"]:4.0f}  '
        f'false {figures["false_hands"]:3.0f}  '
        f'1 sigma {figures["sigma_share"]:4.0%}  {figures["ms_per_frame"]:5.0f} ms',
        flush=True,
    )


if __name__ == '__main__':
    raise SystemExit(main())
