"""The trainer: learning, resuming after a kill, several processes, failures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from hand_pose_ros.errors import TrainingError
from hand_pose_ros.networks.resnet import ResNet
from hand_pose_ros.training.config import OptimiserConfig
from hand_pose_ros.training.journal import read_journal
from hand_pose_ros.training.state import read_state
from hand_pose_ros.training.trainer import MODEL, STATE, Trainer
from tests.training import fakes

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name('fake_run.py')


def start(*arguments, **environment):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env={
            **os.environ,
            'PYTHONPATH': os.pathsep.join(
                [str(REPOSITORY), *os.environ.get('PYTHONPATH', '').split(os.pathsep)]
            ),
            **environment,
        },
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, expected=0):
    _, errors = process.communicate(timeout=100)
    assert process.returncode == expected, errors[-2000:]


def same(one, other):
    """Whether two nested states are equal bit for bit."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


def timeless(entries):
    return [{key: value for key, value in entry.items() if key != 'seconds'} for entry in entries]


def test_a_killed_run_goes_on_bit_for_bit(tmp_path, fake_clips):
    straight, broken = tmp_path / 'straight', tmp_path / 'broken'
    first = start(broken, 8, '--die-at', 5)
    Trainer(fakes.make_config(validate_every=4), fakes.FakeTask(), straight).run()
    finish(first, expected=-9)
    assert read_state(broken / STATE)['step'] == 4
    finish(start(broken, 8, '--resume'))
    one, other = read_state(straight / STATE), read_state(broken / STATE)
    assert one['step'] == 8
    for part in ('network', 'average', 'optimiser', 'best', 'updates'):
        assert same(one[part], other[part]), part
    assert (straight / MODEL).read_bytes() == (broken / MODEL).read_bytes()
    assert timeless(read_journal(straight)) == timeless(read_journal(broken))


def test_two_processes_equal_one(tmp_path, fake_clips):
    alone, together = tmp_path / 'alone', tmp_path / 'together'
    shared = {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': _free_port(), 'WORLD_SIZE': '2'}
    processes = [
        start(together, 8, '--state-free', RANK=str(rank), LOCAL_RANK=str(rank), **shared)
        for rank in range(2)
    ]
    config = fakes.make_config(validate_every=4)
    Trainer(config, fakes.FakeTask(state_free=True), alone).run()
    for process in processes:
        finish(process)
    one, other = read_state(alone / STATE), read_state(together / STATE)
    for name, tensor in one['network'].items():
        torch.testing.assert_close(tensor, other['network'][name], rtol=1e-4, atol=2e-6)
    losses = [
        [entry['total'] for entry in read_journal(folder) if entry['kind'] == 'train']
        for folder in (alone, together)
    ]
    assert len(losses[0]) == 8
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def _free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return str(probe.getsockname()[1])


def test_the_loss_falls_and_the_folder_holds_everything(tmp_path, fake_clips):
    trainer = Trainer(fakes.make_config(steps=40, validate_every=20), fakes.FakeTask(), tmp_path)
    summary = trainer.run()
    assert summary.reason == 'finished'
    assert summary.steps == 40
    losses = [entry['total'] for entry in read_journal(tmp_path) if entry['kind'] == 'train']
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    card = json.loads((tmp_path / MODEL).with_suffix('.json').read_text())
    assert card['steps'] in (20, 40)
    assert card['training']['optimiser']['name'] == 'adamw'
    assert card['metrics']['MEPE'] == pytest.approx(summary.metrics['MEPE'], abs=1e-3)
    for name in ('curves.png', 'samples.png'):
        assert (tmp_path / name).read_bytes().startswith(b'\x89PNG')


def test_the_exported_weights_are_the_moving_average(tmp_path, fake_clips):
    trainer = Trainer(fakes.make_config(), fakes.FakeTask(), tmp_path)
    trainer.run()
    exported = safetensors.torch.load_file(tmp_path / MODEL)
    average = trainer.average.network.state_dict()
    assert torch.equal(exported['head.weight'], average['head.weight'])
    assert not torch.equal(exported['head.weight'], trainer.network.head.weight)


def test_a_loss_that_is_not_finite_stops_with_the_batch_saved(tmp_path, fake_clips):
    trainer = Trainer(fakes.make_config(), fakes.FakeTask(poison_at=3), tmp_path)
    with pytest.raises(TrainingError, match='the loss of step 2 is not finite') as caught:
        trainer.run()
    (path,) = tmp_path.glob('not_finite_*.safetensors')
    assert str(path) in str(caught.value)
    batch = safetensors.torch.load_file(path)
    assert batch['image'].shape == (8, 3, 24, 32)
    assert all(torch.isfinite(weight).all() for weight in trainer.network.parameters())


def test_the_time_limit_stops_validates_and_exports(tmp_path, fake_clips):
    config = fakes.make_config(steps=10**6, validate_every=10**6)
    summary = Trainer(config, fakes.FakeTask(), tmp_path).run(minutes=0.01)
    assert summary.reason == 'time limit'
    assert 0 < summary.steps < 10**6
    assert summary.metrics
    assert (tmp_path / MODEL).is_file()
    rates = [e['learning_rate'] for e in read_journal(tmp_path) if e['kind'] == 'train']
    assert rates[-1] < 0.2 * rates[0]


def test_not_a_number_is_worse_than_any_error(tmp_path, fake_clips):
    class Blind(fakes.FakeTask):
        errors = iter([float('nan'), 30.0, float('nan'), 40.0])

        def measure(self, predicted, truth):
            return {'MEPE': next(self.errors)}

    config = fakes.make_config(steps=4, validate_every=1)
    assert Trainer(config, Blind(), tmp_path).run().metrics == {'MEPE': 30.0}
    assert json.loads((tmp_path / MODEL).with_suffix('.json').read_text())['steps'] == 2


def test_a_stopped_run_is_saved_without_a_validation(tmp_path, fake_clips):
    trainer = Trainer(fakes.make_config(), fakes.FakeTask(), tmp_path)
    summary = trainer.run(stopped=lambda: True)
    assert summary.reason == 'stopped'
    assert read_state(tmp_path / STATE)['step'] == 1
    assert not (tmp_path / MODEL).exists()


def test_accumulated_batches_give_the_mean_gradient(tmp_path, fake_clips):
    config = fakes.make_config(
        steps=1, optimiser=OptimiserConfig(name='adam', accumulate=3, clip_norm=100.0)
    )
    task = fakes.FakeTask(state_free=True)
    trainer = Trainer(config, task, tmp_path / 'a')
    gradients = []
    twin = Trainer(config, task, tmp_path / 'b')
    for number in range(3):
        twin.optimiser.zero_grad()
        batch = twin._data.make(number)
        task.loss(twin.network, batch, None)[0].backward()
        gradients.append(twin.network.head.weight.grad.clone())
    trainer.run()
    expected = torch.stack(gradients).mean(dim=0)
    torch.testing.assert_close(trainer.network.head.weight.grad, expected)


def test_backbone_statistics_can_be_frozen(tmp_path, fake_clips):
    class WithBackbone(fakes.FakeTask):
        def build_network(self):
            network = super().build_network()
            network.conv = ResNet(18, width=4, stages=1)
            network.head = torch.nn.Linear(4 * 6 * 8, 126)
            return network

    moved = {}
    for frozen in (True, False):
        config = fakes.make_config(steps=1, freeze_norm=frozen)
        trainer = Trainer(config, WithBackbone(), tmp_path / str(frozen))
        trainer.run()
        moved[frozen] = [
            bool(module.running_mean.abs().max() > 0)
            for module in (trainer.network.conv.bn1, trainer.network.bn)
        ]
    assert moved == {True: [False, True], False: [True, True]}


def test_all_statistics_of_a_checkpoint_can_be_frozen(tmp_path, fake_clips, monkeypatch):
    monkeypatch.setattr('hand_pose_ros.training.trainer.initialise', lambda network, *_: [network])
    config = fakes.make_config(steps=1, freeze_norm=True, initialise_from=tmp_path / 'mine')
    trainer = Trainer(config, fakes.FakeTask(), tmp_path / 'run')
    trainer.run()
    assert not trainer.network.bn.running_mean.any()


def test_named_parts_keep_their_weights_and_statistics(tmp_path, fake_clips):
    config = fakes.make_config(steps=2, freeze=('conv', 'bn'))
    trainer = Trainer(config, fakes.FakeTask(), tmp_path)
    before = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.run()
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, before[name]) == (not name.startswith('head.')), name


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (('backbon',), "'backbon', which the network has not: use conv, bn, dropout, head"),
        (('',), 'which the network has not'),
        (('conv', 'bn', 'head'), 'leaves nothing to learn'),
    ],
)
def test_parts_that_cannot_be_frozen_are_refused(tmp_path, fake_clips, names, message):
    with pytest.raises(TrainingError, match=message):
        Trainer(fakes.make_config(freeze=names), fakes.FakeTask(), tmp_path)


