"""Windows: overlapping for training, each frame once for evaluation, padding at the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.datasets.windows import make_windows

lengths = st.lists(st.integers(1, 25), min_size=1, max_size=4)


def segments_of(counts):
    starts = [sum(counts[:place]) for place in range(len(counts))]
    return [range(a, a + n) for a, n in zip(starts, counts, strict=True)]


@given(lengths, st.integers(1, 8), st.integers(1, 3))
def test_evaluation_reads_each_frame_once(counts, length, spacing):
    windows = make_windows(segments_of(counts), length, spacing=spacing)
    real = [
        frame
        for window in windows
        for frame, padding in zip(window.frames, window.padding, strict=True)
        if not padding
    ]
    assert sorted(real) == list(range(sum(counts)))


@given(lengths, st.integers(1, 8), st.integers(1, 3))
def test_training_starts_at_every_frame(counts, length, spacing):
    windows = make_windows(segments_of(counts), length, spacing=spacing, overlapping=True)
    assert [window.frames[0] for window in windows] == list(range(sum(counts)))
    assert not any(window.padding[0] for window in windows)


@given(lengths, st.integers(1, 8), st.integers(1, 3), st.booleans())
def test_windows_stay_in_their_recording(counts, length, spacing, overlapping):
    segments = segments_of(counts)
    for window in make_windows(segments, length, spacing=spacing, overlapping=overlapping):
        assert len(window.frames) == len(window.padding) == length
        [home] = [part for part in segments if window.frames[0] in part]
        assert all(frame in home for frame in window.frames)
        steps = zip(window.frames, window.frames[1:], window.padding[1:], strict=False)
        assert all(b - a == (0 if padding else spacing) for a, b, padding in steps)


def test_a_short_recording_repeats_its_last_frame():
    [window] = make_windows([range(10, 13)], 5)
    assert window.frames == (10, 11, 12, 12, 12)
    assert window.padding == (False, False, False, True, True)


def test_empty_windows_are_refused():
    with pytest.raises(ValueError, match='must be at least 1'):
        make_windows([range(3)], 0)
