"""Clips rendered into the cache, and on the fly."""

import dataclasses

import pytest
import torch

import hand_pose_ros.training.sources as sources
from hand_pose_ros.training.config import DataConfig, SourceConfig
from tests.training import fakes


class FakeSimulator:
    """Counts how often it renders."""

    rendered: list[int] = []  # noqa: RUF012

    def clips(self, numbers, streams, frames):
        self.rendered.extend(numbers)
        batches = [fakes.make_batch(1, frames=frames, seed=number) for number in numbers]
        return {streams[0]: fakes.join(batches)}

    def close(self):
        """Nothing is open."""


@pytest.fixture
def simulator(monkeypatch):
    FakeSimulator.rendered = []
    monkeypatch.setattr(sources, '_simulator', lambda *_: FakeSimulator())


def make(tmp_path, **values):
    source = SourceConfig(**values)
    data = DataConfig(
        train=(source,), validation=source, stream='thermal', frames=2, cache=tmp_path
    )
    return source, data


def test_clips_are_rendered_once(tmp_path, simulator):
    told = []
    for _ in range(2):
        source = sources.make_source(
            *make(tmp_path, clips=40, first=100), torch.device('cpu'),
            report=lambda *progress: told.append(progress),
        )  # fmt: skip
    assert FakeSimulator.rendered == list(range(100, 140))
    assert told == [(32, 40), (40, 40)]
    assert torch.equal(source.read([3]).joints, fakes.make_batch(1, seed=103).joints)


def test_another_simulation_has_another_folder(tmp_path, simulator):
    for values in ({'setting': 'office'}, {'seed': 1}, {'split': 'test'}, {'rectified': False}):
        sources.make_source(*make(tmp_path, clips=2, **values), torch.device('cpu'))
    assert len(list(tmp_path.iterdir())) == 4


def test_labels_of_pixels_that_nothing_reads_are_not_kept(tmp_path, simulator):
    source, data = make(tmp_path, clips=4)
    data = dataclasses.replace(data, labels=('hand_mask',))
    for kept in (source, dataclasses.replace(source, clips=0)):
        batch = sources.make_source(kept, data, torch.device('cpu')).read([1])
        assert batch.surface is None
        assert batch.hand_mask is not None


def test_clips_on_the_fly_are_numbered_too(tmp_path, simulator):
    source = sources.make_source(*make(tmp_path, first=50), torch.device('cpu'))
    assert source.count == 0
    assert torch.equal(source.read([7]).joints, fakes.make_batch(1, seed=57).joints)
    assert not list(tmp_path.iterdir())
