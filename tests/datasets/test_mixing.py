"""Mixing: shares by weight, no clip twice in an epoch, resumable, split between processes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.datasets.mixing import Mixture
from hand_pose_ros.errors import DataError

mixtures = st.lists(st.tuples(st.integers(1, 40), st.floats(0.1, 5)), min_size=1, max_size=4)


def mixture(pairs, seed=0):
    return Mixture(
        counts=tuple(count for count, _ in pairs), weights=tuple(w for _, w in pairs), seed=seed
    )


@given(mixtures, st.integers(0, 1000), st.integers(1, 4), st.integers(1, 3))
def test_processes_together_see_what_one_would_see(pairs, step, share, world):
    every = mixture(pairs).draw(step, share * world)
    parts = [mixture(pairs).draw(step, share * world, rank=r, world=world) for r in range(world)]
    assert [draw for part in parts for draw in part] == every
    assert all(0 <= clip < pairs[source][0] for source, clip in every)


@given(mixtures, st.integers(0, 50))
def test_a_resumed_run_goes_on_where_it_was(pairs, first):
    one, other = mixture(pairs), mixture(pairs)
    whole = [one.draw(step, 6) for step in range(first + 3)]
    assert [other.draw(step, 6) for step in range(first, first + 3)] == whole[first:]


def test_weights_are_shares_and_seeds_differ():
    mixed = mixture([(1000, 3.0), (10, 1.0)])
    sources = [source for step in range(500) for source, _ in mixed.draw(step, 8)]
    assert np.mean(sources) == pytest.approx(0.25, abs=0.02)
    assert mixed.draw(0, 8) != mixture([(1000, 3.0), (10, 1.0)], seed=1).draw(0, 8)


def test_no_clip_comes_twice_in_an_epoch():
    mixed = mixture([(24, 1.0)])
    seen = [clip for step in range(4) for _, clip in mixed.draw(step, 6)]
    assert sorted(seen) == list(range(24))
    again = [clip for step in range(4, 8) for _, clip in mixed.draw(step, 6)]
    assert sorted(again) == list(range(24)) and again != seen


@pytest.mark.parametrize(
    ('counts', 'weights', 'message'),
    [((), (), 'have 0 weights'), ((3,), (1, 2), '1 data sets have 2 weights'),
     ((0,), (1,), 'cannot be mixed'), ((3,), (0,), 'cannot be mixed')],
)  # fmt: skip
def test_what_cannot_be_mixed_is_refused(counts, weights, message):
    with pytest.raises(DataError, match=message):
        Mixture(counts=counts, weights=weights)


def test_uneven_shares_are_refused():
    with pytest.raises(DataError, match='process 0 of 2 cannot take its share of 3'):
        mixture([(3, 1.0)]).draw(0, 3, world=2)
