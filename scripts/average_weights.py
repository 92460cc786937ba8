"""Averages checkpoints of one network, each trained on from another of them.

    python scripts/average_weights.py OUT.safetensors FIRST.safetensors:2 SECOND.safetensors:1

A run that begins with the weights of the one before ends beside them in the same valley of the
loss, and the mean of both, here two parts of the first and one of the second, is often better than
either. The card is the first one's, with the hash and the share of each (``average``), and metrics
measured anew on its validation data. ``scripts/calibrate_networks.py`` comes after.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import (
    LoadedNetwork,
    carried_over,
    load_checkpoint,
    save_checkpoint,
)
from hand_pose_ros.training.evaluate import validation_metrics


def average(checkpoints: list[tuple[LoadedNetwork, float]]) -> dict[str, Tensor]:
    """Return the mean weights; numbers that are no weights, such as counts, are the first one's.

    Raises:
        ModelError: the checkpoints are of different networks.
    """
    first = checkpoints[0][0]
    for other, _ in checkpoints:
        if (other.name, other.config) != (first.name, first.config):
            raise ModelError(
                f'{other.name} {other.config} and {first.name} {first.config} are different '
                'networks: average checkpoints of one'
            )
    total = sum(share for _, share in checkpoints)
    states = [(loaded.network.state_dict(), share / total) for loaded, share in checkpoints]
    return {
        key: sum((state[key] * share for state, share in states), torch.zeros(()))
        if value.is_floating_point()
        else value
        for key, value in states[0][0].items()
    }


def main() -> None:
    """Average, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('output', type=Path)
    parser.add_argument('parts', nargs='+', metavar='FILE:SHARE')
    options = parser.parse_args()
    parts = [part.rpartition(':') for part in options.parts]
    checkpoints = [(load_checkpoint(Path(path)), float(share)) for path, _, share in parts]
    first = checkpoints[0][0]
    first.network.load_state_dict(average(checkpoints))
    card = carried_over(first.card)
    card['average'] = [
        {'sha256': loaded.card['sha256'], 'share': share} for loaded, share in checkpoints
    ]
    card['metrics'] = validation_metrics(first, Path(parts[0][0]))
    save_checkpoint(
        options.output, first.network, first.name, first.config, card,
        half=card['training'].get('half', False),
    )  # fmt: skip
    print(f'{options.output}: {card["metrics"]}')


if __name__ == '__main__':
    main()
