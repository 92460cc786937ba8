"""The point cloud of the hands."""

import numpy as np
from sensor_msgs_py import point_cloud2

from hand_pose_ros.geometry.transforms import apply, rigid
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.ros.points import hand_points, points_message
from tests.ros.fakes import SIZE, make_camera, make_hand


def depth_frame(distance=0.4, T_rig_cam=None, **changes):
    image = np.full((SIZE[1], SIZE[0]), distance, np.float32)
    image[:, :3] = np.nan
    fields = {'image': image, 'stamp': 5, 'camera': make_camera()}
    fields['T_rig_cam'] = np.eye(4) if T_rig_cam is None else T_rig_cam
    depth = StreamImage(**{**fields, **changes})
    return RigFrame(streams={'depth': depth}, reference='depth', frame_id='depth_optical_frame')


def test_points_lie_on_the_hand():
    hands = [make_hand('left'), make_hand('right')]
    points = hand_points(hands, depth_frame())
    assert points.shape[1] == 4
    assert set(points[:, 3]) == {0.0, 1.0}
    for number, hand in enumerate(hands):
        own = points[points[:, 3] == number, :3]
        assert len(own) > 50
        np.testing.assert_allclose(own[:, 2], 0.4, atol=1e-6)
        nearest = np.linalg.norm(own[:, None] - hand.joints[None], axis=2).min(1)
        assert nearest.max() < 0.07
    assert np.isfinite(points).all()


def test_points_are_in_the_frame_of_the_results():
    T_rig_cam = rigid(np.eye(3), np.array([0.05, 0.0, 0.0]))
    moved = make_hand('right')
    moved.joints[:] = apply(T_rig_cam, moved.joints)
    points = hand_points([moved], depth_frame(T_rig_cam=T_rig_cam))
    still = hand_points([make_hand('right')], depth_frame())
    assert len(points) == len(still)
    np.testing.assert_allclose(points[:, 0], still[:, 0] + 0.05, atol=1e-6)


def test_every_point_belongs_to_one_hand():
    left, right = make_hand('left'), make_hand('right')
    left.joints[:] = right.joints + np.array([0.02, 0.0, 0.0])
    points = hand_points([left, right], depth_frame())[:, :3]
    assert 0 < len(points) == len(np.unique(points, axis=0))


def test_a_background_is_no_hand():
    assert len(hand_points([make_hand('right')], depth_frame(1.5))) == 0


def test_without_depth_or_calibration_the_cloud_is_empty():
    hand = make_hand('right')
    assert hand_points([hand], depth_frame(camera=None)).shape == (0, 4)
    grey = depth_frame(image=np.zeros((SIZE[1], SIZE[0]), np.uint8))
    assert hand_points([hand], grey).shape == (0, 4)
    assert hand_points([], depth_frame()).shape == (0, 4)


def test_hands_outside_the_image_or_behind_it_have_no_points():
    for shift in ((5.0, 0, 0), (0, 0, -1.0)):
        hand = make_hand('right')
        hand.joints[:] += shift
        assert len(hand_points([hand], depth_frame())) == 0


def test_message():
    points = hand_points([make_hand('right')], depth_frame())
    message = points_message(points, 7, 'thermal_optical_frame')
    assert message.header.frame_id == 'thermal_optical_frame'
    assert [field.name for field in message.fields] == ['x', 'y', 'z', 'side']
    read = point_cloud2.read_points_numpy(message)
    np.testing.assert_array_equal(read, points)
    assert points_message(np.empty((0, 4), np.float32), 7, 'x').width == 0
