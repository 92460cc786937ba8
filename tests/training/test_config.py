"""Training configurations: typed, complete, and errors that name the key."""

from pathlib import Path

import pytest

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.training.config import load_config
from hand_pose_ros.training.mapping import plain

VALID = """
task: therformer
steps: 100
data:
  stream: thermal
  batch: 4
  train: [{clips: 10, setting: office}]
  validation: {clips: 2, split: val}
optimiser: {learning_rate: 2e-3, betas: [0.5, 0.999]}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / 'run.yaml'
    path.write_text(text)
    return path


def test_values_arrive_typed(tmp_path):
    config = load_config(write(tmp_path, VALID))
    assert config.optimiser.learning_rate == 0.002
    assert config.optimiser.betas == (0.5, 0.999)
    assert config.data.train[0].setting == 'office'
    assert isinstance(config.data.cache, Path)
    assert config.schedule.name == 'cosine'


@pytest.mark.parametrize(
    ('old', 'new', 'expected'),
    [
        ('steps: 100', 'stpes: 100', "stpes is unknown, did you mean 'steps'?"),
        ('batch: 4', 'batches: 4', "data.batches is unknown, did you mean 'batch'?"),
        ('clips: 10', 'clip: 10', "data.train[0].clip is unknown, did you mean 'clips'?"),
        ('steps: 100', '', 'steps is missing'),
        ('steps: 100', 'steps: many', "steps must be a whole number, got 'many'"),
        ('steps: 100', 'steps: 0', 'at least 1'),
        ('therformer', 'therformr', "task is 'therformr', did you mean 'therformer'?"),
        ('2e-3', 'nan', 'optimiser.learning_rate must be a finite number'),
        ('[0.5, 0.999]', '[0.5]', 'optimiser.betas must be a list of 2 values'),
        ('train: [{clips: 10, setting: office}]', 'train: []', 'data cannot be used: train needs'),
        ('train: [{', 'train: [{data: nyu, ', "data.train[0] cannot be used: the data set 'nyu'"),
        ('steps: 100', 'steps: 100\nsteps: 100', "'steps' is given twice"),
        (VALID, '- 1', 'must be a mapping'),
    ],
)
def test_errors_name_the_key(tmp_path, old, new, expected):
    assert old in VALID
    path = write(tmp_path, VALID.replace(old, new))
    with pytest.raises(TrainingError) as caught:
        load_config(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(TrainingError, match='nothing.yaml'):
        load_config(tmp_path / 'nothing.yaml')


def test_plain_is_what_json_stores(tmp_path):
    import json

    config = load_config(write(tmp_path, VALID))
    values = json.loads(json.dumps(plain(config)))
    assert values['data']['train'][0]['clips'] == 10
    assert values['optimiser']['betas'] == [0.5, 0.999]


@pytest.mark.parametrize(
    'path', sorted(Path(__file__).parents[2].glob('config/train/*.yaml')), ids=lambda p: p.stem
)
def test_shipped_configurations_load(path):
    config = load_config(path)
    assert path.stem.startswith(config.task)
