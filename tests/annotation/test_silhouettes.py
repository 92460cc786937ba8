"""Silhouettes: thinned masks keep their shape on a grid of a known step."""

import numpy as np
import pytest

from hand_pose_ros.annotation.silhouettes import MASK_PIXELS, Silhouettes, thinned


@pytest.mark.parametrize('size', (3, 19, 20, 21, 64))
def test_every_pixel_is_near_one_that_was_kept(size):
    pixels = np.argwhere(np.ones((size, size), bool)) + 5
    kept, step = thinned(pixels)
    assert 0 < len(kept) <= MASK_PIXELS
    distance = np.linalg.norm(pixels[:, None] - kept[None], axis=2).min(axis=1)
    inside = (pixels >= 5 + step / 2).all(axis=1) & (pixels < 5 + size - step / 2).all(axis=1)
    assert distance[inside].max(initial=0.0) <= step * 2**-0.5 + 1e-9


def test_small_masks_stay_whole():
    pixels = np.array([[3, 4], [3, 5], [8, 8]])
    kept, step = thinned(pixels)
    assert step == 1.0 and (kept == pixels).all()


def test_an_empty_mask_has_no_pixels():
    assert len(thinned(np.zeros((0, 2), np.int64))[0]) == 0


def test_views_are_chosen_together():
    silhouettes = Silhouettes.empty(3, 2)
    silhouettes.spacing[:] = np.arange(3)[:, None, None]
    some = silhouettes.seen_by([2, 0])
    assert some.pixels.shape[0] == 2 and some.spacing[:, 0, 0].tolist() == [2, 0]
