"""Gives TherFormer (small) the backbone of a WildHands that was trained on the same sensor.

    python scripts/start_therformer.py THERFORMER.safetensors WILDHANDS.safetensors OUT.safetensors
        [--images 192]

Both backbones are ResNets of the same widths, and WildHands' sees hands at about the same size. All
other layers stay as they are; the layers that lift features to tokens are fitted to the tokens
there were, by least squares over simulated images of the validation split. Train the result on
(``initialise_from: OUT.safetensors``). For TherFormers that see the mean of the channels.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.networks.checkpoint import card_modality, load_checkpoint, save_checkpoint
from hand_pose_ros.networks.therformer import TherFormer, TherFormerConfig
from hand_pose_ros.networks.wildhands import WildHands
from hand_pose_ros.training.config import DataConfig, SourceConfig
from hand_pose_ros.training.data import batches_of
from hand_pose_ros.training.sources import make_source

_RIDGE = 1e-4  # of the mean square of a feature


def one_channel(weights: WildHands) -> dict[str, Tensor]:
    """Return the crop backbone's state for images of one channel, from which 0.5 is taken."""
    state = weights.crop_backbone.state_dict()
    filters = state['conv1.weight'] / weights.std.flatten()[:, None, None]
    # What the images' means shift, the first normalisation takes away again.
    shift = (filters.sum(dim=(2, 3)) * (0.5 - weights.mean.flatten())).sum(dim=1)
    return state | {
        'conv1.weight': filters.sum(dim=1, keepdim=True),
        'bn1.running_mean': state['bn1.running_mean'] - shift,
    }


def features(network: TherFormer, images: Tensor) -> Tensor:
    """Return what is lifted to tokens, (N h w, C), of images (N, 1, H, W) less 0.5."""
    fine, coarse = network.backbone.levels(images)[1:]
    both = torch.cat([fine, functional.interpolate(coarse, fine.shape[-2:])], dim=1)
    return cells(functional.pad(both, (0, 0, 0, 0, 0, 1), value=1.0))


def cells(maps: Tensor) -> Tensor:
    """Return the cells (N h w, C) of maps (N, C, h, w)."""
    return maps.permute(0, 2, 3, 1).flatten(0, 2)


def main() -> None:
    """Write the checkpoint."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('therformer', type=Path)
    parser.add_argument('wildhands', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--images', type=int, default=192)
    options = parser.parse_args()
    old, donor = load_checkpoint(options.therformer), load_checkpoint(options.wildhands)
    modality: Any = card_modality(donor.card)
    assert isinstance(old.network, TherFormer) and isinstance(donor.network, WildHands)
    config = dataclasses.replace(TherFormerConfig.small(modality), frames=old.config.frames)
    network = TherFormer(config).eval()
    kept = old.network.state_dict().items()
    network.load_state_dict(
        {name: value for name, value in kept if not name.startswith(('backbone.', 'lift'))},
        strict=False,
    )
    network.backbone.load_state_dict(one_channel(donor.network))
    content = SourceConfig(
        data='simulated', split='val', setting='office', clips=options.images // 2,
        options={'rate_range': [1, 6]},
    )  # fmt: skip
    data = DataConfig(train=(content,), validation=content, stream=modality, frames=2)
    source = make_source(content, data, torch.device('cpu'))
    products: Tensor | float = 0.0
    with torch.inference_mode():
        for batch in batches_of(source, 8, torch.device('cpu')):
            images = batch.image.mean(dim=1, keepdim=True) - 0.5
            given = features(network, images)
            wanted = cells(old.network.lifted(images))
            products = products + (given.T @ torch.cat([given, wanted], dim=1)).double()
        assert isinstance(products, Tensor)
        squares = products[:, : len(products)]
        squares += _RIDGE * squares.diagonal().mean() * torch.eye(len(squares), dtype=torch.float64)
        lift = torch.linalg.solve(squares, products[:, len(products) :]).float().T  # (d, C)
        fine = network.lift.in_channels
        network.lift.weight.copy_(lift[:, :fine, None, None])
        network.lift.bias.copy_(lift[:, -1])
        network.lift_coarse.weight.copy_(lift[:, fine:-1, None, None])
    save_checkpoint(options.out, network, 'therformer', config, {})


if __name__ == '__main__':
    main()
