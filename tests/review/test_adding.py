"""The first pose of a hand that no label has."""

import numpy as np
import pytest

from hand_pose_ros.annotation.label_masks import ImagePlace
from hand_pose_ros.annotation.poses import hand_model
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS
from hand_pose_ros.review.adding import PALM, first_pose
from hand_pose_ros.sessions.labels import FITTED, REJECTED, SessionLabels
from hand_pose_ros.skeleton import SIDES

PIXEL = np.array([100.0, 40.0])


@pytest.fixture
def place():
    """A camera beside the labels' frame, turned a little, with a distorting lens."""
    T_world_cam = np.eye(4)
    T_world_cam[:3, 3] = [0.1, 0.02, -0.03]
    cosine, sine = np.cos(0.2), np.sin(0.2)
    T_world_cam[:3, :3] = [[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]]
    camera = Camera(
        width=160, height=120, distortion=np.array([-0.2, 0.05, 0, 0, 0]),
        intrinsics=np.array([[120.0, 0, 80], [0, 120.0, 60], [0, 0, 1]]),
    )  # fmt: skip
    return ImagePlace(
        camera='rgb', intrinsics=camera, stamp=0, header_stamp=0,
        T_cam_world=inverse(T_world_cam),
    )  # fmt: skip


@pytest.fixture
def labels():
    return SessionLabels.empty(np.arange(6) * 10**8, np.arange(6), 'thermal_optical_frame')


def enter(labels, row, side, translation):
    """A hand that differs from row to row."""
    generator = np.random.default_rng(row)
    labels.global_orient[row, side] = generator.normal(0, 0.5, 3)
    labels.hand_pose[row, side] = generator.normal(0, 0.1, (15, 3))
    labels.betas[row, side] = generator.normal(0, 0.5, 10)
    labels.translation[row, side] = translation
    labels.joints[row, side] = joints(side, labels.parameters(row, side))
    labels.origin[row, side] = FITTED


def joints(side, hand):
    return hand_model(SIDES[side]).joints(
        *(getattr(hand, name)[None] for name in MODEL_PARAMETERS)
    )[0]


def palm(side, hand, place):
    """The palm's middle in the camera, metres."""
    seen = joints(side, hand)[PALM].mean(axis=0)
    return place.T_cam_world[:3, :3] @ seen + place.T_cam_world[:3, 3]


def test_it_begins_as_in_the_nearest_frame_that_has_the_hand(labels, place):
    enter(labels, 0, 1, [0.0, 0.1, 0.6])
    enter(labels, 4, 1, [0.1, 0.0, 0.5])
    enter(labels, 2, 0, [0.0, 0.0, 0.4])
    hand = first_pose(labels, 3, 1, place, PIXEL)
    for name in ('global_orient', 'hand_pose', 'betas'):
        np.testing.assert_array_equal(getattr(hand, name), getattr(labels, name)[4, 1])
    middle = palm(1, hand, place)
    np.testing.assert_allclose(place.intrinsics.project(middle[None])[0], PIXEL, atol=1e-3)
    before = np.linalg.norm(palm(1, labels.parameters(4, 1), place))
    assert np.linalg.norm(middle) == pytest.approx(before)


def test_a_rejected_hand_is_not_begun_from(labels, place):
    enter(labels, 0, 1, [0.0, 0.1, 0.6])
    enter(labels, 2, 1, [0.0, 0.1, 0.6])
    labels.verdict[2, 1] = REJECTED
    hand = first_pose(labels, 3, 1, place, PIXEL)
    np.testing.assert_array_equal(hand.hand_pose, labels.hand_pose[0, 1])


@pytest.mark.parametrize('side', [0, 1])
def test_else_as_the_mirror_image_of_the_other_hand(labels, place, side):
    enter(labels, 3, 1 - side, [0.05, 0.0, 0.5])
    hand = first_pose(labels, 3, side, place, PIXEL)
    middle = palm(side, hand, place)
    np.testing.assert_allclose(place.intrinsics.project(middle[None])[0], PIXEL, atol=1e-3)
    # Joint by joint a mirror image, wherever it was moved to.
    found, other = joints(side, hand), labels.joints[3, 1 - side] * [-1.0, 1.0, 1.0]
    np.testing.assert_allclose(found - found[0], other - other[0], atol=1e-9)


@pytest.mark.parametrize('side', [0, 1])
def test_else_relaxed_with_its_back_to_the_camera(labels, place, side):
    hand = first_pose(labels, 3, side, place, PIXEL)
    middle = palm(side, hand, place)
    np.testing.assert_allclose(place.intrinsics.project(middle[None])[0], PIXEL, atol=1e-3)
    assert np.linalg.norm(middle) == pytest.approx(0.45)
    seen = joints(side, hand) @ place.T_cam_world[:3, :3].T
    # Fingers up, and the thumb where it is on the back of this hand: right of a left one.
    assert seen[12, 1] < seen[0, 1] - 0.1
    assert (seen[4, 0] > seen[20, 0]) == (side == 0)


def test_a_depth_image_says_how_far_away(labels, place):
    depth = np.full((120, 160), np.nan, np.float32)
    depth[38:43, 98:103] = 0.7
    middle = palm(0, first_pose(labels, 3, 0, place, PIXEL, depth), place)
    assert middle[2] == pytest.approx(0.71, abs=0.01)
    nothing = np.full((120, 160), np.nan, np.float32)
    middle = palm(0, first_pose(labels, 3, 0, place, PIXEL, nothing), place)
    assert np.linalg.norm(middle) == pytest.approx(0.45)
