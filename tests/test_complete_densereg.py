"""``scripts/complete_densereg.py``: a completer beside weights that stay as they were."""

import dataclasses

import pytest
import torch

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks.checkpoint import LoadedNetwork, load_checkpoint, save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig
from hand_pose_ros.training.config import DataConfig, SourceConfig, TrainingConfig
from hand_pose_ros.training.mapping import plain
from tests.from_file import module_from

TINY = DenseRegConfig(
    stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8, refiner=4,
    dropout=0.0,
)  # fmt: skip


@pytest.fixture(scope='module')
def script():
    return module_from('scripts/complete_densereg.py')


def checkpoint(folder, config=TINY):
    """A network with new weights and the card of a training."""
    torch.manual_seed(0)
    clips = {'setting': 'office', 'data': 'simulated'}
    training = TrainingConfig(
        task='densereg',
        network=plain(config),
        steps=1,
        data=DataConfig(
            stream='depth', frames=1, validation_batch=2, labels=(), cache=folder / 'clips',
            train=(SourceConfig(**clips, clips=2),),
            validation=SourceConfig(**clips, clips=2, split='val'),
        ),
    )  # fmt: skip
    path = folder / 'hands.safetensors'
    card = {
        'training': plain(training), 'data': plain(training.data), 'metrics': {'old': 1.0},
        'noise': {'across': 0.004},
    }  # fmt: skip
    save_checkpoint(path, DenseReg(config), 'densereg', config, card)
    return path


def test_it_learns_measures_and_leaves_everything_else_as_it_was(script, tmp_path, capsys):
    path, out = checkpoint(tmp_path), tmp_path / 'completed.safetensors'
    short = ['--clips', '3', '--width', '16', '--poses', '3', '--steps', '3']
    script.main([str(path), str(out), '--first', '7', *short])
    before, after = load_checkpoint(path), load_checkpoint(out)
    assert after.config == dataclasses.replace(TINY, completer=16)
    old, new = before.network.state_dict(), after.network.state_dict()
    assert all(torch.equal(value, new[key]) for key, value in old.items())
    assert new['completer.layers.6.weight'].abs().sum() > 0
    card = after.card
    assert card['completer']['first'] == 7
    assert 0 < card['completer']['hands'] <= 6
    assert card['training']['network']['completer'] == 16
    assert card['metrics']['mean joint error'] > 0
    assert 'noise' not in card
    assert str(out) in capsys.readouterr().out


def test_an_older_completer_is_learnt_anew(script, tmp_path):
    path = checkpoint(tmp_path, dataclasses.replace(TINY, completer=8))
    network, config = script.with_completer(load_checkpoint(path), 16)
    assert config.completer == 16
    joints, log_error = torch.rand(2, 21, 3), torch.rand(2, 21)
    assert torch.equal(network.completer(joints, log_error)[0], joints)


@pytest.mark.parametrize(
    ('name', 'config'),
    [('wildhands', TINY), ('densereg', dataclasses.replace(TINY, refiner=0))],
)
def test_networks_that_expect_no_errors_are_refused(script, name, config):
    loaded = LoadedNetwork(network=DenseReg(config), name=name, config=config, card={})
    with pytest.raises(ModelError, match='how far off joints may be'):
        script.with_completer(loaded, 16)
