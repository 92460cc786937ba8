"""Figure 4: recorded full-size frames replayed at 30 Hz through ROS into hand poses.

    python benchmarks/live.py [--seconds 20] [--mode one|separate|both] [--json FILE]

Frames of the simulated rig are recorded once (thermal 640x512 mono16, NIR 640x480 mono8, depth
640x480 16UC1, RGB 1280x720 rgb8, two moving hands; forward and back, so that a loop has no seam)
and then replayed with stamps of now: image files -> camera nodes -> DDS -> synchroniser ->
estimator -> ``hand_pose/hands``.

``one``: all nodes in one process. ``separate``: every camera in a process of its own, inference in
another, with config/fastdds.xml. Loss is exact: every ``camera_info`` (reliable) names an image
that was published, and each must have reached the inference node. Latency is from the stamp of the
reference image to the publication of its hands; the replay stamps an image when it is due.
"""

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hand_pose_ros.cameras import registry
from hand_pose_ros.rig.description import CameraDescription, RigDescription, find_rig

RATE = 30.0
WARM_UP = 6.0
GOALS = {'poses_per_second': 25.0, 'latency_p50_ms': 45.0, 'latency_p99_ms': 90.0}


def record(rig: RigDescription, folder: Path, frames: int) -> RigDescription:
    """Render frames of every camera into a folder and return the rig that replays them."""
    cameras = {}
    for camera in rig.cameras.values():
        target = folder / camera.name
        if not target.is_dir():
            _record_camera(rig, camera, target, frames)
        options = {'path': str(target), 'stamps': 'rate', 'pace': 'rate', 'loop': True,
                   'live': True, 'preload': True}  # fmt: skip
        cameras[camera.name] = replace(
            camera, driver='image_folder', driver_options=options, rate=RATE
        )
    return replace(rig, name='recorded_full_size_head_rig', cameras=cameras)


