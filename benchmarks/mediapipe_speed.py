"""Figure 3: our 2D part and whole estimator against MediaPipe 0.10.21's Hands graph.

    hand-pose benchmark mediapipe_speed -- [--frames 300]

All take the same real thermal frames in turn, in the same run, two hands, and each may use all
cores while the others wait. MediaPipe gets frames that are already stretched to 8-bit RGB and is
timed without that step; ours are timed with it. MediaPipe is installed into a virtual environment
of its own on first use.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.estimators import registry
from hand_pose_ros.estimators.landmark_stream import LandmarkStream
from hand_pose_ros.estimators.networks import load_networks
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.thermal import agc

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get('HAND_POSE_TEST_DATA', ROOT.parent / 'shared' / 'data'))
REQUIREMENTS = ('mediapipe==0.10.21', 'numpy<2')
FRAME_INTERVAL = 33_333_333
WARM_UP = 20
TARGETS = {'2D part': 1.0, 'whole estimator': 2.0}

# One timed step: the frame's number in, seconds and hands out.
Step = Callable[[int], tuple[float, int]]


def mediapipe_python(folder: Path) -> Path:
    """Return the Python of an environment with MediaPipe, made on first use."""
    python = folder / 'bin' / 'python'
    if not (folder / 'complete').is_file():
        print(f'installing {" ".join(REQUIREMENTS)} into {folder} (about 1 GB)')
        subprocess.run([sys.executable, '-m', 'venv', str(folder)], check=True)
        subprocess.run([str(python), '-m', 'pip', 'install', '-q', *REQUIREMENTS], check=True)
        (folder / 'complete').touch()
    return python


@contextmanager
def mediapipe_step(python: Path, frames: np.ndarray) -> Iterator[Step]:
    """Start MediaPipe in its own process and give a step that runs one frame there."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'frames.npy'
        np.save(path, frames)
        worker = subprocess.Popen(
            [str(python), str(ROOT / 'benchmarks' / '_mediapipe_worker.py'), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert worker.stdin and worker.stdout
        if worker.stdout.readline().strip() != 'ready':
            raise SystemExit('MediaPipe did not start: delete its folder and run this again')

        def step(index: int) -> tuple[float, int]:
            assert worker.stdin and worker.stdout
            worker.stdin.write(f'{index}\n')
            worker.stdin.flush()
            seconds, hands = worker.stdout.readline().split()
            return float(seconds), int(hands)

        try:
            yield step
        finally:
            worker.stdin.close()
            worker.wait(10)


def landmark_step(images: list[np.ndarray], threads: int) -> Step:
    """Return a step of the 2D part alone."""
    stream = LandmarkStream(load_networks(threads), 'thermal')

    def step(index: int) -> tuple[float, int]:
        frame = StreamImage(image=images[index % len(images)], stamp=index * FRAME_INTERVAL)
        start = time.perf_counter()
        hands = stream.update(frame)
        return time.perf_counter() - start, len(hands)

    return step


def estimator_step(images: list[np.ndarray]) -> Step:
    """Return a step of the default estimator, metric fit and mesh included."""
    rig = find_rig('thermohands_ego')
    description = rig.cameras['thermal']
    assert description.camera is not None
    height, width = images[0].shape
    camera = description.camera.scaled(width, height)
    estimator = registry.create('landmarks', None, rig)

    def step(index: int) -> tuple[float, int]:
        stream = StreamImage(
            image=images[index % len(images)],
            stamp=index * FRAME_INTERVAL,
            camera=camera,
            T_rig_cam=description.T_rig_cam,
            frame_id=description.frame_id,
        )
        frame = rig_frame(rig, {'thermal': stream})
        start = time.perf_counter()
        hands = estimator.estimate(frame)
        return time.perf_counter() - start, len(hands)

    return step


def measure(steps: dict[str, Step], count: int) -> dict[str, dict[str, float]]:
    """Run the steps in turn on each frame; return times in ms and hands found per frame."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    hands: dict[str, list[int]] = {name: [] for name in steps}
    for index in range(WARM_UP + count):
        for name, step in steps.items():
            seconds, found = step(index)
            if index >= WARM_UP:
                times[name].append(1e3 * seconds)
                hands[name].append(found)
    return {
        name: {
            'median_ms': float(np.median(times[name])),
            'p90_ms': float(np.percentile(times[name], 90)),
            'hands': float(np.mean(hands[name])),
        }
        for name in steps
    }


def report(results: dict[str, dict[str, float]]) -> bool:
    """Print the table and return whether all targets are met."""
    base = results['MediaPipe']['median_ms']
    reached = True
    print(f'{os.cpu_count()} cores, two hands; load {os.getloadavg()[0]:.1f}')
    print(f'{"":16} {"median ms":>10} {"p90 ms":>8} {"hands":>6} {"ratio":>6}')
    for name, line in results.items():
        ratio = line['median_ms'] / base
        line['ratio'] = ratio
        target = TARGETS.get(name)
        state = ''
        if target is not None:
            state = f'ok (<= {target})' if ratio <= target else f'MISSED (<= {target})'
            reached = reached and ratio <= target
        print(
            f'{name:16} {line["median_ms"]:10.1f} {line["p90_ms"]:8.1f} {line["hands"]:6.2f} '
            f'{ratio:6.2f} {state}'
        )
    return reached


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; the exit status is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description='Speed against MediaPipe on thermal frames.')
    parser.add_argument('--data', type=Path, default=DATA, help='folder of the test data')
    parser.add_argument('--frames', type=int, default=300, help='frames to measure')
    parser.add_argument(
        '--mediapipe', type=Path, default=ROOT / 'build' / 'mediapipe', help='its environment'
    )
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args(arguments)
    paths = sorted((options.data / 'thermal_egocentric' / 'frames').glob('*.png'))
    if not paths:
        print(f'no thermal frames under {options.data}: set HAND_POSE_TEST_DATA')
        return 2
    images = [np.ascontiguousarray(cv2.imread(str(p), cv2.IMREAD_UNCHANGED)[..., 0]) for p in paths]
    stretched = np.stack([cv2.cvtColor(agc(image), cv2.COLOR_GRAY2RGB) for image in images])
    with mediapipe_step(mediapipe_python(options.mediapipe), stretched) as mediapipe:
        steps = {
            'MediaPipe': mediapipe,
            '2D part': landmark_step(images, os.cpu_count() or 1),
            '2D on one thread': landmark_step(images, 1),
            'whole estimator': estimator_step(images),
        }
        results = measure(steps, options.frames)
    reached = report(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return 0 if reached else 1


if __name__ == '__main__':
    sys.exit(main())