def test_a_run_is_not_overwritten(tmp_path, fake_clips):
    Trainer(fakes.make_config(steps=1), fakes.FakeTask(), tmp_path).run()
    with pytest.raises(TrainingError, match='give --resume'):
        Trainer(fakes.make_config(), fakes.FakeTask(), tmp_path)


def test_resuming_needs_the_same_configuration(tmp_path, fake_clips):
    Trainer(fakes.make_config(steps=2), fakes.FakeTask(), tmp_path).run()
    with pytest.raises(TrainingError, match='another seed'):
        Trainer(fakes.make_config(seed=1), fakes.FakeTask(), tmp_path, resume=True)
    trainer = Trainer(fakes.make_config(threads=2), fakes.FakeTask(), tmp_path, resume=True)
    assert trainer.step == 2


def test_resuming_nothing_is_refused(tmp_path, fake_clips):
    with pytest.raises(TrainingError, match='start without --resume'):
        Trainer(fakes.make_config(), fakes.FakeTask(), tmp_path, resume=True)


@pytest.mark.parametrize('damage', ['truncated', 'pickled', 'foreign'])
def test_damaged_states_are_refused_without_running_code(tmp_path, fake_clips, damage):
    path = tmp_path / STATE
    if damage == 'truncated':
        Trainer(fakes.make_config(steps=1), fakes.FakeTask(), tmp_path).run()
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == 'pickled':
        torch.save({'step': _Boom()}, path)
    else:
        torch.save([1, 2], path)
    with pytest.raises(TrainingError, match=r'state\.pt'):
        Trainer(fakes.make_config(), fakes.FakeTask(), tmp_path, resume=True)


class _Boom:
    def __reduce__(self):
        return (os.abort, ())


def test_processes_must_share_the_batch_evenly(tmp_path, fake_clips, monkeypatch):
    from hand_pose_ros.training.distributed import World

    monkeypatch.setattr(World, 'share_weights', lambda *_: None)
    with pytest.raises(TrainingError, match='3 processes cannot share'):
        Trainer(fakes.make_config(), fakes.FakeTask(), tmp_path, world=World(size=3, rank=1))
