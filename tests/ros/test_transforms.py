"""Transforms of cameras and hands."""

import numpy as np

from hand_pose_ros.geometry.transforms import apply, from_quaternion
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.ros.transforms import HandTransforms, camera_transform, matrix
from hand_pose_ros.skeleton import JOINT_NAMES
from tests.ros.fakes import make_hand


def test_every_joint_is_a_child_of_the_optical_frame():
    hands = [make_hand('left'), make_hand('right')]
    transforms = HandTransforms().messages(hands, 8, 'thermal_optical_frame')
    assert len(transforms) == 42
    assert {t.header.frame_id for t in transforms} == {'thermal_optical_frame'}
    names = [t.child_frame_id for t in transforms]
    assert len(set(names)) == 42
    assert names[:21] == [f'left_hand/{joint}' for joint in JOINT_NAMES]
    tip = next(t for t in transforms if t.child_frame_id == 'right_hand/index_tip')
    np.testing.assert_array_equal(matrix(tip.transform)[:3, 3], hands[1].joints[8])
    assert tip.header.stamp.nanosec == 8


def test_wrist_transform_is_the_wrist_pose():
    from hand_pose_ros.ros.messages import hand_message

    hand = make_hand('right')
    wrist = HandTransforms().messages([hand], 0, 'x')[0].transform
    pose = hand_message(hand, 0, 'x').wrist
    assert wrist.rotation == pose.orientation
    assert wrist.translation.x == pose.position.x


def test_no_transforms_without_joints():
    lost = HandPose(side='left', track_id=1, state='lost', score=0.0, joints=None)
    assert HandTransforms().messages([lost], 0, 'x') == []


def test_the_next_hands_replace_the_last():
    transforms = HandTransforms()
    transforms.messages([make_hand('left'), make_hand('right')], 1, 'a')
    hand = make_hand('left')
    hand.joints[:] += 0.25
    found = transforms.messages([hand], 2, 'b')
    assert len(found) == 21
    assert found[0].header.frame_id == 'b'
    np.testing.assert_array_equal(matrix(found[4].transform)[:3, 3], hand.joints[4])


def test_camera_transform_maps_camera_points_into_the_rig():
    rig = find_rig('simulated_head_rig')
    for camera in rig.cameras.values():
        message = camera_transform(camera, rig.rig_frame, 3)
        assert message.header.frame_id == 'head_rig'
        assert message.child_frame_id == f'{camera.name}_optical_frame'
        point = np.array([[0.1, -0.2, 0.5]])
        np.testing.assert_allclose(
            apply(matrix(message.transform), point), apply(camera.T_rig_cam, point), atol=1e-9
        )


def test_matrix_of_a_known_rotation():
    rig = find_rig('simulated_head_rig')
    transform = camera_transform(rig.cameras['rgb'], 'head_rig', 0).transform
    q, t = transform.rotation, transform.translation
    expected = from_quaternion(np.array([q.x, q.y, q.z, q.w]), np.array([t.x, t.y, t.z]))
    np.testing.assert_array_equal(matrix(transform), expected)
