"""Label masks: the labelled hands in every camera, where the renderer has them."""

from dataclasses import replace

import numpy as np

from hand_pose_ros.annotation.label_masks import LabelledMeshes, image_places, label_mask
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.sessions.labels import REJECTED

ROW = 12


def places(session, number=ROW):
    return {place.camera: place for place in image_places(session, number)}


def test_masks_of_the_truth_are_warm_near_and_where_the_hands_are(session, truth):
    frame = session.frame(ROW)
    meshes = LabelledMeshes(truth)
    for name, place in places(session).items():
        mask = label_mask(place, meshes.at(ROW, place.stamp))
        camera = session.rig.cameras[name].camera
        assert mask.shape == (camera.height, camera.width)
        assert set(np.unique(mask)) <= {0, 1, 2}
        image = frame.streams[name].image
        if name == 'thermal':
            assert np.median(image[mask > 0]) > np.percentile(image[mask == 0], 80)
        if name == 'depth':
            for side in range(2):
                seen = image[mask == side + 1]
                wrist = truth.joints[ROW, side] @ place.T_cam_world[:3, :3].T
                wrist += place.T_cam_world[:3, 3]
                near = np.abs(seen - np.median(wrist[:, 2])) < 0.1
                assert near[np.isfinite(seen)].mean() > 0.9
    assert {'thermal', 'exo_rgb', 'exo_depth'} <= set(places(session))


def test_joints_project_into_their_hands_mask_lens_included(session, truth):
    meshes = LabelledMeshes(truth)
    for name in ('thermal', 'rgb', 'exo_rgb'):
        place = places(session)[name]
        mask = label_mask(place, meshes.at(ROW, place.stamp))
        joints = truth.joints[ROW, 1] @ place.T_cam_world[:3, :3].T + place.T_cam_world[:3, 3]
        pixels = np.rint(place.intrinsics.project(joints)).astype(int)
        inside = np.all((pixels >= 0) & (pixels < mask.shape[::-1]), axis=1)
        hit = mask[pixels[inside, 1], pixels[inside, 0]] > 0
        assert inside.sum() > 15 and hit.mean() > 0.9, name


def test_the_nearer_hand_hides_the_farther_one(session, truth):
    place = places(session)['thermal']
    left = LabelledMeshes(truth).at(ROW, place.stamp)[0]
    # The same place on the image, half as far again: every triangle is hidden.
    right = LabelledMeshes(truth).at(ROW, place.stamp)[1]
    behind = right - right.mean(axis=0) + 1.5 * left.mean(axis=0)
    alone, farther = label_mask(place, [left, None]), label_mask(place, [None, behind])
    both = label_mask(place, [left, behind])
    assert (alone[farther == 2] == 1).any()
    np.testing.assert_array_equal(both, np.where(alone == 1, 1, farther))


def test_hands_are_moved_to_the_images_stamp(truth):
    meshes = LabelledMeshes(truth)
    first, second = meshes.at(4, int(truth.stamps[4]))[1], meshes.at(5, int(truth.stamps[5]))[1]
    middle = meshes.at(4, int((truth.stamps[4] + truth.stamps[5]) // 2))[1]
    np.testing.assert_allclose(middle, (first + second) / 2, atol=1e-6)
    far = meshes.at(4, int(truth.stamps[4]) + 10**9)[1]
    np.testing.assert_array_equal(far, first)


def test_absent_and_rejected_hands_are_not_drawn(session, truth):
    place = places(session)['thermal']
    rejected = truth.with_verdict(ROW, 0, REJECTED)
    meshes = LabelledMeshes(rejected).at(ROW, int(truth.stamps[ROW]))
    assert meshes[0] is None
    assert set(np.unique(label_mask(place, meshes))) == {0, 2}
    assert not label_mask(place, [None, None]).any()


def test_a_hand_behind_the_camera_leaves_the_mask_empty(session, truth):
    place = places(session)['thermal']
    mesh = LabelledMeshes(truth).at(ROW, place.stamp)[1]
    behind = mesh * [1, 1, -1]
    assert not label_mask(place, [None, behind]).any()


def test_an_exo_camera_is_where_its_body_was_at_the_images_stamp(session):
    place = places(session)['exo_depth']
    trajectory = session.trajectories['exo']
    T_rig_cam = trajectory.at(place.stamp) @ session.rig.cameras['exo_depth'].T_rig_cam
    wanted = inverse(T_rig_cam) @ session.rig.reference_camera.T_rig_cam
    np.testing.assert_allclose(place.T_cam_world, wanted, atol=1e-9)
    shorter = replace(
        trajectory, stamps=trajectory.stamps[:2], T_rig_body=trajectory.T_rig_body[:2]
    )
    session.trajectories['exo'] = shorter
    assert 'exo_depth' not in places(session, len(session.sets) - 1)
