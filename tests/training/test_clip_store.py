"""Rendered clips on disk: what goes in comes out, and a kill loses little."""

import numpy as np
import pytest
import torch

from hand_pose_ros.errors import DataError
from hand_pose_ros.training.clip_store import DEPTH_UNIT, ClipStore
from tests.training import fakes

KEY = {'setting': 'office'}


@pytest.mark.parametrize('modality', ['thermal', 'rgb', 'depth'])
def test_clips_come_back_as_they_went_in(tmp_path, modality):
    batch = fakes.make_batch(4, modality=modality)
    ClipStore(tmp_path, KEY, 4).append(batch)
    store = ClipStore(tmp_path, KEY, 4)
    back = store.read([2, 0])
    rows = [4, 5, 0, 1]
    step = DEPTH_UNIT if modality == 'depth' else 1 / 255
    expected = batch.image[rows]
    if modality == 'thermal':
        assert back.image.shape[1] == 1
        expected = expected[:, :1]
    torch.testing.assert_close(back.image, expected, atol=0.51 * step, rtol=0)
    assert back.modality == modality
    assert back.frames == 2
    for name in ('joints', 'intrinsics', 'hand_mask', 'surface', 'grasp', 'visible'):
        assert torch.equal(getattr(back, name), getattr(batch, name)[rows]), name
    assert all(torch.equal(back.valid[name], batch.valid[name][rows]) for name in batch.valid)


def test_missing_hands_and_measurements_survive(tmp_path):
    batch = fakes.make_batch(1, modality='depth')
    batch.joints[0, 1] = torch.nan
    batch.image[0, 0, 3, 4] = torch.nan
    ClipStore(tmp_path, KEY, 1).append(batch)
    back = ClipStore(tmp_path, KEY, 1).read([0])
    assert torch.isnan(back.joints[0, 1]).all()
    assert not torch.isnan(back.joints[0, 0]).any()
    assert back.image[0, 0, 3, 4] == 0


def test_rendering_goes_on_after_a_kill(tmp_path):
    ClipStore(tmp_path, KEY, 4).append(fakes.make_batch(2, seed=1))
    store = ClipStore(tmp_path, KEY, 4)
    assert store.done == 2
    store.append(fakes.make_batch(2, seed=2))
    back = ClipStore(tmp_path, KEY, 4)
    assert back.done == 4
    assert torch.equal(back.read([1]).joints, fakes.make_batch(2, seed=1).joints[2:])
    assert torch.equal(back.read([3]).joints, fakes.make_batch(2, seed=2).joints[2:])


@pytest.mark.parametrize('damage', ['other', 'index', 'array', 'escape'])
def test_other_or_damaged_caches_are_refused(tmp_path, damage):
    ClipStore(tmp_path, KEY, 1).append(fakes.make_batch(1))
    key = KEY
    index = tmp_path / 'index.json'
    if damage == 'other':
        key = {'setting': 'kitchen'}
    elif damage == 'index':
        index.write_text(index.read_text()[:30])
    elif damage == 'array':
        np.save(tmp_path / 'image.npy', np.array([{}], dtype=object))
    else:
        index.write_text(index.read_text().replace('"image"', '"../image"'))
    with pytest.raises(DataError, match='remove'):
        ClipStore(tmp_path, key, 1)
