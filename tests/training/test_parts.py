"""Schedules, moving averages, feeds, seeds and the record of a run."""

import json
import threading

import pytest
import torch
from torch import nn

from hand_pose_ros.training.config import OptimiserConfig, ScheduleConfig
from hand_pose_ros.training.ema import MovingAverage
from hand_pose_ros.training.feed import Feed
from hand_pose_ros.training.journal import Journal, read_journal
from hand_pose_ros.training.optimiser import clip_gradients, make_optimiser
from hand_pose_ros.training.schedule import rate_factor
from hand_pose_ros.training.seeds import generator, seed_step


def test_schedules_of_the_papers():
    epochs = ScheduleConfig(name='exponential', factor=0.95, every=100)
    assert rate_factor(epochs, 0, 0.0) == 1.0
    assert rate_factor(epochs, 1500, 1.0) == pytest.approx(0.95**15)
    tens = ScheduleConfig(name='step', factor=0.1, every=10)
    assert [rate_factor(tens, step, 0.5) for step in (9, 10, 25)] == pytest.approx([1, 0.1, 0.01])
    assert rate_factor(ScheduleConfig(name='constant'), 5, 0.9) == 1.0


def test_one_cycle_rises_and_falls():
    config = ScheduleConfig(name='cosine', warm_up=0.2, final=0.05)
    values = [rate_factor(config, 0, progress / 100) for progress in range(101)]
    assert values[0] < 0.01
    assert values[20] == pytest.approx(1.0)
    assert values[:20] == sorted(values[:20])
    assert values[20:] == sorted(values[20:], reverse=True)
    assert values[100] == pytest.approx(0.05)
    assert rate_factor(config, 0, 1.7) == pytest.approx(0.05)


def test_the_average_forgets_the_start_and_follows():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = MovingAverage(network, 0.9)
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[1].running_mean.fill_(3.0)
    for _ in range(80):
        average.update()
    torch.testing.assert_close(average.network[0].weight, network[0].weight, atol=1e-3, rtol=0)
    assert torch.equal(average.network[1].running_mean, network[1].running_mean)
    assert not average.network[0].weight.requires_grad
    start = average.network[0].weight.clone()
    with torch.no_grad():
        network[0].weight.add_(1.0)
    average.update()
    torch.testing.assert_close(average.network[0].weight, start + 0.1)


def test_gradients_are_clipped_by_norm_and_by_value():
    layer = nn.Linear(4, 4)
    for values, check in (
        ({'clip_norm': 0.5}, lambda g: g.norm() <= 0.5001),
        ({'clip_value': 0.2}, lambda g: g.abs().max() <= 0.2),
    ):
        layer.weight.grad = torch.full((4, 4), 3.0)
        layer.bias.grad = torch.zeros(4)
        norm = clip_gradients(layer, OptimiserConfig(**values))
        assert check(layer.weight.grad)
        assert norm is None or float(norm) == pytest.approx(12.0)


def test_adamw_decays_matrices_only_and_adam_all():
    layer = nn.Linear(4, 4)
    groups = make_optimiser(layer, OptimiserConfig(name='adamw', weight_decay=0.1)).param_groups
    assert [(len(group['params']), group['weight_decay']) for group in groups] == [(1, 0.1), (1, 0)]
    groups = make_optimiser(layer, OptimiserConfig(name='adam', weight_decay=0.1)).param_groups
    assert [(len(group['params']), group['weight_decay']) for group in groups] == [(2, 0.1)]


@pytest.mark.parametrize('workers', [0, 1, 3])
def test_a_feed_gives_each_number_its_batch(workers):
    made = []

    def make(number):
        made.append(number)
        return number * 10

    feed = Feed(make, workers=workers, ahead=2)
    assert [feed.take(number) for number in range(6)] == [0, 10, 20, 30, 40, 50]
    assert feed.take(20) == 200
    feed.close()
    assert sorted(set(made)) == sorted(made)
    if workers == 0:
        assert made == [0, 1, 2, 3, 4, 5, 20]


@pytest.mark.parametrize('workers', [0, 2])
def test_a_feed_makes_nothing_beyond_its_end(workers):
    made = []
    feed = Feed(made.append, workers=workers, ahead=3, count=4)
    for number in range(4):
        feed.take(number)
    feed.close()
    assert sorted(made) == [0, 1, 2, 3]


def test_a_feed_works_ahead_and_raises_here():
    started = threading.Event()

    def make(number):
        if number == 1:
            started.set()
        if number == 2:
            raise ValueError('broken clip')
        return number

    feed = Feed(make, workers=1, ahead=2)
    feed.take(0)
    assert started.wait(5)
    assert feed.take(1) == 1
    with pytest.raises(ValueError, match='broken clip'):
        feed.take(2)
    feed.close()


def test_draws_depend_on_seed_and_numbers_alone():
    def draw(*numbers):
        return torch.rand(3, generator=generator(*numbers)).tolist()

    assert draw(1, 2, 3) == draw(1, 2, 3)
    assert len({tuple(draw(*n)) for n in [(1, 2, 3), (1, 3, 2), (2, 2, 3), (1, 2)]}) == 4
    seed_step(1, 5, 0)
    first = torch.rand(3)
    seed_step(1, 5, 1)
    assert not torch.equal(torch.rand(3), first)
    seed_step(1, 5, 0)
    assert torch.equal(torch.rand(3), first)


def test_a_resumed_record_forgets_what_was_lost(tmp_path):
    journal = Journal(tmp_path, step=0, tensorboard=False)
    for step in range(1, 6):
        journal.add('train', step, {'total': float(step), 'odd': float('nan')})
    journal.close()
    with (tmp_path / 'metrics.jsonl').open('a') as file:
        file.write('{"kind": "train", "st')
    Journal(tmp_path, step=3, tensorboard=False).close()
    entries = read_journal(tmp_path)
    assert [entry['step'] for entry in entries] == [1, 2, 3]
    assert entries[0]['odd'] is None
    for line in (tmp_path / 'metrics.jsonl').read_text().splitlines():
        json.loads(line)


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip('tensorboard')
    journal = Journal(tmp_path, step=0, tensorboard=True)
    journal.add('validation', 7, {'MEPE': 21.5})
    journal.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / 'tensorboard'))
    events.Reload()
    (entry,) = events.Scalars('validation/MEPE')
    assert (entry.step, entry.value) == (7, 21.5)
