"""Helpers of the trainer's tests."""

import pytest

import hand_pose_ros.training.data as data
from tests.training import fakes


@pytest.fixture
def fake_clips(monkeypatch):
    """Every source gives random clips."""
    monkeypatch.setattr(data, 'make_source', lambda *_, **__: fakes.FakeClips())
