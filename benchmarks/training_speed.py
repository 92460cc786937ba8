"""Training speed of a configuration: frames per second, by part of a step.

    python benchmarks/training_speed.py config/train/densereg_small_cpu.yaml [--steps 20]
        [--threads 2] [--device cpu] [--json FILE]

Renders as many clips as one batch needs and trains on them; nothing else should run meanwhile.
"""

import argparse
import dataclasses
import json
import sys
import tempfile
import time
from pathlib import Path

import torch

from hand_pose_ros.networks.precision import mixed_precision
from hand_pose_ros.training.config import load_config
from hand_pose_ros.training.optimiser import clip_gradients, make_optimiser
from hand_pose_ros.training.seeds import generator
from hand_pose_ros.training.sources import make_source
from hand_pose_ros.training.tasks.registry import make_task


def measure(path: Path, steps: int, device: torch.device, cache: Path) -> dict[str, float]:
    """Return frames per second of rendering and of training, and milliseconds by part."""
    config = load_config(path)
    data = dataclasses.replace(config.data, cache=cache)
    task = make_task(config)
    began = time.perf_counter()
    source = make_source(dataclasses.replace(data.train[0], clips=data.batch), data, device)
    rendering = time.perf_counter() - began
    network = task.build_network().to(device, memory_format=torch.channels_last).train()
    optimiser = make_optimiser(network, config.optimiser)
    times = {'read and augment': 0.0, 'forward and loss': 0.0, 'backward': 0.0, 'step': 0.0}
    for number in range(steps + 3):
        draws = [generator(0, number, clip) for clip in range(data.batch)]
        marks = [_now(device)]
        batch = task.augment(source.read(range(data.batch)), draws)
        marks.append(_now(device))
        with mixed_precision(config.precision, device):
            loss, _ = task.loss(network, batch, generator(1, number))
        marks.append(_now(device))
        loss.backward()
        marks.append(_now(device))
        clip_gradients(network, config.optimiser)
        optimiser.step()
        optimiser.zero_grad()
        marks.append(_now(device))
        if number >= 3:
            for name, start, end in zip(times, marks[:-1], marks[1:], strict=True):
                times[name] += (end - start) / steps
    frames = data.batch * data.frames
    result = {f'{name} ms': value * 1e3 for name, value in times.items()}
    result['training frames/s'] = frames / sum(times.values())
    result['rendering frames/s'] = frames / rendering
    return result


def _now(device: torch.device) -> float:
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('config', type=Path)
    parser.add_argument('--steps', type=int, default=20)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(
            arguments.config, arguments.steps, torch.device(arguments.device), Path(folder)
        )
    for name, value in result.items():
        print(f'{name:24} {value:10.1f}')
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