def _record_camera(
    rig: RigDescription, camera: CameraDescription, target: Path, frames: int
) -> None:
    options = {'offline': True, 'duration': (frames + 0.5) / RATE, 'jitter': 0.0, 'drop': 0.0,
               'scenario': 'normal'}  # fmt: skip
    driver = registry.create(replace(camera, rate=RATE, driver_options=options), rig)
    scratch = target.with_name(target.name + '.new')
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    driver.open()
    for index, sample in enumerate(driver.samples()):
        if index >= frames:
            break
        pixels = sample.image[..., ::-1] if sample.encoding == 'rgb8' else sample.image
        there = scratch / f'{index:05d}.png'
        cv2.imwrite(str(there), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        os.link(there, scratch / f'{2 * frames - 1 - index:05d}.png')
    driver.close()
    scratch.rename(target)


class Measurement:
    """Watches an inference node and the cameras' camera_info while a graph runs."""

    def __init__(self, node: Any, listener: Any, streams: list[str]) -> None:
        """Attach to the node; the listener subscribes to camera_info."""
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import CameraInfo

        from hand_pose_ros.ros.stamps import nanoseconds

        self.sent: dict[str, list[int]] = {name: [] for name in streams}
        self.received: dict[str, list[int]] = {name: [] for name in streams}
        self.results: list[tuple[int, int, int, dict[str, float]]] = []
        for name in streams:
            listener.create_subscription(
                CameraInfo,
                f'{name}/camera_info',
                lambda m, name=name: self.sent[name].append(nanoseconds(m.header.stamp)),
                QoSProfile(depth=1000),
            )
            arrivals = node.health.arrivals[name]
            arrivals.registerCallback(
                lambda m, name=name: self.received[name].append(nanoseconds(m.header.stamp))
            )
        finished = node.health.finished

        def note(results: Any, published: int) -> None:
            entry = (results.frame.stamp, published, len(results.hands), dict(results.timings))
            self.results.append(entry)
            finished(results, published)

        node.health.finished = note

    def summary(self, begin: int, end: int) -> dict[str, Any]:
        """Return the figures of what was stamped between two times in nanoseconds."""
        streams: dict[str, dict[str, int]] = {}
        for name, stamps in self.sent.items():
            sent = {stamp for stamp in stamps if begin <= stamp < end}
            streams[name] = {
                'sent': len(sent), 'received': len(sent & set(self.received[name])),
                'lost': len(sent - set(self.received[name])),
            }  # fmt: skip
        results = [entry for entry in self.results if begin <= entry[0] < end]
        latency = np.array([published - stamp for stamp, published, _, _ in results]) * 1e-6
        seconds = (end - begin) * 1e-9
        stages: dict[str, float] = {}
        for name in sorted({key for entry in results for key in entry[3]}):
            stages[name] = float(np.median([e[3].get(name, 0.0) for e in results])) * 1e3
        return {
            'seconds': seconds,
            'streams': streams,
            'lost_in_transport': sum(stream['lost'] for stream in streams.values()),
            'poses_per_second': len(results) / seconds,
            'two_hands_share': float(
                np.mean([hands == 2 for _, _, hands, _ in results] or [False])
            ),
            'latency_p50_ms': float(np.percentile(latency, 50)) if results else None,
            'latency_p99_ms': float(np.percentile(latency, 99)) if results else None,
            'stage_p50_ms': stages,
        }


def measure(rig: RigDescription, separate: bool, seconds: float) -> dict[str, Any]:
    """Run the graph and return its figures."""
    import rclpy
    from rclpy.node import Node

    from hand_pose_ros.ros.bringup import BringupOptions, running
    from hand_pose_ros.ros.inference_node import InferenceNode

    with running(rig, BringupOptions(processes=separate, inference=False)) as graph:
        node = InferenceNode(rig=rig)
        listener: Node = rclpy.create_node('live_benchmark')
        graph.add(node)
        graph.add(listener)
        deadline = time.monotonic() + 60
        while not node.is_active:
            graph.spin(0.1)
            if time.monotonic() > deadline:
                sys.exit('the inference node does not start: see its error above')
        measurement = Measurement(node, listener, list(rig.cameras))
        while not all(measurement.received.values()):
            graph.spin(0.2)
            if time.monotonic() > deadline:
                sys.exit('no images within a minute')
        graph.spin(WARM_UP)
        begin, used = time.time_ns(), _cpu_seconds(graph.children.ids)
        graph.spin(seconds)
        end, used_after = time.time_ns(), _cpu_seconds(graph.children.ids)
        # What is stamped before the end may still be on its way.
        graph.spin(1.0)
        summary = measurement.summary(begin, end)
        summary['sets_replaced'] = node.health.replaced
        for name, before in used.items():
            share = 100 * (used_after[name] - before) / (end - begin) * 1e9
            summary.setdefault('cpu_percent', {})[name] = round(share, 1)
        return summary


def _cpu_seconds(children: dict[str, int]) -> dict[str, float]:
    """Return the CPU time of this process and of others by name."""
    ticks = os.sysconf('SC_CLK_TCK')
    used = {'inference' if children else 'all nodes': time.process_time()}
    for name, pid in children.items():
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
        used[name] = (int(fields[11]) + int(fields[12])) / ticks
    return used


def verdict(figures: dict[str, Any]) -> list[str]:
    """Return what misses its goal."""
    missed = []
    if figures['lost_in_transport']:
        missed.append(f'{figures["lost_in_transport"]} images lost in transport')
    if figures['poses_per_second'] < GOALS['poses_per_second']:
        missed.append(f'{figures["poses_per_second"]:.1f} poses/s')
    for name in ('latency_p50_ms', 'latency_p99_ms'):
        if figures[name] is None or figures[name] > GOALS[name]:
            missed.append(f'{name} {figures[name]}')
    return missed


def main() -> int:
    """Run the benchmark; exit status 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--frames', type=int, default=75, help='recorded frames per camera')
    parser.add_argument('--mode', choices=('one', 'separate', 'both'), default='both')
    parser.add_argument('--rig', default='full_size_head_rig')
    parser.add_argument('--recording', type=Path, help='folder to keep the recorded frames in')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        'machine': f'{platform.machine()}, {len(os.sched_getaffinity(0))} cores',
        'goals': GOALS,
    }
    with tempfile.TemporaryDirectory(prefix='hand_pose_live_') as scratch:
        folder = arguments.recording or Path(scratch)
        rig = record(find_rig(arguments.rig), folder, arguments.frames)
        for mode in ('one', 'separate') if arguments.mode == 'both' else (arguments.mode,):
            report[mode] = measure(rig, mode == 'separate', arguments.seconds)
            report[mode]['missed'] = verdict(report[mode])
            print(mode, json.dumps(report[mode], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + '\n')
    return int(any(report[m]['missed'] for m in ('one', 'separate') if m in report))


if __name__ == '__main__':
    sys.exit(main())
