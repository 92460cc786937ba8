"""DenseReg's speed by stage: crop, network and vote aggregation for two hands.

    python benchmarks/densereg_speed.py [--size small] [--repeats 100] [--device cpu] [--json FILE]

The target is the aggregation: at most 2 ms for two hands of 21 joints on two cores. ``small`` looks
at each hand twice; cutting, network and aggregation count both looks.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from hand_pose_ros.networks.dense_crop import DenseCrop, crop_cubes
from hand_pose_ros.networks.dense_hands import find_hands, look_turns
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig

TARGET_MS = 2.0


def two_hands(device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return depth (2, 1, 480, 640) of slanted hand-sized planes, intrinsics and joints."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(480.0), torch.arange(640.0), indexing='ij')
    depth = torch.zeros(2, 1, 480, 640)
    near = ((rows - 240).abs() < 90) & ((columns - 320).abs() < 80)
    depth[:, 0, near] = (0.45 + (columns - 320) * 2e-4)[near]
    intrinsics = torch.tensor([[476.0, 0, 320], [0, 476.0, 240], [0, 0, 1]]).expand(2, 3, 3)
    joints = (torch.rand(2, 21, 3, generator=generator) - 0.5) * 0.14
    return depth.to(device), intrinsics.to(device), (joints + torch.tensor([0, 0, 0.46])).to(device)


def timed(step: Callable[[], object], repeats: int, device: str) -> dict[str, float]:
    """Return the median and 90th percentile of a step's time in milliseconds."""
    times = []
    for number in range(repeats + 5):
        start = time.perf_counter()
        step()
        if device != 'cpu':
            torch.cuda.synchronize()
        if number >= 5:
            times.append((time.perf_counter() - start) * 1e3)
    values = torch.tensor(times)
    return {'median_ms': float(values.median()), 'p90_ms': float(values.quantile(0.9))}


def measure(size: str, repeats: int, device: str) -> dict[str, dict[str, float]]:
    """Return the times of all stages for two hands."""
    config = DenseRegConfig.small() if size == 'small' else DenseRegConfig.base()
    network = DenseReg(config).to(device).eval()
    depth, intrinsics, joints = two_hands(device)

    def cut() -> DenseCrop:
        return crop_cubes(
            depth.repeat(config.looks, 1, 1, 1),
            intrinsics.repeat(config.looks, 1, 1),
            joints.mean(dim=1).repeat(config.looks, 1),
            mirrored=torch.tensor([True, False] * config.looks, device=device),
            turn=look_turns(config.turns, 2).to(device),
        )

    with torch.inference_mode():
        crop = cut()
        image = crop.channels(unseen=config.unseen)
        fields = network(image)[-1]
        return {
            'crop': timed(cut, repeats, device),
            f'network {size}': timed(lambda: network(image), max(repeats // 5, 5), device),
            'aggregation': timed(
                lambda: find_hands(
                    fields, crop, looks=config.looks, complete=network.completer
                ),
                repeats, device,
            ),
        }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; the exit status is 1 when the target is missed."""
    parser = argparse.ArgumentParser(description='Speed of DenseReg for two hands.')
    parser.add_argument('--size', choices=('small', 'base'), default='small')
    parser.add_argument('--repeats', type=int, default=100)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args(arguments)
    results = measure(options.size, options.repeats, options.device)
    print(
        f'{options.device}, {torch.get_num_threads()} threads, two hands; '
        f'load {os.getloadavg()[0]:.1f}'
    )
    for name, line in results.items():
        print(f'{name:16} median {line["median_ms"]:7.2f} ms, p90 {line["p90_ms"]:7.2f} ms')
    reached = results['aggregation']['median_ms'] <= TARGET_MS
    print(f'aggregation <= {TARGET_MS} ms: {"ok" if reached else "MISSED"}')
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return 0 if reached else 1


if __name__ == '__main__':
    sys.exit(main())
