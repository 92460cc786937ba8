"""Initial weights from files: what fits is taken, everything else is refused."""

import os
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks import checkpoint
from hand_pose_ros.networks.checkpoint import save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.networks.resnet import ResNet
from hand_pose_ros.training.initialise import initialise


class Task:
    name = 'therformer'


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = ResNet(18, width=8, stages=2)
        self.head = nn.Linear(2, 2)


def torchvision_like(width=8):
    weights = ResNet(18, width=width, stages=4).state_dict()
    return {**weights, 'fc.weight': torch.zeros(10, 64), 'fc.bias': torch.zeros(10)}


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_an_image_net_file_fills_the_backbones_only(tmp_path, suffix):
    weights, path = torchvision_like(), tmp_path / f'resnet18.{suffix}'
    if suffix == 'pth':
        torch.save(weights, path)
    else:
        safetensors.torch.save_file(weights, path)
    network = Net()
    head = network.head.weight.clone()
    initialise(network, Task(), path)
    assert torch.equal(network.backbone.conv1.weight, weights['conv1.weight'])
    assert torch.equal(
        network.backbone.layer2[1].bn2.running_var, weights['layer2.1.bn2.running_var']
    )
    assert torch.equal(network.head.weight, head)


def test_a_checkpoint_of_ours_fills_everything(tmp_path):
    config = DenseRegConfig(stem_channels=4, channels=8, branch_channels=8, vote_channels=8)
    path = tmp_path / 'model.safetensors'
    source, network = DenseReg(config), DenseReg(config)
    save_checkpoint(path, source, 'densereg', config, {})

    class Dense:
        name = 'densereg'

    initialise(network, Dense(), path)
    for name, tensor in source.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name])
    with pytest.raises(ModelError, match='holds a densereg network: give one of therformer'):
        initialise(Net(), Task(), path)
    wider = DenseReg(DenseRegConfig(stem_channels=8, channels=8, branch_channels=8))
    with pytest.raises(ModelError, match='another network'):
        initialise(wider, Dense(), path)


def test_shipped_weights_are_those_of_the_images_shown(tmp_path, monkeypatch):
    config = DenseRegConfig(stem_channels=4, channels=8, branch_channels=8, vote_channels=8)
    monkeypatch.setattr(checkpoint, 'SHIPPED', tmp_path)
    sources = {}
    for name in ('densereg', 'densereg_thermal'):
        sources[name] = DenseReg(config)
        save_checkpoint(tmp_path / f'{name}.safetensors', sources[name], 'densereg', config, {})

    class Dense:
        name = 'densereg'

    for stream, name in (('depth', 'densereg'), ('thermal', 'densereg_thermal')):
        network = DenseReg(config)
        initialise(network, Dense(), Path('shipped'), stream)
        for key, tensor in sources[name].state_dict().items():
            assert torch.equal(tensor, network.state_dict()[key])


class Boom:
    def __reduce__(self):
        return (os.abort, ())


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        ('missing', 'no such file'),
        ('truncated', 'truncated or contains more than weights'),
        ('code', 'truncated or contains more than weights'),
        ('list', 'no dictionary of tensors'),
        ('wider', 'does not fit this ResNet'),
        ('other', 'does not fit this ResNet'),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, content, expected):
    path = tmp_path / 'file.pth'
    if content == 'truncated':
        torch.save(torchvision_like(), path)
        path.write_bytes(path.read_bytes()[:5000])
    elif content != 'missing':
        values = {
            'code': {'conv1.weight': Boom()},
            'list': [1, 2],
            'wider': torchvision_like(16),
            'other': {'weight': torch.zeros(3)},
        }
        torch.save(values[content], path)
    with pytest.raises(ModelError, match=expected):
        initialise(Net(), Task(), path)
