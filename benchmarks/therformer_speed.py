"""TherFormer's speed: one frame, streaming against the whole window, and a training step.

    python benchmarks/therformer_speed.py [--size small] [--device cpu] [--repeats 30]
        [--training] [--batch 4] [--precision float32] [--checkpoint FILE] [--json FILE]

Targets: streaming at most a fifth of the time of running the window of 8 frames again; on a CPU
the small network within 40 ms a frame on two cores; on an H200 the base network at 250 frames/s or
more while streaming, and 1,000 frames/s or more in training with ``--precision bfloat16``.
On a GPU the streamed frame is replayed (``networks.cuda_graphs``), the others are plain calls.
Shares are of the bfloat16 peak of an H100 or H200, whatever the precision.
A new network's mask head is made so sure of itself that a quarter of the cells are anchors, more
than hands ever cover.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from hand_pose_ros.datasets.batch import TARGETS, ViewBatch
from hand_pose_ros.networks.checkpoint import load_checkpoint
from hand_pose_ros.networks.therformer import TherFormer, TherFormerConfig, TherFormerStream
from hand_pose_ros.training.losses.therformer import therformer_loss

MOST_OF_WINDOW = 0.2
SMALL_MS = 40.0
STREAMING_RATE = 250.0
TRAINING_RATE = 1000.0
# Dense bfloat16 operations per second of an H100 or H200, two per multiplication and addition.
HOPPER_PEAK = 989e12
FRAMES = 8


def timed(step: Callable[[], object], repeats: int, device: str) -> float:
    """Return the median time of a step in milliseconds."""
    times = []
    for number in range(repeats + 3):
        start = time.perf_counter()
        step()
        if device != 'cpu':
            torch.cuda.synchronize()
        if number >= 3:
            times.append((time.perf_counter() - start) * 1e3)
    return float(torch.tensor(times).median())


def build(size: str, checkpoint: Path | None, device: str) -> TherFormer:
    """Return the network to measure, in evaluation mode."""
    if checkpoint is not None:
        network = load_checkpoint(checkpoint, expected='therformer').network
        assert isinstance(network, TherFormer)
    else:
        torch.manual_seed(0)
        network = TherFormer(getattr(TherFormerConfig, size)())
        with torch.no_grad():
            network.mask_head[3].weight *= 12
    return network.to(device).to(memory_format=torch.channels_last).eval()


def inputs(count: int, size: tuple[int, int], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return random images (count, 3, H, W) and their K."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(count, 1, *size, generator=generator).expand(-1, 3, -1, -1).contiguous()
    height, width = size
    K = torch.tensor([[205.0, 0, width / 2], [0, 205.0, height / 2], [0, 0, 1]])
    return image.to(device), K.expand(count, 3, 3).to(device)


def labelled(clips: int, size: tuple[int, int], device: str) -> ViewBatch:
    """Return random images with labels for a training step."""
    count = clips * FRAMES
    image, K = inputs(count, size, device)
    mask = torch.zeros(count, *size, dtype=torch.uint8, device=device)
    mask[:, 80:144, 60:220] = 1
    zeros = torch.zeros(count, 2, 21, 3, device=device)
    flags = torch.ones(count, 2, dtype=torch.bool, device=device)
    return ViewBatch(
        image=image, intrinsics=K, joints=zeros + 0.4, pixels=zeros[..., :2] + 100,
        visible=flags[..., None].expand(-1, -1, 21), hand_mask=mask, surface=None,
        global_orient=zeros[:, :, 0], hand_pose=zeros[:, :, :15], betas=zeros[:, :, :10, 0],
        translation=zeros[:, :, 0], grasp=torch.full((count, 2), -1, device=device),
        not_padding=torch.ones(count, device=device), frames=FRAMES,
        valid=dict.fromkeys(TARGETS, flags), modality='thermal',
    )  # fmt: skip


def share_of_peak(operations: int, milliseconds: float, device: str) -> float | None:
    """Return the share of a known GPU's arithmetic that a step uses; None on other devices."""
    if device == 'cpu' or not any(
        name in torch.cuda.get_device_name() for name in ('H100', 'H200')
    ):  # fmt: skip
        return None
    return operations / (milliseconds * 1e-3) / HOPPER_PEAK


