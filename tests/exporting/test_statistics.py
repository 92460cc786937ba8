"""Statistics: those of episodes put together are those of all rows; pixels by their histogram."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.exporting.statistics import PixelStatistics, rows_statistics, together


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 99))
def test_episodes_together_are_all_rows(lengths, seed):
    rows = np.random.default_rng(seed).normal(5.0, 2.0, (sum(lengths), 3))
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    found, wanted = together([rows_statistics(part) for part in parts]), rows_statistics(rows)
    for name in ('min', 'max', 'mean', 'std', 'count'):
        np.testing.assert_allclose(found[name], wanted[name])
    low, high = np.array(found['min']), np.array(found['max'])
    assert (np.array(found['q01']) >= low).all()
    assert (np.array(found['q99']) <= high).all()
    if len(parts) == 1:
        np.testing.assert_allclose(found['q50'], wanted['q50'])


@given(st.integers(0, 99), st.integers(1, 3))
def test_pixels_are_counted_level_by_level(seed, count):
    images = np.random.default_rng(seed).integers(3, 200, (count, 40, 56, 3)).astype(np.uint8)
    statistics = PixelStatistics()
    for image in images:
        statistics.add(image)
    found = statistics.result()
    pixels = images[:, ::8, ::8].reshape(-1, 3) / 255.0
    wanted = rows_statistics(pixels)
    assert np.shape(found['mean']) == (3, 1, 1)
    assert found['count'] == [count]
    for name in ('min', 'max', 'mean', 'std'):
        np.testing.assert_allclose(np.ravel(found[name]), wanted[name], atol=1e-12)
    lower = np.quantile(pixels, 0.9, axis=0, method='inverted_cdf')
    np.testing.assert_allclose(np.ravel(found['q90']), lower)
