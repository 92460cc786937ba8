"""Hands that look alike in a crop and differ in 3D; and what wrong intrinsics cost a network.

    python benchmarks/metamer.py [--hands 16] [--steps 250] [--json FILE]
                                 [--checkpoint wildhands.safetensors [--clips 128]]

Metamers (methods specification, 2.10 (2)): the 2D joints of a hand on the optical axis are moved
to another place of the image, as if the same crop had been seen there, and a hand is fitted to
them. It matches within a pixel, yet its root-relative 3D differs, the more the farther out and the
wider the view: what a crop shows does not determine the pose. Wrong intrinsics (2.10 (4)): the
focal length that a trained network is told is scaled, or replaced by that of a 90 degree camera.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from hand_pose_ros.datasets.batch import ViewBatch  # noqa: E402
from hand_pose_ros.evaluation.arctic_protocol import HandArrays, evaluate_arctic  # noqa: E402
from hand_pose_ros.networks.checkpoint import load_checkpoint  # noqa: E402
from hand_pose_ros.networks.hand_crops import hand_boxes, hand_views  # noqa: E402
from hand_pose_ros.networks.hand_layer import HandLayer  # noqa: E402
from hand_pose_ros.networks.positional_encoding import pseudo_intrinsics  # noqa: E402
from hand_pose_ros.networks.rotations import rotation_from_axis_angle  # noqa: E402
from hand_pose_ros.networks.wildhands import project  # noqa: E402

PATCH = 224
VIEWS = (40.0, 60.0, 90.0)  # degrees over the patch
PLACES = (0.0, 0.3, 0.6, 0.9)  # distance from the middle, in halves of the patch
SPAN = 0.35  # size of the hand in the image, in halves of the patch, at every focal length
LARGEST_2D = 1.0  # pixels
SCALES = (0.8, 1.0, 1.25)
_CHUNK = 16


def metamers(hands: int, steps: int, seed: int = 0) -> dict[str, dict[str, dict[str, float]]]:
    """Fit hands; return by view and place the 2D error in px and the relative 3D error in mm."""
    generator = torch.Generator().manual_seed(seed)
    layer = HandLayer()
    cases = [(view, place) for view in VIEWS for place in PLACES]
    count = len(cases) * hands
    # The same hands in every case.
    orient = torch.randn(hands, 2, 1, 3, generator=generator) * 0.8
    fingers = torch.randn(hands, 2, 15, 3, generator=generator) * 0.2
    pose = torch.cat([orient, fingers], dim=2).repeat(len(cases), 1, 1, 1)
    focal = torch.tensor([PATCH / 2 / math.tan(math.radians(view) / 2) for view, _ in cases])
    focal = focal.repeat_interleave(hands)
    matrix = torch.zeros(count, 3, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = focal
    matrix[:, :2, 2], matrix[:, 2, 2] = PATCH / 2, 1.0
    betas = torch.zeros(count, 2, 10)
    # As near as makes a hand of 18 cm equally large in the image.
    depth = 0.18 * focal / (SPAN * PATCH / 2)
    centred = layer(rotation_from_axis_angle(pose), betas, torch.zeros(count, 2, 3)).joints
    middle = centred.mean(dim=2)
    axis = torch.stack([torch.zeros_like(depth), torch.zeros_like(depth), depth], dim=1)
    translation = axis[:, None] - middle
    true = layer(rotation_from_axis_angle(pose), betas, translation).joints
    shift = torch.tensor([place for _, place in cases]).repeat_interleave(hands) * PATCH / 2
    target = project(true, matrix)
    target[..., 0] += shift[:, None, None]
    fitted = _fit(layer, pose, betas, translation, shift * depth / focal, target, matrix, steps)
    pixels = (project(fitted, matrix) - target).norm(dim=-1).mean(dim=(1, 2))
    relative = (fitted - fitted[:, :, :1]) - (true - true[:, :, :1])
    distance = relative.norm(dim=-1).mean(dim=(1, 2)) * 1e3
    result: dict[str, dict[str, dict[str, float]]] = {}
    for (view, place), px, mm in zip(
        cases, pixels.split(hands), distance.split(hands), strict=True
    ):
        row = {'pixels': float(px.mean()), 'millimetres': float(mm.mean())}
        result.setdefault(f'{view:g}', {})[f'{place:g}'] = row
    return result


def _fit(
    layer: HandLayer, pose: Tensor, betas: Tensor, translation: Tensor, move: Tensor,
    target: Tensor, matrix: Tensor, steps: int,
) -> Tensor:  # fmt: skip
    """Turn, bend and move hands until they project onto the target; return their joints."""
    turn = torch.zeros(*pose.shape[:2], 1, 3)
    turn[:, :, 0, 1] = torch.atan2(move, translation.mean(dim=1)[:, 2])[:, None]
    rotations = rotation_from_axis_angle(pose)
    # Start where a turn of the camera would bring the hand: the same picture but for its stretch.
    start = rotation_from_axis_angle(turn[:, :, 0])
    rotations = torch.cat([start[:, :, None] @ rotations[:, :, :1], rotations[:, :, 1:]], dim=2)
    begun = translation + torch.stack([move, 0 * move, 0 * move], dim=1)[:, None]
    change = torch.zeros_like(pose).requires_grad_()
    step = torch.zeros_like(translation).requires_grad_()
    optimiser = torch.optim.Adam([{'params': [change], 'lr': 0.02}, {'params': [step], 'lr': 4e-3}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 1e-4)
    joints = target
    for _ in range(steps):
        joints = layer(rotation_from_axis_angle(change) @ rotations, betas, begun + step).joints
        error = (project(joints, matrix) - target).square().sum(dim=-1).mean(dim=(1, 2))
        # As little bending as it takes.
        loss = (error + 0.05 * change[:, :, 1:].square().sum(dim=(1, 2, 3))).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return joints.detach()


def holds(result: dict[str, dict[str, dict[str, float]]]) -> bool:
    """Return whether all metamers match in 2D and differ more farther out and in wider views."""
    matched = all(row['pixels'] < LARGEST_2D for view in result.values() for row in view.values())
    table = torch.tensor(
        [[row['millimetres'] for row in view.values()] for view in result.values()]
    )
    outwards = (table[:, 1:] > table[:, :-1]).all()
    wider = (table[1:, 1:] > table[:-1, 1:]).all()
    return matched and bool(outwards) and bool(wider)


@torch.inference_mode()
def wrong_intrinsics(network: Any, batches: Sequence[ViewBatch]) -> dict[str, dict[str, float]]:
    """Return the ARCTIC measures of a network told other focal lengths, millimetres.

    Args:
        network: a ``WildHands``.
        batches: labelled colour images with their true K.
    """
    patch = network.config.patch
    result = {}
    for name in (*(f'f x {scale:g}' for scale in SCALES), 'pseudo'):
        predicted = []
        for batch in batches:
            height, width = batch.image.shape[-2:]
            views = hand_views(
                batch.image, batch.intrinsics, hand_boxes(batch.pixels, height, width), patch
            )
            told = views.intrinsics.clone()
            if name == 'pseudo':
                told = pseudo_intrinsics(len(told), patch, told)
            else:
                told[:, :2, :2] *= float(name.split()[-1])
            joints = network(views.image, views.crops, told, views.boxes).joints
            predicted.append(joints.masked_fill(~views.present[..., None, None], torch.nan))
        truth = torch.cat([batch.joints for batch in batches])
        result[name] = evaluate_arctic(
            HandArrays(joints=torch.cat(predicted).double().numpy()),
            HandArrays(joints=truth.double().numpy()),
        ).headline
    return result


def simulated_batches(clips: int) -> list[ViewBatch]:
    """Render frames of the test split, each with its own K."""
    from hand_pose_ros.simulation.batch import BatchSimulator
    from hand_pose_ros.simulation.batch_config import SimulationConfig

    config = SimulationConfig(split='test', setting='office', vary_intrinsics=True)
    simulator = BatchSimulator(config)
    return [
        simulator.clips(range(start, min(start + _CHUNK, clips)), ('rgb',), frames=1)['rgb']
        for start in range(0, clips, _CHUNK)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both tables; the status says whether the metamers behave as expected."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--hands', type=int, default=16)
    parser.add_argument('--steps', type=int, default=250)
    parser.add_argument('--checkpoint', type=Path)
    parser.add_argument('--clips', type=int, default=128)
    parser.add_argument('--json', type=Path)
    options = parser.parse_args(arguments)
    found = metamers(options.hands, options.steps)
    print('relative 3D error in mm (2D error in px) by field of view and distance from the middle')
    for view, row in found.items():
        cells = (f'{one["millimetres"]:6.1f} ({one["pixels"]:.2f})' for one in row.values())
        print(f'{view:>4s} deg ' + ' '.join(cells))
    report: dict[str, Any] = {'metamers': found}
    if options.checkpoint:
        network = load_checkpoint(options.checkpoint, expected='wildhands').network
        report['wrong intrinsics'] = wrong_intrinsics(network, simulated_batches(options.clips))
        for name, errors in report['wrong intrinsics'].items():
            print(f'{name:>9s} ' + '  '.join(f'{key} {mm:.1f}' for key, mm in errors.items()))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + '\n')
    return 0 if holds(found) else 1


if __name__ == '__main__':
    sys.exit(main())