def measure_frames(network: TherFormer, repeats: int, device: str) -> dict[str, float]:
    """Return the times of one frame, of a streamed frame and of the window, in milliseconds."""
    size = network.config.image_size
    image, K = inputs(FRAMES, size, device)
    stream = TherFormerStream(network)
    with torch.inference_mode():
        for _ in range(FRAMES):
            stream.push(image[:1], K[:1])
        results = {
            'encode 1 frame': timed(lambda: network.encode(image[:1]), repeats, device),
            'streamed frame': timed(lambda: stream.push(image[:1], K[:1]), repeats, device),
            'window of 8': timed(
                lambda: network(image, K, frames=FRAMES), max(repeats // 4, 5), device
            ),
        }
        features = network.encode(image)[0][None]
        with FlopCounterMode(display=False) as counter:
            network.encode(image[:1])
            network.decode(features, K)
    share = share_of_peak(counter.get_total_flops(), results['streamed frame'], device)
    return results if share is None else {**results, 'streamed share of peak': share}


def measure_training(
    network: TherFormer, clips: int, precision: str, repeats: int, device: str
) -> dict[str, float]:
    """Return training frames per second and, where known, the share of the peak reached."""
    batch = labelled(clips, network.config.image_size, device)
    network.train()
    optimiser = torch.optim.Adam(network.parameters(), 1e-4, fused=True)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == 'bfloat16'):
            output = network(batch.image, batch.intrinsics, frames=FRAMES)
        loss = therformer_loss(output, batch)['total']
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    with FlopCounterMode(display=False) as counter:
        step()
    per_step = timed(step, max(repeats // 4, 3), device)
    results = {'training frames/s': 1e3 * clips * FRAMES / per_step}
    share = share_of_peak(counter.get_total_flops(), per_step, device)
    return results if share is None else {**results, 'share of peak': share}


def main(arguments: list[str] | None = None) -> int:
    """Measure and report; the exit status is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description='Speed of TherFormer.')
    parser.add_argument('--size', choices=('small', 'base'), default='small')
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument('--repeats', type=int, default=30)
    parser.add_argument('--training', action='store_true', help='measure a training step too')
    parser.add_argument('--batch', type=int, default=4, help='clips of a training step')
    parser.add_argument('--precision', choices=('float32', 'bfloat16'), default='float32')
    parser.add_argument('--checkpoint', type=Path, help='instead of a new network')
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args(arguments)
    network = build(options.size, options.checkpoint, options.device)
    results = measure_frames(network, options.repeats, options.device)
    results['streamed / window'] = results['streamed frame'] / results['window of 8']
    if options.training:
        results |= measure_training(
            network, options.batch, options.precision, options.repeats, options.device
        )
    print(
        f'{options.size} on {options.device}, {torch.get_num_threads()} threads; '
        f'load {os.getloadavg()[0]:.1f}'
    )
    for name, value in results.items():
        print(f'{name:22} {value:10.3f}{"" if "/" in name or "share" in name else " ms"}')
    reached = report(results, options)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2))
    return 0 if reached else 1


def report(results: dict[str, float], options: argparse.Namespace) -> bool:
    """Print which targets of this size and device are reached; return whether all are."""
    reached = {
        f'streamed / window <= {MOST_OF_WINDOW}': results['streamed / window'] <= MOST_OF_WINDOW
    }
    if options.device == 'cpu' and options.size == 'small':
        reached[f'streamed frame <= {SMALL_MS} ms'] = results['streamed frame'] <= SMALL_MS
    if options.device == 'cuda' and options.size == 'base':
        rate = 1e3 / results['streamed frame']
        reached[f'streaming {rate:.0f} >= {STREAMING_RATE} frames/s'] = rate >= STREAMING_RATE
        if options.training:
            rate = results['training frames/s']
            reached[f'training {rate:.0f} >= {TRAINING_RATE} frames/s'] = rate >= TRAINING_RATE
    for target, met in reached.items():
        print(f'{target}: {"ok" if met else "MISSED"}')
    return all(reached.values())


if __name__ == '__main__':
    sys.exit(main())
