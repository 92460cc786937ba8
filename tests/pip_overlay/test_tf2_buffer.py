"""tf2_ros.Buffer: lookups against matrices, times, and every error."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

pytest.importorskip('rclpy')
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_ros import (
    Buffer,
    ConnectivityException,
    ExtrapolationException,
    InvalidArgumentException,
    LookupException,
    TransformException,
)


def stamped(parent, child, seconds=0.0, translation=(0, 0, 0), rotation=(0, 0, 0, 1)):
    message = TransformStamped(child_frame_id=child)
    message.header.frame_id = parent
    message.header.stamp = Time(nanoseconds=round(seconds * 1e9)).to_msg()
    t, q = message.transform.translation, message.transform.rotation
    t.x, t.y, t.z = map(float, translation)
    q.x, q.y, q.z, q.w = map(float, rotation)
    return message


def matrix(message):
    t, q = message.transform.translation, message.transform.rotation
    result = np.eye(4)
    result[:3, :3] = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    result[:3, 3] = t.x, t.y, t.z
    return result


poses = st.tuples(
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.tuples(*[st.floats(-3, 3)] * 3).map(lambda r: tuple(Rotation.from_rotvec(r).as_quat())),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(poses, min_size=4, max_size=4))
def test_lookup_composes_like_matrices_in_both_directions(drawn):
    # world -> a -> b   and   world -> c -> d
    pairs = [('world', 'a'), ('a', 'b'), ('world', 'c'), ('c', 'd')]
    messages = [stamped(p, c, 1.0, *pose) for (p, c), pose in zip(pairs, drawn, strict=True)]
    buffer = Buffer()
    for message in messages:
        buffer.set_transform(message, 'test')
    a, b, c, d = map(matrix, messages)
    expected = np.linalg.inv(c @ d) @ a @ b
    found = buffer.lookup_transform('d', 'b', Time(seconds=1))
    assert (found.header.frame_id, found.child_frame_id) == ('d', 'b')
    np.testing.assert_allclose(matrix(found), expected, atol=1e-9)
    back = buffer.lookup_transform('b', 'd', Time())
    np.testing.assert_allclose(matrix(back), np.linalg.inv(expected), atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(poses, poses, st.floats(0, 1))
def test_interpolation_is_linear_and_slerp(first, second, ratio):
    buffer = Buffer()
    start, end = stamped('a', 'b', 1, *first), stamped('a', 'b', 2, *second)
    buffer.set_transform(end, 'test')
    buffer.set_transform(start, 'test')  # out of order
    nanoseconds = 10**9 + round(ratio * 10**9)
    found = matrix(buffer.lookup_transform('a', 'b', Time(nanoseconds=nanoseconds)))
    mixed = (1 - ratio) * np.array(first[0]) + ratio * np.array(second[0])
    np.testing.assert_allclose(found[:3, 3], mixed, atol=1e-6)
    angle = (Rotation.from_quat(first[1]).inv() * Rotation.from_quat(second[1])).magnitude()
    if angle < np.pi - 1e-3:  # half a turn has two shortest ways
        rotations = Rotation.from_quat([first[1], second[1]])
        expected = Slerp([0, 1], rotations)(ratio).as_matrix()
        np.testing.assert_allclose(found[:3, :3], expected, atol=1e-6)


def test_time_zero_is_the_newest_common_time():
    buffer = Buffer()
    for seconds in (1, 2, 3):
        buffer.set_transform(stamped('world', 'a', seconds, (seconds, 0, 0)), 'test')
    for seconds in (1, 2):
        buffer.set_transform(stamped('a', 'b', seconds, (0, seconds, 0)), 'test')
    buffer.set_transform_static(stamped('b', 'c', 0, (0, 0, 5)), 'test')
    found = buffer.lookup_transform('world', 'c', Time())
    assert found.header.stamp.sec == 2
    np.testing.assert_allclose(matrix(found)[:3, 3], (2, 2, 5))
    # frames above the common ancestor do not limit the time
    assert buffer.lookup_transform('a', 'b', Time()).header.stamp.sec == 2
    assert buffer.lookup_transform('world', 'a', Time()).header.stamp.sec == 3
    assert buffer.lookup_transform('b', 'c', Time()).header.stamp.sec == 0
    assert buffer.lookup_transform('a', 'a', Time()).header.stamp.sec == 3


def test_static_transforms_hold_at_any_time():
    buffer = Buffer()
    buffer.set_transform_static(stamped('rig', 'camera', 5, (0.05, 0, 0)), 'test')
    for seconds in (0, 1, 10**6):
        assert buffer.lookup_transform('rig', 'camera', Time(seconds=seconds)).transform


@pytest.mark.parametrize(('seconds', 'words'), [(0.5, 'into the past'), (3.5, 'into the future')])
def test_times_outside_of_the_data_are_refused(seconds, words):
    buffer = Buffer()
    for stamp in (1, 2, 3):
        buffer.set_transform(stamped('a', 'b', stamp), 'test')
    with pytest.raises(ExtrapolationException, match=words) as error:
        buffer.lookup_transform('a', 'b', Time(nanoseconds=round(seconds * 1e9)))
    assert 'frame [b] to frame [a]' in str(error.value)


def test_a_single_sample_holds_at_its_own_time_only():
    buffer = Buffer()
    buffer.set_transform(stamped('a', 'b', 1), 'test')
    assert buffer.can_transform('a', 'b', Time(seconds=1))
    with pytest.raises(ExtrapolationException, match='only time 1.000000'):
        buffer.lookup_transform('a', 'b', Time(seconds=2))


def test_old_samples_are_forgotten_and_refused():
    buffer = Buffer(cache_time=Duration(seconds=2))
    for stamp in (1, 2, 3, 4):
        buffer.set_transform(stamped('a', 'b', stamp), 'test')
    buffer.set_transform(stamped('a', 'b', 1.5), 'test')
    assert not buffer.can_transform('a', 'b', Time(nanoseconds=1_700_000_000))
    assert buffer.can_transform('a', 'b', Time(seconds=2))


def test_unknown_frames_and_separate_trees():
    buffer = Buffer()
    buffer.set_transform(stamped('a', 'b', 1), 'test')
    buffer.set_transform(stamped('x', 'y', 1), 'test')
    with pytest.raises(LookupException, match='"nowhere".*target_frame'):
        buffer.lookup_transform('nowhere', 'b', Time())
    with pytest.raises(LookupException, match='"nowhere".*source_frame'):
        buffer.lookup_transform('a', 'nowhere', Time())
    for stamp in (Time(), Time(seconds=1)):
        with pytest.raises(ConnectivityException, match="'b' and 'y'"):
            buffer.lookup_transform('b', 'y', stamp)
    for name in ('', '/a'):
        with pytest.raises(InvalidArgumentException):
            buffer.lookup_transform(name, 'b', Time())
    with pytest.raises(TransformException):
        buffer.lookup_transform('nowhere', 'b', Time())


def test_a_loop_of_frames_ends():
    buffer = Buffer()
    buffer.set_transform(stamped('a', 'b', 1), 'test')
    buffer.set_transform(stamped('b', 'a', 1), 'test')
    buffer.set_transform(stamped('c', 'd', 1), 'test')
    with pytest.raises(TransformException):
        buffer.lookup_transform('a', 'c', Time(seconds=1))


@pytest.mark.parametrize(
    'message',
    [
        stamped('a', 'a', 1),
        stamped('', 'b', 1),
        stamped('a', '', 1),
        stamped('a', 'b', 1, (float('nan'), 0, 0)),
        stamped('a', 'b', 1, (0, 0, 0), (0, 0, 0, 0)),
        stamped('a', 'b', 1, (0, 0, 0), (0, 0, 0, 1.1)),
    ],
)
def test_senseless_transforms_are_dropped(message):
    buffer = Buffer()
    buffer.set_transform(message, 'test')
    buffer.set_transform_static(message, 'test')
    assert not buffer.can_transform('a', 'b', Time())


def test_a_change_of_the_parent_is_not_interpolated():
    buffer = Buffer()
    buffer.set_transform(stamped('a', 'b', 1, (1, 0, 0)), 'test')
    buffer.set_transform(stamped('c', 'b', 2, (2, 0, 0)), 'test')
    assert buffer.can_transform('a', 'b', Time(nanoseconds=1_900_000_000))
    assert buffer.can_transform('c', 'b', Time(seconds=2))


def test_can_transform_gives_the_reason():
    buffer = Buffer()
    possible, reason = buffer.can_transform('a', 'b', Time(), return_debug_tuple=True)
    assert possible is False
    assert 'does not exist' in reason
    buffer.set_transform(stamped('a', 'b', 1), 'test')
    assert buffer.can_transform('a', 'b', Time(), return_debug_tuple=True) == (True, '')


def test_lookup_waits_for_a_transform_that_is_on_its_way():
    buffer = Buffer()
    timer = threading.Timer(0.1, buffer.set_transform, (stamped('a', 'b', 1), 'test'))
    timer.start()
    assert buffer.lookup_transform('a', 'b', Time(), timeout=Duration(seconds=10)).child_frame_id
    start = time.monotonic()
    assert not buffer.can_transform('a', 'z', Time(), Duration(seconds=0.1))
    assert 0.1 <= time.monotonic() - start < 5


def test_lookup_through_a_fixed_frame_at_two_times():
    buffer = Buffer()
    for seconds in (1, 2):
        buffer.set_transform(stamped('world', 'robot', seconds, (seconds, 0, 0)), 'test')
    found = buffer.lookup_transform_full(
        'robot', Time(seconds=2), 'robot', Time(seconds=1), 'world'
    )
    np.testing.assert_allclose(matrix(found)[:3, 3], (-1, 0, 0))
    full = ('robot', Time(seconds=3), 'robot', Time(seconds=1), 'world')
    assert not buffer.can_transform_full(*full)
    with pytest.raises(ExtrapolationException):
        buffer.lookup_transform_full(*full)


def test_clear_forgets_everything():
    buffer = Buffer()
    buffer.set_transform(stamped('a', 'b', 1), 'test')
    buffer.clear()
    with pytest.raises(LookupException):
        buffer.lookup_transform('a', 'b', Time())
