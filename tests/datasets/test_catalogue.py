"""The catalogue: data sets by name, and sentences for what is unknown."""

import pytest

from hand_pose_ros.datasets import catalogue
from hand_pose_ros.datasets.catalogue import open_dataset, open_depth_dataset, splits_of
from hand_pose_ros.datasets.thermohands import ThermoHands
from hand_pose_ros.errors import DataError

EVERY = {**catalogue.HAND_DATASETS, **catalogue.DEPTH_DATASETS}


def test_a_data_set_is_opened_with_its_options(training_tree):
    dataset = open_dataset('thermohands', training_tree.root, {'split': 'train', 'stream': 'nir'})
    assert isinstance(dataset, ThermoHands) and dataset.modality == 'nir'


@pytest.mark.parametrize('name', [name for name in EVERY if name != 'sessions'])
def test_every_reader_names_the_missing_folder_and_where_to_get_it(tmp_path, name):
    opener = open_dataset if name in catalogue.HAND_DATASETS else open_depth_dataset
    with pytest.raises(DataError, match=r'nowhere is missing: obtain it from the project page of'):
        opener(name, tmp_path / 'nowhere')


@pytest.mark.parametrize(
    ('opener', 'name', 'options', 'message'),
    [
        (open_dataset, 'freihand', {}, "no data set 'freihand': use thermohands, arctic"),
        (open_dataset, 'nyu', {}, "no data set 'nyu'"),
        (open_depth_dataset, 'h2o', {}, "no data set 'h2o': use nyu, icvl, msra"),
        (open_dataset, 'h2o', {'stream': 'x'}, "h2o has no option 'stream': use split"),
        (open_dataset, 'arctic', {'split': 'test'}, "split 'test' .*unknown: use train, val"),
        (open_dataset, 'ego_exo4d', {'split': 'val'}, "no option 'split': use none"),
    ],
)  # fmt: skip
def test_what_is_unknown_is_listed(tmp_path, opener, name, options, message):
    with pytest.raises(DataError, match=message):
        opener(name, tmp_path, options)


def test_splits():
    assert splits_of('thermohands') == ('train', 'val', 'test')
    assert splits_of('arctic') == ('train', 'val')
    assert splits_of('nyu') == ('train', 'test')
    assert splits_of('ego_exo4d') == ()
