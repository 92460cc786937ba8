"""Training on own sessions: the shipped recipes read them, from the folder on the command line."""

import pytest

from hand_pose_ros.errors import ModelError, TrainingError
from hand_pose_ros.networks.checkpoint import shipped_weights
from hand_pose_ros.training.config import load_config

RECIPES = ('therformer', 'densereg', 'wildhands')


@pytest.mark.parametrize('task', RECIPES)
def test_recipes_start_from_shipped_weights_and_take_a_folder(repository, tmp_path, task):
    config = load_config(repository / 'config' / 'train' / f'{task}_sessions_cpu.yaml', tmp_path)
    assert config.task == task
    assert str(config.initialise_from) == 'shipped'
    assert {source.root for source in config.data.train} == {tmp_path}
    assert config.data.validation.root == tmp_path
    assert shipped_weights(task).is_file()


def test_a_folder_is_not_given_to_simulated_sources(repository, tmp_path):
    path = repository / 'config' / 'train' / 'wildhands_small_cpu.yaml'
    config = load_config(path, tmp_path)
    assert all(source.root is None for source in config.data.train)


@pytest.mark.parametrize('content', ['- a', 'data: 1', 'data: {train: 3}'])
def test_a_folder_for_a_file_that_is_none_is_still_one_sentence(tmp_path, content):
    (tmp_path / 'a.yaml').write_text(content)
    with pytest.raises(TrainingError, match=r'a\.yaml'):
        load_config(tmp_path / 'a.yaml', tmp_path)


@pytest.mark.parametrize('name', ['resnet', '../networks/wildhands'])
def test_weights_that_do_not_ship_are_refused(name):
    with pytest.raises(ModelError, match='no weights ship'):
        shipped_weights(name)
