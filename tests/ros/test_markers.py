"""Markers for RViz."""

import numpy as np
from visualization_msgs.msg import Marker

from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.ros.markers import MeshMarkers, deletion, skeleton_markers
from hand_pose_ros.skeleton import BONES, SIDES
from tests.ros.fakes import make_hand

FACES = {side: load_hand_model(side).faces for side in SIDES}
VERTICES = load_hand_model('right').v_template


def corners(marker):
    return np.array([(p.x, p.y, p.z) for p in marker.points])


def test_mesh_is_a_valid_triangle_list():
    markers = MeshMarkers(FACES)
    marker = markers.marker(make_hand('right', vertices=VERTICES), 9, 'thermal', 0.1)
    assert (marker.type, marker.action) == (Marker.TRIANGLE_LIST, Marker.ADD)
    assert (marker.ns, marker.id) == ('right_hand', 0)
    assert marker.lifetime.nanosec == 100_000_000
    assert (marker.scale.x, marker.scale.y, marker.scale.z) == (1, 1, 1)
    assert marker.color.a == 1
    assert marker.pose.orientation.w == 1
    assert len(marker.colors) in (0, len(marker.points))
    np.testing.assert_array_equal(corners(marker), VERTICES[FACES['right'].ravel()])


def test_the_next_mesh_replaces_the_last():
    markers = MeshMarkers(FACES)
    markers.marker(make_hand('right', vertices=VERTICES), 0, 'x', 0.1)
    moved = VERTICES + np.array([0.1, 0.2, 0.3])
    marker = markers.marker(make_hand('right', vertices=moved), 0, 'x', 0.1)
    np.testing.assert_array_equal(corners(marker), moved[FACES['right'].ravel()])


def test_no_mesh_without_matching_vertices():
    markers = MeshMarkers(FACES)
    assert markers.marker(make_hand('right'), 0, 'x', 0.1) is None
    assert markers.marker(make_hand('right', vertices=VERTICES[:10]), 0, 'x', 0.1) is None
    assert MeshMarkers({}).marker(make_hand('right', vertices=VERTICES), 0, 'x', 0.1) is None


def test_skeleton_has_joints_and_bones():
    hand = make_hand('left')
    markers = skeleton_markers([hand], 4, 'thermal', 0.1).markers
    shown = {(m.ns, m.id): m for m in markers if m.action == Marker.ADD}
    assert set(shown) == {('left_hand', 0), ('left_hand', 1)}
    np.testing.assert_array_equal(corners(shown['left_hand', 0]), hand.joints)
    ends = corners(shown['left_hand', 1]).reshape(-1, 2, 3)
    np.testing.assert_array_equal(ends, hand.joints[list(map(list, BONES))])


def test_hands_that_are_gone_are_deleted():
    lost = HandPose(side='left', track_id=1, state='lost', score=0.0, joints=None)
    markers = skeleton_markers([lost], 4, 'thermal', 0.1).markers
    assert [m.action for m in markers] == 4 * [Marker.DELETE]
    assert {(m.ns, m.id) for m in markers} == {(f'{s}_hand', i) for s in SIDES for i in (0, 1)}


def test_deletion():
    marker = deletion('right', 0, 5, 'thermal')
    assert (marker.action, marker.ns, marker.id) == (Marker.DELETE, 'right_hand', 0)
