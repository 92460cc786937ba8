"""The search for the tightest set, against trying everything."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.rig.set_search import NONE, tightest, tightest_to_come

distances = st.one_of(st.just(NONE), st.integers(0, 60))
neighbours = st.tuples(distances, distances, st.just(NONE), st.just(NONE))


def brute_force(streams, limit):
    best = (len(streams) + 1, 0)
    for picks in itertools.product((None, 0, 1), repeat=len(streams)):
        chosen = [
            (pick, s[pick]) for pick, s in zip(picks, streams, strict=True) if pick is not None
        ]
        if any(distance == NONE for _, distance in chosen):
            continue
        before = max((d for pick, d in chosen if pick == 0), default=0)
        after = max((d for pick, d in chosen if pick == 1), default=0)
        if before + after <= limit:
            best = min(best, (picks.count(None), before + after))
    return best


@given(st.lists(neighbours, max_size=4), st.integers(0, 80))
def test_equals_trying_everything(streams, limit):
    assert tightest(streams, limit)[:2] == brute_force(streams, limit)


@given(st.lists(neighbours, max_size=4), st.integers(0, 80), distances)
def test_what_may_come_never_makes_it_worse(streams, limit, expected):
    hopeful = [(before, after, expected, absent) for before, after, _, absent in streams]
    assert tightest_to_come(hopeful, limit)[:2] <= tightest(hopeful, limit)[:2]


def test_an_absent_message_holds_its_place():
    # The stream's next message is 33 away, but there should have been one right here.
    assert tightest([(NONE, 33, NONE, 0), (2, 31, NONE, NONE)], 100) == (0, 2, 2)
