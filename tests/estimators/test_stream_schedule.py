"""Tests of the schedule of 2D streams."""

from hand_pose_ros.estimators.stream_schedule import StreamSchedule

STREAMS = ('rgb', 'nir', 'thermal')


def test_best_stream_every_time_and_others_in_turn() -> None:
    schedule = StreamSchedule(STREAMS, 2)
    chosen = [schedule.choose(STREAMS)[0] for _ in range(4)]
    assert chosen == [['rgb', 'nir'], ['rgb', 'thermal'], ['rgb', 'nir'], ['rgb', 'thermal']]


def test_one_stream_a_frame_takes_turns_among_all() -> None:
    schedule = StreamSchedule(STREAMS, 1)
    chosen = [schedule.choose(STREAMS)[0] for _ in range(3)]
    assert chosen == [['rgb'], ['nir'], ['thermal']]


def test_missing_streams_are_left_out() -> None:
    schedule = StreamSchedule(STREAMS, 2)
    assert schedule.choose(['thermal']) == (['thermal'], [])
    assert schedule.choose([]) == ([], [])


def test_fewer_streams_when_frames_take_too_long_and_more_when_there_is_time() -> None:
    schedule = StreamSchedule(STREAMS, 3, budget=0.03)
    schedule.spent(0.05)
    schedule.spent(0.05)
    assert len(schedule.choose(STREAMS)[0]) == 1
    for _ in range(20):
        schedule.spent(0.016)
    assert len(schedule.choose(STREAMS)[0]) == 1, 'a second stream would take too long'
    for _ in range(8):
        schedule.spent(0.010)
    assert len(schedule.choose(STREAMS)[0]) == 2


def test_without_a_budget_time_does_not_matter() -> None:
    schedule = StreamSchedule(STREAMS, 2)
    schedule.spent(10.0)
    assert len(schedule.choose(STREAMS)[0]) == 2
