"""``scripts/average_weights.py``: means of weights, counts left alone, other networks refused."""

import dataclasses

import pytest
import torch

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from tests.from_file import module_from

TINY = DenseRegConfig(stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8)


@pytest.fixture(scope='module')
def script():
    return module_from('scripts/average_weights.py')


def filled(value, config=TINY):
    network = DenseReg(config)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.fill_(value)
    return LoadedNetwork(network=network, name='densereg', config=config, card={})


def test_weights_are_means_by_share_and_counts_the_first_one_s(script):
    mean = script.average([(filled(1.0), 2.0), (filled(4.0), 1.0)])
    own = filled(0.0).network.state_dict()
    for key, value in mean.items():
        expected = 2.0 if value.is_floating_point() else 1.0
        assert value.shape == own[key].shape
        assert torch.allclose(value, torch.full_like(value, expected)), key


def test_checkpoints_of_different_networks_are_refused(script):
    other = dataclasses.replace(TINY, channels=16)
    with pytest.raises(ModelError, match='are different networks'):
        script.average([(filled(1.0), 1.0), (filled(1.0, other), 1.0)])
