"""Initial weights from a file: a checkpoint of this package, or a torchvision ResNet."""

from pathlib import Path

import torch
from torch import Tensor, nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import (
    card_path,
    load_weights,
    read_card,
    read_weights,
    shipped_weights,
)
from hand_pose_ros.networks.resnet import ResNet
from hand_pose_ros.training.tasks.base import Task


def initialise(network: nn.Module, task: Task, path: Path, stream: str = '') -> list[nn.Module]:
    """Load initial weights into a network.

    A file with a card beside it is a checkpoint of this package and fills the whole network; any
    other is a torchvision ResNet and fills the backbones.

    Args:
        network: changed in place.
        task: whose network it is.
        path: ``.safetensors``, ``.pth`` as torchvision publishes it, or ``shipped`` for the
            weights that come with the package.
        stream: what the images to train on show; chooses among shipped weights.

    Returns:
        what was filled: the network, or its backbones.

    Raises:
        ModelError: the file is missing, damaged, contains code, or belongs to another network.
    """
    path = shipped_weights(task.name, stream) if str(path) == 'shipped' else path.expanduser()
    if path.suffix == '.safetensors' and card_path(path).is_file():
        name = read_card(path)['network']
        if name != task.name:
            raise ModelError(f'{path} holds a {name} network: give one of {task.name}')
        load_weights(network, read_weights(path)[0], path)
        return [network]
    weights = read_weights(path)[0] if path.suffix == '.safetensors' else _read_pth(path)
    backbones = backbones_of(network)
    if not backbones:
        raise ModelError(f'{task.name} has no ResNet that {path} could fill')
    for backbone in backbones:
        backbone.load_image_net(weights)
    return [*backbones]


def backbones_of(network: nn.Module) -> list[ResNet]:
    """Return the ResNets in a network."""
    return [module for module in network.modules() if isinstance(module, ResNet)]


def _read_pth(path: Path) -> dict[str, Tensor]:
    """Read a state dictionary saved by torch without running any code in it."""
    if not path.is_file():
        raise ModelError(f'cannot read {path}: there is no such file, check the path')
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:
        raise ModelError(
            f'{path} is truncated or contains more than weights ({type(error).__name__}): give a '
            'state dictionary as torchvision publishes it, or a .safetensors file'
        ) from None
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ModelError(f'{path} is no dictionary of tensors: give a torchvision state dictionary')
    return content
