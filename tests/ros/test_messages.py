"""Hand poses as messages and back."""

import array
import math

import numpy as np
import pytest
from hand_pose_ros.msg import HandPose3D, HandPose3DArray
from rclpy.serialization import deserialize_message, serialize_message

from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.ros.messages import hand_message, hand_pose, hands_message, topology_message
from hand_pose_ros.skeleton import JOINT_NAMES, PARENTS, SIDES
from tests.ros.fakes import make_hand

FRAME = 'thermal_optical_frame'


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize('side', SIDES)
@pytest.mark.parametrize('state', ['tracked', 'predicted'])
def test_round_trip(side, state):
    vertices = np.random.default_rng(0).random((50, 3))
    hand = make_hand(side, 7, state, vertices=vertices)
    found = hand_pose(over_the_wire(hand_message(hand, 123, FRAME)))
    assert (found.side, found.track_id, found.state) == (side, 7, state)
    assert found.score == pytest.approx(0.9)
    assert found.sources == ('thermal', 'depth')
    np.testing.assert_array_equal(found.joints, hand.joints)
    np.testing.assert_array_equal(found.joints_raw, hand.joints_raw)
    for name in ('confidence', 'covariance', 'vertices'):
        np.testing.assert_allclose(getattr(found, name), getattr(hand, name), rtol=1e-6)
    for name in ('global_orient', 'hand_pose', 'betas', 'translation'):
        expected = getattr(hand.parameters, name)
        np.testing.assert_allclose(getattr(found.parameters, name), expected, rtol=1e-6)


def test_what_is_absent_is_marked_and_comes_back_as_none():
    hand = HandPose(side='left', track_id=3, state='lost', score=0.0, joints=None)
    message = over_the_wire(hand_message(hand, 0, FRAME))
    assert message.state == HandPose3D.LOST
    assert all(math.isnan(p.x) and math.isnan(p.y) and math.isnan(p.z) for p in message.joints)
    assert all(math.isnan(p.x) for p in message.joints_raw)
    assert np.isnan(message.covariance).all()
    assert math.isnan(message.wrist.position.x)
    q = message.wrist.orientation
    assert (q.x, q.y, q.z, q.w) == (0, 0, 0, 0)
    assert not message.has_parameters
    for name in ('global_orient', 'hand_pose', 'betas', 'translation', 'confidence'):
        assert not np.any(getattr(message, name))
    assert len(message.vertices) == 0
    assert list(message.sources) == []
    found = hand_pose(message)
    for name in ('joints', 'joints_raw', 'covariance', 'parameters', 'vertices'):
        assert getattr(found, name) is None


def test_wrist_pose():
    hand = make_hand('right')
    message = hand_message(hand, 0, FRAME)
    position, q = message.wrist.position, message.wrist.orientation
    assert (position.x, position.y, position.z) == tuple(hand.joints[0])
    assert np.linalg.norm([q.x, q.y, q.z, q.w]) == pytest.approx(1)


def test_array_message():
    hands = [hand_message(make_hand(side), 5_000_000_001, FRAME) for side in SIDES]
    message = over_the_wire(
        hands_message(
            hands,
            5_000_000_001,
            FRAME,
            streams=['thermal', 'rgb'],
            spread=12_000_000,
            estimator='fake',
            model_hash='ab' * 32,
            timings={'detect': 0.01, 'fit': 0.02},
        )
    )
    assert [hand.side for hand in message.hands] == [HandPose3D.LEFT, HandPose3D.RIGHT]
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (5, 1)
    assert message.synchronization_spread == pytest.approx(0.012)
    assert list(message.streams) == ['thermal', 'rgb']
    assert message.model_hash == 'ab' * 8
    assert list(message.stage_names) == ['detect', 'fit']
    assert list(message.stage_seconds) == pytest.approx([0.01, 0.02])


def test_an_array_without_hands():
    message = hands_message([], 1, FRAME, streams=['nir'], estimator='fake')
    assert over_the_wire(message) == message
    assert isinstance(message, HandPose3DArray)
    assert not message.hands
    assert message.model_hash == ''


def test_joint_constants_are_the_skeleton():
    for index, name in enumerate(JOINT_NAMES):
        assert getattr(HandPose3D, name.upper()) == index
    assert len(JOINT_NAMES) == HandPose3D.JOINT_COUNT


def test_topology():
    faces = {side: load_hand_model(side).faces for side in SIDES}
    count = len(load_hand_model('right').v_template)
    message = over_the_wire(topology_message(count, faces['left'], faces['right']))
    assert tuple(message.joint_names) == JOINT_NAMES
    assert tuple(message.joint_parents) == PARENTS
    assert message.vertex_count == count
    np.testing.assert_array_equal(np.reshape(message.right_triangles, (-1, 3)), faces['right'])
    np.testing.assert_array_equal(np.reshape(message.left_triangles, (-1, 3)), faces['left'])


def test_topology_without_a_mesh():
    message = topology_message()
    assert message.vertex_count == 0
    assert len(message.left_triangles) == len(message.right_triangles) == 0


def test_large_fields_are_arrays():
    """Lists and numpy arrays are taken value by value, which costs milliseconds."""
    message = hand_message(make_hand(vertices=np.ones((778, 3))), 0, FRAME)
    assert isinstance(message.vertices, array.array)
