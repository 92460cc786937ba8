"""Trained models: listed as they are, refused with the reason, installed with their cards."""

import json
import pickle
import zipfile

import pytest
import torch

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators import model_store, trained_models
from hand_pose_ros.networks.checkpoint import card_path, save_checkpoint
from hand_pose_ros.networks.densereg import DenseReg, DenseRegConfig

TINY = DenseRegConfig(
    stacks=1, stem_channels=4, channels=8, branch_channels=8, vote_channels=8, weight_std=None
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only folder of the user's models; nothing is shipped."""
    path = tmp_path / 'models'
    path.mkdir()
    monkeypatch.setattr(model_store, 'search_folders', lambda: [path])
    monkeypatch.setattr(trained_models, 'SHIPPED', tmp_path / 'shipped')
    return path


def checkpoint(path, **card):
    torch.manual_seed(0)
    save_checkpoint(path, DenseReg(TINY), 'densereg', TINY, {'metrics': {'error': 8.0}, **card})
    return path


def test_what_is_there_is_listed_from_its_card(folder):
    checkpoint(folder / 'densereg.safetensors', data={'stream': 'depth'})
    [model] = trained_models.available()
    assert (model.name, model.network, model.state) == ('densereg', 'densereg', 'present')
    assert model.modality == 'depth' and not model.shipped
    assert model.size == (folder / 'densereg.safetensors').stat().st_size
    assert trained_models.checked(model).state == 'present'
    assert trained_models.available('therformer') == []


def test_an_installed_model_comes_before_a_shipped_one_of_its_name(folder, tmp_path):
    shipped = checkpoint(tmp_path / 'shipped' / 'densereg.safetensors')
    assert trained_models.find('densereg') == shipped
    assert trained_models.available()[0].shipped
    installed = checkpoint(folder / 'densereg.safetensors')
    assert trained_models.find('densereg') == installed
    assert len(trained_models.available()) == 1


def test_the_model_called_like_the_network_is_the_default(folder):
    checkpoint(folder / 'a.safetensors')
    own = checkpoint(folder / 'densereg.safetensors')
    other = checkpoint(folder / 'z.safetensors')
    assert trained_models.find('densereg') == own
    assert trained_models.find('densereg', 'z') == other
    assert trained_models.find('densereg', str(other)) == other


def test_a_model_for_another_sensor_does_not_fit(folder):
    checkpoint(folder / 'a.safetensors', data={'stream': 'depth'})
    free = checkpoint(folder / 'b.safetensors')
    assert trained_models.find('densereg', modality='rgb') == free
    with pytest.raises(ModelError, match=r'no trained model of wildhands for rgb images'):
        trained_models.find('wildhands', modality='rgb')


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('other', "called 'other' (there is densereg)"),
        ('/none/x.safetensors', 'there is no checkpoint /none/x.safetensors'),
    ],
)
def test_a_model_that_is_not_there_is_named(folder, name, words):
    checkpoint(folder / 'densereg.safetensors')
    with pytest.raises(ModelError) as error:
        trained_models.find('densereg', name)
    assert words in str(error.value)


def test_changed_weights_do_not_belong_to_their_card(folder):
    path = checkpoint(folder / 'densereg.safetensors')
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    [model] = trained_models.available()
    assert model.state == 'present'  # only the card was read
    assert 'does not belong to its card' in trained_models.checked(model).problem


@pytest.mark.parametrize('damage', ['no card', 'bad card', 'truncated', 'pickled'])
def test_damaged_checkpoints_are_corrupt_and_say_why(folder, damage):
    path = checkpoint(folder / 'densereg.safetensors')
    if damage == 'no card':
        card_path(path).unlink()
    elif damage == 'bad card':
        card_path(path).write_text('{')
    elif damage == 'truncated':
        path.write_bytes(path.read_bytes()[:50])
    else:
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('data.pkl', pickle.dumps({}))
    [model] = trained_models.available()
    bad = trained_models.checked(model)
    assert bad.state == 'corrupt' and bad.problem and '\n' not in bad.problem


def test_a_model_is_installed_with_its_card(folder, tmp_path):
    source = checkpoint(tmp_path / 'run' / 'best.safetensors')
    path = trained_models.install(source, folder)
    assert path == folder / 'best.safetensors'
    assert path.read_bytes() == source.read_bytes()
    assert json.loads(card_path(path).read_text())['network'] == 'densereg'
    assert trained_models.find('densereg', 'best') == path
    assert sorted(entry.name for entry in folder.iterdir()) == ['best.json', 'best.safetensors']
    assert trained_models.install(path, folder) == path  # onto itself


def test_what_cannot_be_loaded_is_not_installed(folder, tmp_path):
    source = checkpoint(tmp_path / 'run' / 'best.safetensors')
    card = json.loads(card_path(source).read_text())
    card['config']['channels'] = 16
    card_path(source).write_text(json.dumps(card))
    with pytest.raises(ModelError, match='checkpoint of another network'):
        trained_models.install(source, folder)
    with pytest.raises(ModelError, match=r'give the \.safetensors file'):
        trained_models.install(card_path(source), folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(folder, tmp_path):
    source = checkpoint(tmp_path / 'run' / 'best.safetensors')
    (tmp_path / 'file').write_text('')
    with pytest.raises(ModelError, match='choose a writable folder'):
        trained_models.install(source, tmp_path / 'file' / 'inner')
