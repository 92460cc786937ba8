"""Why a crop needs its viewing direction: 3D boxes from their 2D corners, with and without it.

    python benchmarks/box_ambiguity.py [--steps 5000] [--seeds 0,1,2] [--json FILE]

Boxes at a metre's distance, of random depth, turn and place, are projected; a small network maps
the 8 pixel positions to the 8 corners in 3D. It sees either the true positions, or positions about
their own mean, which is what a crop shows. The mean-centred network must be worse in absolute and
in relative 3D; the exit status says whether it is. ``--steps 800 --seeds 0`` is enough for the
sign. Source: methods specification, section 2.10 (1).
"""

import argparse
import itertools
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

FOCAL = 192.0
FIELD_OF_VIEW = math.radians(70.0)
SIDE, DEEPEST = 0.2, 1.2  # metres: edges in x and y, and the largest in depth
BATCH = 32
# Learning rate by what is predicted. Source: methods specification, section 2.10 (1).
RATES = {'absolute': 1e-2, 'relative': 1e-3}
INPUTS = ('positions', 'mean-centred')
TEST_BOXES = 4096


def draw_boxes(count: int, generator: Generator) -> Tensor:
    """Return the corners (count, 8, 3) of random boxes, metres in the camera's frame."""

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    corners = torch.cartesian_prod(*(torch.tensor([-0.5, 0.5]),) * 3)
    size = torch.stack([torch.full((count,), SIDE), torch.full((count,), SIDE),
                        uniform(0.0, DEEPEST)], dim=1)  # fmt: skip
    angle, tilt = uniform(-math.pi, math.pi), uniform(0.0, math.pi / 2)
    turn = _rotation(2, angle) @ _rotation(0, tilt)
    # Centres are anywhere in view at z = 1.
    reach = math.tan(FIELD_OF_VIEW / 2)
    centre = torch.stack([uniform(-reach, reach), uniform(-reach, reach), torch.ones(count)], dim=1)
    return (corners * size[:, None]) @ turn.transpose(1, 2) + centre[:, None]


def observed(corners: Tensor, kind: str) -> Tensor:
    """Return what a network sees (count, 16): projected corners in units of the focal length."""
    pixels = FOCAL * corners[..., :2] / corners[..., 2:].clamp(min=0.05)
    if kind == 'mean-centred':
        pixels = pixels - pixels.mean(dim=1, keepdim=True)
    return pixels.flatten(1) / FOCAL


def wanted(corners: Tensor, target: str) -> Tensor:
    """Return what it should say (count, 24): corners, or corners about their mean, metres."""
    if target == 'relative':
        corners = corners - corners.mean(dim=1, keepdim=True)
    return corners.flatten(1)


def train(kind: str, target: str, *, steps: int, seed: int) -> float:
    """Train one network and return its mean corner error on new boxes, metres."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = _network()
    optimiser = torch.optim.AdamW(network.parameters(), RATES[target], fused=True)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [steps // 2], gamma=0.1)
    drawn = draw_boxes(BATCH * steps, generator)  # at once, which is much faster
    inputs, outputs = observed(drawn, kind), wanted(drawn, target)
    for seen, true in zip(inputs.split(BATCH), outputs.split(BATCH), strict=True):
        loss = (network(seen) - true).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    corners = draw_boxes(TEST_BOXES, torch.Generator().manual_seed(10_000 + seed))
    with torch.inference_mode():
        error = network(observed(corners, kind)) - wanted(corners, target)
    return float(error.unflatten(1, (8, 3)).norm(dim=2).mean())


def measure(steps: int, seeds: list[int]) -> dict[str, dict[str, float]]:
    """Return the mean error over the seeds by target and input, millimetres."""
    return {
        target: {
            kind: 1e3 * sum(train(kind, target, steps=steps, seed=seed) for seed in seeds)
            / len(seeds)
            for kind in INPUTS
        }
        for target in RATES
    }  # fmt: skip


def holds(errors: dict[str, dict[str, float]]) -> bool:
    """Return whether the true positions win in absolute and in relative 3D."""
    return all(error['positions'] < error['mean-centred'] for error in errors.values())


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--steps', type=int, default=5000)
    parser.add_argument('--seeds', type=lambda text: [int(part) for part in text.split(',')],
                        default=[0, 1, 2])  # fmt: skip
    parser.add_argument('--json', type=Path)
    options = parser.parse_args(arguments)
    errors = measure(options.steps, options.seeds)
    for target, row in errors.items():
        print(f'{target:9s}' + ''.join(f'  {kind} {error:7.1f} mm' for kind, error in row.items()))
    if options.json:
        options.json.write_text(json.dumps({'mean corner error, mm': errors}, indent=1) + '\n')
    return 0 if holds(errors) else 1


def _network() -> nn.Sequential:
    widths = [16, 64, 128, 128, 128, 128]
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], 24))


def _rotation(axis: int, angles: Tensor) -> Tensor:
    """Return rotations (N, 3, 3) about a coordinate axis."""
    matrix = torch.eye(3).repeat(len(angles), 1, 1)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, first, first] = matrix[:, second, second] = angles.cos()
    matrix[:, first, second], matrix[:, second, first] = -angles.sin(), angles.sin()
    return matrix


if __name__ == '__main__':
    sys.exit(main())
