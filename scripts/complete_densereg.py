"""Teaches DenseReg to complete hands: what joints it knows well say about the others.

    python scripts/complete_densereg.py CHECKPOINT.safetensors OUT.safetensors [--first 286000]

Runs the network over simulated people it was not trained on, in crops moved and turned as in
training, and trains the completer (``networks/hand_completer.py``) on their poses and on what was
found, everything else as it was. Half an hour of two cores, and three minutes more for rendering
the clips; after every training of the network, which does not change the completer. The card gets
the completer's figures and metrics measured anew; ``scripts/calibrate_networks.py`` comes after.
"""

import argparse
import dataclasses
from pathlib import Path

import torch
from rich.progress import Progress, track

from hand_pose_ros.errors import ModelError, TrainingError
from hand_pose_ros.networks.checkpoint import (
    LoadedNetwork,
    carried_over,
    load_checkpoint,
    save_checkpoint,
)
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.training.completion import FoundHands, joined, train_completer
from hand_pose_ros.training.data import batches_of
from hand_pose_ros.training.evaluate import training_of, validation_metrics
from hand_pose_ros.training.mapping import plain
from hand_pose_ros.training.seeds import generator
from hand_pose_ros.training.sources import make_source
from hand_pose_ros.training.tasks.densereg import DenseRegTask

_SEED, _PASS = 0, 4  # of the draws; 4 keeps them apart from those of training


def with_completer(loaded: LoadedNetwork, width: int) -> tuple[DenseReg, DenseRegConfig]:
    """Return the network with a completer that changes nothing yet, and its configuration.

    Raises:
        ModelError: this network says nothing about how far off its joints may be.
    """
    if loaded.name != 'densereg' or not loaded.config.refiner:
        raise ModelError(
            f'this {loaded.name} does not say how far off joints may be: give a DenseReg '
            'checkpoint with a refiner'
        )
    config = dataclasses.replace(loaded.config, completer=width)
    network = DenseReg(config).eval()
    kept = loaded.network.state_dict().items()
    kept = {key: value for key, value in kept if not key.startswith('completer.')}
    network.load_state_dict({**network.state_dict(), **kept})
    return network, config


def found(loaded: LoadedNetwork, path: Path, first: int, clips: int) -> FoundHands:
    """Return what the network finds in simulated clips of the kind it was trained on."""
    config = training_of(loaded, path)
    people = dataclasses.replace(config.data.train[0], first=first, clips=clips)
    source = make_source(people, config.data, torch.device('cpu'))
    task, parts = DenseRegTask(config), []
    size = config.data.validation_batch
    batches = batches_of(source, size, torch.device('cpu'))
    for number, batch in enumerate(track(batches, 'network', total=-(-clips // size))):
        hands = task.find(loaded.network, batch, generator(_SEED, _PASS, number))
        parts += [] if hands is None else [hands]
    if not parts:
        raise TrainingError(f'no hand shows in {clips} clips from {first} on: give more --clips')
    return joined(parts)


def main(arguments: list[str] | None = None) -> None:
    """Look, learn, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('output', type=Path)
    parser.add_argument('--first', type=int, default=286000, help='people to learn from')
    parser.add_argument('--clips', type=int, default=6000)
    parser.add_argument('--width', type=int, default=512)
    parser.add_argument('--poses', type=int, default=30000, help='steps on poses alone')
    parser.add_argument('--steps', type=int, default=3000, help='steps on what was found')
    options = parser.parse_args(arguments)
    loaded = load_checkpoint(options.checkpoint)
    network, config = with_completer(loaded, options.width)
    hands = found(loaded, options.checkpoint, options.first, options.clips)
    torch.manual_seed(_SEED)
    assert network.completer is not None
    with Progress() as progress:
        bar = progress.add_task('completer')
        train_completer(
            network.completer, hands, generator(_SEED, _PASS),
            poses=options.poses, found=options.steps,
            report=lambda done, total: progress.update(bar, completed=done, total=total),
        )  # fmt: skip
    completed = dataclasses.replace(loaded, network=network, config=config)
    card = carried_over(loaded.card)
    card['training'] = {**card['training'], 'network': plain(config)}
    card['completer'] = {
        'first': options.first, 'clips': options.clips, 'hands': len(hands.true),
        'steps': [options.poses, options.steps], 'seed': _SEED,
    }  # fmt: skip
    card['metrics'] = validation_metrics(completed, options.checkpoint)
    save_checkpoint(
        options.output, network, loaded.name, config, card,
        half=card['training'].get('half', False),
    )  # fmt: skip
    print(f'{options.output}: {card["metrics"]}')


if __name__ == '__main__':
    main()
