"""Checkpoints: what is written comes back, and what is damaged or foreign is refused."""

import dataclasses
import json
import pickle

import pytest
import torch
from torch import nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.networks import checkpoint, registry
from hand_pose_ros.networks.checkpoint import load_checkpoint, read_card, save_checkpoint


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyConfig:
    widths: tuple[int, ...] = (3, 2)
    bias: bool = True


class Tiny(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.layer = nn.Linear(*config.widths, bias=config.bias)
        self.register_buffer('count', torch.tensor(7))


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    module = __name__
    monkeypatch.setitem(registry.NETWORKS, 'tiny', (module, 'TinyConfig', 'Tiny'))


def save(path, config=None, **options):
    config = config or TinyConfig()
    torch.manual_seed(0)
    network = Tiny(config)
    save_checkpoint(path, network, 'tiny', config, {'metrics': {'mepe': 0.02}}, **options)
    return network


def test_a_network_comes_back(tmp_path):
    path = tmp_path / 'new' / 'a.safetensors'
    network = save(path)
    loaded = load_checkpoint(path, expected='tiny')
    assert loaded.config == TinyConfig()
    assert loaded.card['metrics'] == {'mepe': 0.02}
    assert loaded.card['parameters'] == 8
    assert not loaded.network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)


def test_half_precision_halves_the_file_and_loads_as_float32(tmp_path):
    network = save(tmp_path / 'a.safetensors', half=True)
    loaded = load_checkpoint(tmp_path / 'a.safetensors').network
    assert loaded.layer.weight.dtype == torch.float32
    assert loaded.count.dtype == torch.int64
    assert torch.allclose(loaded.layer.weight, network.layer.weight, atol=1e-3)


def test_another_network_than_expected_is_refused(tmp_path):
    save(tmp_path / 'a.safetensors')
    with pytest.raises(ModelError, match='holds a tiny network, not therformer'):
        load_checkpoint(tmp_path / 'a.safetensors', expected='therformer')


@pytest.mark.parametrize('keep', [0, 5, 60])
def test_a_truncated_file_is_refused(tmp_path, keep):
    path = tmp_path / 'a.safetensors'
    save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match='truncated'):
        load_checkpoint(path)


class Bomb:
    def __reduce__(self):
        return (print, ('exploded',))


@pytest.mark.parametrize('maker', [
    lambda path: torch.save({'a': torch.zeros(2)}, path),
    lambda path: path.write_bytes(pickle.dumps(Bomb())),
])  # fmt: skip
def test_a_pickled_file_is_refused_without_being_executed(tmp_path, capsys, maker):
    path = tmp_path / 'a.safetensors'
    save(path)
    maker(path)
    with pytest.raises(ModelError, match='pickled'):
        load_checkpoint(path)
    assert 'exploded' not in capsys.readouterr().out


def test_weights_that_do_not_belong_to_the_card_are_refused(tmp_path):
    save(tmp_path / 'a.safetensors')
    save(tmp_path / 'b.safetensors', TinyConfig(widths=(4, 2)))
    (tmp_path / 'b.safetensors').replace(tmp_path / 'a.safetensors')
    with pytest.raises(ModelError, match='does not belong to its card'):
        load_checkpoint(tmp_path / 'a.safetensors')


def rewrite(path, **changes):
    card = json.loads(path.with_suffix('.json').read_text())
    path.with_suffix('.json').write_text(json.dumps({**card, **changes}))


@pytest.mark.parametrize(('changes', 'sentence'), [
    ({'config': {'widths': [5, 2]}}, 'checkpoint of another network'),
    ({'config': {'widths': [3, 2], 'colour': 1}}, "no option 'colour'"),
    ({'config': {'bias': False}}, 'checkpoint of another network'),
    ({'config': 3}, "names the network 'tiny'"),
    ({'network': 'resnet'}, "names the network 'resnet'"),
    ({'format': 99}, 'not a card of format'),
])  # fmt: skip
def test_a_wrong_card_is_refused(tmp_path, changes, sentence):
    path = tmp_path / 'a.safetensors'
    save(path)
    rewrite(path, **changes)
    with pytest.raises(ModelError, match=sentence):
        load_checkpoint(path)


@pytest.mark.parametrize('text', ['', '{', '[1]'])
def test_a_card_that_is_no_card_is_refused(tmp_path, text):
    save(tmp_path / 'a.safetensors')
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(ModelError, match=r'not JSON|not a card'):
        read_card(tmp_path / 'a.safetensors')


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ModelError, match=r'a\.json cannot be read'):
        load_checkpoint(tmp_path / 'a.safetensors')
    save(tmp_path / 'a.safetensors')
    (tmp_path / 'a.safetensors').unlink()
    with pytest.raises(ModelError, match=r'cannot read .*a\.safetensors'):
        load_checkpoint(tmp_path / 'a.safetensors')


def test_names_and_folders_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(ModelError, match='must end in'):
        save(tmp_path / 'a.pth')
    (tmp_path / 'file').write_text('')
    with pytest.raises(ModelError, match='cannot write'):
        save(tmp_path / 'file' / 'a.safetensors')


def test_the_revision_of_this_checkout_is_known_or_said_to_be_unknown():
    revision = checkpoint.git_revision()
    assert revision == 'unknown' or len(revision.rstrip('+')) >= 7
