"""Time jumps: backwards and beyond the longest pause, never at the start."""

import pytest

from hand_pose_ros.estimators.time_jumps import is_jump


@pytest.mark.parametrize(
    ('earlier', 'stamp', 'jump'),
    [
        (None, 5, False),
        (7, 7, False),
        (0, 1_000_000_000, False),
        (0, 1_000_000_001, True),
        (1, 0, True),
    ],
)
def test_a_jump_is_backwards_or_beyond_the_longest_pause(earlier, stamp, jump):
    assert is_jump(earlier, stamp, 1.0) is jump
