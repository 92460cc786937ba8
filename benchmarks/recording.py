"""Recording: losses and memory at full size, and what 20 killed recordings lose.

Publishes four streams of full size (640x512 and twice 1024x768 mono16, 1280x720 rgb8) at 30 images
per second each, 197 MB/s, from a process of its own, and records them with ``hand-pose record``.

    .venv/bin/python benchmarks/recording.py --folder /dev/shm/recording --json recording.json
"""

import argparse
import array
import json
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE = 30.0
MOST_LOST_PERCENT = 0.1
MOST_SECONDS = 1.0
STREAMS = {
    'thermal': (640, 512, 'mono16', 2),
    'nir': (1024, 768, 'mono16', 2),
    'left': (1024, 768, 'mono16', 2),
    'rgb': (1280, 720, 'rgb8', 3),
}
_RIG = """name: recording_benchmark
reference: thermal
cameras:
"""
_CAMERA = """  {name}:
    modality: {modality}
    driver: external
    size: [{width}, {height}]
    rate: {rate}
    encoding: {encoding}
    intrinsics: [800, 800, {middle_x}, {middle_y}]
    T_rig_cam: {{translation: [0, 0, 0], mounting_degrees: [0, 0, 0]}}
"""


def publish() -> None:
    """Publish the streams until killed, each at its own phase, and tell the number of images."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from sensor_msgs.msg import Image

    from hand_pose_ros.ros import qos
    from hand_pose_ros.ros.environment import prepare

    prepare()
    rclpy.init()
    node = rclpy.create_node('full_size_cameras')
    generator = np.random.default_rng(0)
    sources = []
    for phase, (name, (width, height, encoding, size)) in enumerate(STREAMS.items()):
        publisher = node.create_publisher(Image, f'/{name}/image_raw', qos.DRIVER)
        pixels = generator.integers(0, 255, width * height * size, np.uint8).tobytes()
        sources.append((publisher, name, width, height, encoding, size, pixels, phase))
    deadline = time.monotonic() + 60
    while any(source[0].get_subscription_count() == 0 for source in sources):
        if time.monotonic() > deadline:
            raise SystemExit('nobody subscribed')
        time.sleep(0.02)
    print('subscribed', flush=True)
    start = time.monotonic()
    number = 0
    try:
        while True:
            for publisher, name, width, height, encoding, size, pixels, phase in sources:
                due = start + (number + phase / len(sources)) / RATE
                time.sleep(max(0.0, due - time.monotonic()))
                data = array.array('B')
                data.frombytes(pixels)
                message = Image(width=width, height=height, encoding=encoding, step=width * size)
                message.header.stamp = node.get_clock().now().to_msg()
                message.header.frame_id = f'{name} {number}'
                message.data = data
                publisher.publish(message)
            number += 1
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


def write_rig(path: Path) -> None:
    """Write the rig of the four streams."""
    text = _RIG
    for name, (width, height, encoding, _) in STREAMS.items():
        modality = {'left': 'nir'}.get(name, name)
        text += _CAMERA.format(
            name=name, modality=modality, width=width, height=height, rate=RATE,
            encoding=encoding, middle_x=width / 2, middle_y=height / 2,
        )  # fmt: skip
    path.write_text(text)


def start_recording(rig: Path, bag: Path, *options: str) -> 'subprocess.Popen[bytes]':
    """Start the recorder as a user would."""
    command = [
        sys.executable,
        '-m',
        'hand_pose_ros.cli.main',
        'record',
        str(rig),
        str(bag),
        *options,
    ]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def start_cameras() -> 'subprocess.Popen[bytes]':
    """Start the publisher and wait until the recorder listens."""
    process = subprocess.Popen(
        [sys.executable, __file__, '--publish'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    if process.stdout.readline() != b'subscribed\n':
        raise SystemExit('the recorder did not subscribe')
    return process


def stop(process: 'subprocess.Popen[bytes]') -> None:
    """End a publisher."""
    process.send_signal(signal.SIGINT)
    process.wait(20)


def resident_megabytes(process: int) -> float:
    """Return the largest resident size a process has had, in megabytes."""
    for line in Path(f'/proc/{process}/status').read_text().splitlines():
        if line.startswith('VmHWM'):
            return int(line.split()[1]) / 1024
    return 0.0


def sequence_numbers(bag: Path) -> tuple[dict[str, list[int]], int]:
    """Return the image numbers a bag holds by stream, and the last time of reception."""
    from hand_pose_ros.bags.reader import BagReader

    found: dict[str, list[int]] = {name: [] for name in STREAMS}
    last = 0
    with BagReader(bag) as reader:
        for message in reader.messages(*(f'/{name}/image_raw' for name in STREAMS)):
            name = message.topic.split('/')[1]
            # The frame is at the same place of every message: header, stamp, length, text.
            length = int.from_bytes(message.data[12:16], 'little')
            found[name].append(int(message.data[16 : 15 + length].split()[1]))
            last = max(last, message.stamp)
    return found, last


def measure_losses(folder: Path, seconds: float) -> dict[str, Any]:
    """Record at full size and count what is missing between the first and last image."""
    rig, bag, report = folder / 'rig.yaml', folder / 'full', folder / 'full.json'
    write_rig(rig)
    recorder = start_recording(rig, bag, '--duration', str(seconds), '--json', str(report))
    cameras = start_cameras()
    memory = 0.0
    while recorder.poll() is None:
        try:
            memory = max(memory, resident_megabytes(recorder.pid))
        except OSError:
            break
        time.sleep(0.2)
    status = recorder.wait()
    stop(cameras)
    size = sum(path.stat().st_size for path in bag.glob('*.mcap'))
    numbers, _ = sequence_numbers(bag)
    shutil.rmtree(bag)
    told = json.loads(report.read_text())['streams']
    recorded = sum(map(len, numbers.values()))
    lost = sum(max(n) - min(n) + 1 - len(n) for n in numbers.values())
    return {
        'status': status,
        'seconds': seconds,
        'megabytes_per_second': size / 1e6 / seconds,
        'images': recorded,
        'lost': lost,
        'lost_percent': 100 * lost / (recorded + lost),
        'dropped_by_recorder': sum(entry['dropped'] for entry in told.values()),
        'resident_megabytes': memory,
    }


def measure_kills(folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Kill recordings at random moments, repair them and measure what is gone."""
    from hand_pose_ros.bags.repair import repair
    from hand_pose_ros.sessions.checks.bag_check import check_bag

    generator = random.Random(seed)
    rig = folder / 'rig.yaml'
    write_rig(rig)
    losses, repaired, usable = [], 0, 0
    for number in range(kills):
        bag = folder / f'kill{number}'
        recorder = start_recording(rig, bag)
        cameras = start_cameras()
        time.sleep(generator.uniform(0.5, 2.0))
        recorder.send_signal(signal.SIGKILL)
        killed = time.time_ns()
        recorder.wait()
        stop(cameras)
        result = repair(bag)
        repaired += result.changed
        numbers, last = sequence_numbers(bag)
        losses.append((killed - last) * 1e-9)
        gaps = sum(max(n) - min(n) + 1 - len(n) for n in numbers.values() if n)
        usable += check_bag(bag).exit_status in (0, 3) and not gaps
        print(f'kill {number + 1}: {losses[-1]:.3f} s lost', file=sys.stderr)
        shutil.rmtree(bag)
    return {
        'kills': kills,
        'repaired': repaired,
        'usable_without_gaps': usable,
        'lost_seconds_median': float(np.median(losses)),
        'lost_seconds_max': max(losses),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--publish', action='store_true', help=argparse.SUPPRESS)
    parser.add_argument('--folder', type=Path, help='where to record (default: temporary folder)')
    parser.add_argument('--seconds', type=float, default=30.0)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    if arguments.publish:
        publish()
        return
    folder = Path(tempfile.mkdtemp(prefix='recording_', dir=arguments.folder))
    try:
        results: dict[str, Any] = {
            'machine': f'{platform.machine()}, {os.cpu_count()} cores',
            'load': os.getloadavg()[0],
        }
        if arguments.seconds:
            results['full_size'] = measure_losses(folder, arguments.seconds)
            print(json.dumps(results), file=sys.stderr)
        if arguments.kills:
            results['killed'] = measure_kills(folder, arguments.kills, arguments.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    text = json.dumps(results, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + '\n')
    missed = [
        name
        for name, figure, limit in (
            (
                'lost_percent',
                results.get('full_size', {}).get('lost_percent', 0),
                MOST_LOST_PERCENT,
            ),
            (
                'lost_seconds_max',
                results.get('killed', {}).get('lost_seconds_max', 0),
                MOST_SECONDS,
            ),
        )
        if figure > limit
    ]
    if missed:
        raise SystemExit(f'target missed: {", ".join(missed)}')


if __name__ == '__main__':
    main()
