"""ResNets: published sizes, torchvision's names, loading and freezing."""

import pytest
import torch

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.resnet import ResNet, count_parameters, freeze_statistics


@pytest.mark.parametrize(
    ('depth', 'stages', 'parameters', 'channels', 'stride'),
    [(18, 2, 683_072, 128, 8), (18, 4, 11_176_512, 512, 32), (50, 4, 23_508_032, 2048, 32)],
)
def test_the_published_sizes(depth, stages, parameters, channels, stride):
    network = ResNet(depth, stages=stages)
    assert count_parameters(network) == parameters
    assert (network.out_channels, network.stride) == (channels, stride)
    assert network.eval()(torch.zeros(1, 3, 64, 96)).shape == (
        1, channels, 64 // stride, 96 // stride,
    )  # fmt: skip


def test_names_are_those_of_torchvision():
    names = set(ResNet(50).state_dict())
    assert {
        'conv1.weight', 'bn1.running_mean', 'layer1.0.conv3.weight', 'layer1.0.downsample.0.weight',
        'layer4.2.bn3.bias', 'layer2.0.downsample.1.running_var',
    } <= names  # fmt: skip
    assert 'layer1.0.downsample.0.weight' not in ResNet(18).state_dict()


def test_a_full_checkpoint_fills_a_shorter_network():
    full = ResNet(18)
    weights = {**full.state_dict(), 'fc.weight': torch.zeros(1000, 512)}
    short = ResNet(18, stages=2)
    short.load_image_net(weights)
    assert torch.equal(short.get_parameter('layer2.1.conv2.weight'),
                       full.get_parameter('layer2.1.conv2.weight'))  # fmt: skip


@pytest.mark.parametrize('other', [ResNet(50), ResNet(18, width=32), ResNet(18, stages=1)])
def test_another_network_is_refused(other):
    with pytest.raises(ModelError, match='does not fit this ResNet'):
        ResNet(18, stages=2).load_image_net(other.state_dict())


def test_frozen_statistics_stay_while_weights_train():
    network = ResNet(18, width=8, stages=1).train()
    freeze_statistics(network)
    before = network.bn1.running_mean.clone()
    network(torch.randn(4, 3, 32, 32)).sum().backward()
    assert torch.equal(network.bn1.running_mean, before)
    assert network.bn1.weight.grad.abs().sum() > 0
