"""Training on own sessions: from the shipped recipes to figures before and after."""

import json

import numpy as np
import pytest

from hand_pose_ros.cli.main import main
from hand_pose_ros.errors import ModelError, TrainingError
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.networks.checkpoint import shipped_weights
from hand_pose_ros.sessions.session import Session
from hand_pose_ros.training.config import load_config
from tests.sessions.simulated import record

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


@pytest.fixture(scope='module')
def folder(repository, tmp_path_factory):
    folder = tmp_path_factory.mktemp('sessions')
    for subject in (1, 2):
        path = folder / f'subject_0{subject}' / 'a'
        record(repository, path, seed=subject, cameras=('depth',), seconds=0.2)
    return folder


def train(repository, folder, output, *more):
    recipe = repository / 'config' / 'train' / 'densereg_sessions_cpu.yaml'
    return main(['train', str(recipe), '--root', str(folder), '--output', str(output), *more])


def test_training_and_measuring_on_one_session_is_refused(repository, folder, tmp_path, capsys):
    assert train(repository, folder, tmp_path, '--steps', '1') == 1
    assert 'put each session and subject into one split' in capsys.readouterr().err


def test_a_recipe_ends_with_figures_beside_the_shipped_ones(repository, folder, tmp_path, capsys):
    (folder / 'splits.yaml').write_text('train: [subject_01/a]\nval: [subject_02/a]\n')
    try:
        assert train(repository, folder, tmp_path / 'run', '--steps', '2') == 0
    finally:
        (folder / 'splits.yaml').unlink()
    capsys.readouterr()
    command = ['evaluate', '--checkpoint', str(tmp_path / 'run' / 'model.safetensors'),
               '--session', str(folder / 'subject_02' / 'a')]  # fmt: skip
    figures = tmp_path / 'figures.json'
    assert main([*command, '--against', 'shipped', '--json', str(figures)]) == 0
    told = json.loads(figures.read_text())
    assert 0 < told['headline']['mean_error_mm'] < 60
    assert told['against'].keys() == told['headline'].keys()
    assert told['conditions']['labels'] == 'exact hands of the simulation'
    assert main([*command, '--data', 'sessions:test']) == 1
    assert 'leave out --data' in capsys.readouterr().err
    assert main(['evaluate', '--session', str(folder)]) == 1
    assert 'give --checkpoint' in capsys.readouterr().err


class Exact:
    """An estimator that knows the truth, 10 mm off in depth, and a worse hand of the same side."""

    def __init__(self, truth):
        self.truth = truth

    def estimate(self, frame):
        row = int(np.searchsorted(self.truth.stamps, frame.stamp))
        joints = self.truth.joints[row] + np.array([0, 0, 0.01])
        joints = apply(inverse(frame.T_rig_frame) @ self.T_rig_ref, joints)
        hand = {'track_id': 1, 'state': 'tracked'}
        return [
            HandPose(side='left', score=0.9, joints=joints[0], **hand),
            HandPose(side='left', score=0.2, joints=joints[0] + 1, **hand),
        ]


def test_a_live_estimator_is_measured_on_a_session(folder, tmp_path, capsys, monkeypatch):
    bag, figures = folder / 'subject_01' / 'a', tmp_path / 'figures.json'
    with Session.open(bag) as session:
        estimator = Exact(session.truth())
        estimator.T_rig_ref = session.rig.reference_camera.T_rig_cam
    command = ['evaluate', '--session', str(bag), '--estimator']
    with monkeypatch.context() as patch:
        patch.setattr('hand_pose_ros.estimators.registry.create', lambda *_: estimator)
        assert main([*command, 'exact', '--clips', '3', '--json', str(figures)]) == 0
    told = json.loads(figures.read_text())
    assert told['headline']['mepe_mm'] == pytest.approx(10.0, abs=1e-6)
    assert told['conditions']['frames'] == '3'
    assert told['conditions']['hands found'] == '50.0 %'
    assert told['conditions']['labels'] == 'exact hands of the simulation'
    assert 'Published' not in capsys.readouterr().out
    assert main([*command, 'nothing']) == 1
    assert 'nothing' in capsys.readouterr().err
    assert main(['evaluate', '--estimator', 'densereg']) == 1
    assert 'goes with --session' in capsys.readouterr().err
