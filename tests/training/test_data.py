"""Batches of a run: which clips, whose share, and several sources in one batch."""

import dataclasses
import itertools

import pytest
import torch

import hand_pose_ros.training.data as data
from hand_pose_ros.errors import TrainingError
from hand_pose_ros.training.config import DataConfig, SourceConfig
from hand_pose_ros.training.distributed import World
from tests.training import fakes


class Numbered:
    """Clips that show their own number."""

    def __init__(self, count, first=0, **changes):
        self.count = count
        self._first, self._changes = first, changes

    def read(self, clips):
        batch = fakes.join([fakes.make_batch(1) for _ in clips])
        numbers = torch.tensor(clips).repeat_interleave(2) + self._first
        batch.image[:] = numbers[:, None, None, None].float()
        return dataclasses.replace(batch, **self._changes)


class Task(fakes.FakeTask):
    def augment(self, batch, draws):
        return batch


@pytest.fixture
def make(monkeypatch):
    def make(*sources, weights=(1.0, 1.0), batch=4, world=None, task=None):
        sources = (*sources, Numbered(3))
        given = itertools.cycle(sources)
        monkeypatch.setattr(data, 'make_source', lambda *_, **__: next(given))
        configs = tuple(
            SourceConfig(clips=1, weight=weight)
            for weight, _ in zip(weights, sources[:-1], strict=False)
        )
        config = DataConfig(
            train=configs, validation=configs[0], stream='thermal', batch=batch, frames=2,
            workers=0, validation_batch=2,
        )  # fmt: skip
        monkeypatch.setattr(World, 'wait', lambda _: None)
        return data.TrainingData(config, task or Task(), seed=3, world=world or World())

    return make


def clips(batch):
    return [int(number) for number in batch.image[::2, 0, 0, 0]]


def test_every_clip_comes_once_per_round_in_a_new_order(make):
    own = make(Numbered(10))
    seen = [clip for step in range(15) for clip in clips(own.make(step))]
    for start in range(0, 60, 10):
        assert sorted(seen[start : start + 10]) == list(range(10))
    assert seen[:10] != seen[10:20]


def test_endless_sources_never_repeat(make):
    own = make(Numbered(0))
    assert [clip for step in range(5) for clip in clips(own.make(step))] == list(range(20))


def test_sources_are_mixed_by_weight(make):
    own = make(Numbered(50), Numbered(50, first=100), weights=(3.0, 1.0))
    seen = [clip for step in range(200) for clip in clips(own.make(step))]
    assert sum(clip >= 100 for clip in seen) / len(seen) == pytest.approx(0.25, abs=0.05)
    assert any(0 < sum(c >= 100 for c in clips(own.make(s))) < 4 for s in range(5))


def test_processes_share_what_one_would_see(make):
    sources = (Numbered(50), Numbered(0, first=1000))
    alone = make(*sources, task=fakes.FakeTask())
    together = [
        make(*sources, task=fakes.FakeTask(), world=World(rank=rank, size=2)) for rank in range(2)
    ]
    for step in range(4):
        whole = sorted(alone.make(step).image[:, 0, 0, 0].tolist())
        parts = [own.make(step).image[:, 0, 0, 0].tolist() for own in together]
        assert [len(part) for part in parts] == [4, 4]
        assert sorted(parts[0] + parts[1]) == whole


def test_validation_walks_through_all_clips_in_order(make):
    assert [clips(batch) for batch in make(Numbered(10)).validation()] == [[0, 1], [2]]


def test_an_endless_validation_is_refused(monkeypatch):
    monkeypatch.setattr(data, 'make_source', lambda *_, **__: Numbered(0))
    source = SourceConfig()
    config = DataConfig(train=(source,), validation=source, stream='thermal')
    with pytest.raises(TrainingError, match='endless'):
        data.TrainingData(config, Task(), seed=0, world=World())


def test_sources_with_and_without_masks_go_together():
    one, other = fakes.make_batch(1), fakes.make_batch(2, seed=1)
    other = dataclasses.replace(other, hand_mask=None, surface=None, image=other.image[:, :1])
    both = data.joined_batches([one, other])
    assert both.image.shape == (6, 3, 24, 32)
    assert both.surface is None
    assert torch.equal(both.hand_mask[:2], one.hand_mask)
    assert not both.hand_mask[2:].any()
    assert both.valid['mask'].tolist() == [[True, True]] * 2 + [[False, False]] * 4
    assert torch.equal(both.joints[2:], other.joints)


def test_images_of_different_size_do_not_go_together():
    batches = [fakes.make_batch(1), fakes.make_batch(1, size=(24, 40))]
    with pytest.raises(TrainingError, match=r'set data\.image_size'):
        data.joined_batches(batches)
