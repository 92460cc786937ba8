"""Hand shapes: the palm is found at the far end of an arm, wherever the arm comes from."""

import cv2
import numpy as np
import pytest

from hand_pose_ros.estimators.hand_shapes import entries, hands_in

RADII = (5.0, 20.0)


def arm(start, palm, radius=10) -> np.ndarray:
    """A thin forearm from the border, a round palm and three fingers beyond it."""
    mask = np.zeros((120, 160), np.uint8)
    start, palm = np.array(start, float), np.array(palm, float)
    forward = (palm - start) / np.linalg.norm(palm - start)
    sideways = np.array([-forward[1], forward[0]])
    cv2.line(mask, start.astype(int).tolist(), palm.astype(int).tolist(), 1, 9)
    cv2.circle(mask, palm.astype(int).tolist(), radius, 1, -1)
    for spread in (-0.6, 0.0, 0.6):
        tip = palm + radius * (2.4 * forward + spread * sideways)
        cv2.line(mask, palm.astype(int).tolist(), tip.astype(int).tolist(), 1, 4)
    return mask


@pytest.mark.parametrize(
    ('start', 'palm'), [((80, 119), (70, 55)), ((0, 60), (80, 50)), ((159, 90), (100, 40))]
)
def test_the_palm_of_an_arm_is_found_and_its_forearm_left_out(start, palm):
    (hand,) = hands_in(arm(start, palm), RADII, None)
    np.testing.assert_allclose(hand.center, palm, atol=2.5)
    assert hand.radius == pytest.approx(10, abs=2)
    assert hand.entry is not None
    np.testing.assert_allclose(hand.entry, start, atol=3)
    rows, columns = np.nonzero(hand.mask)
    towards = (hand.entry - hand.center) / np.linalg.norm(hand.entry - hand.center)
    depth_into_arm = (np.column_stack([columns, rows]) - hand.center) @ towards
    assert depth_into_arm.max() < 1.4 * hand.radius
    assert -depth_into_arm.min() > 2.0 * hand.radius


def test_a_hand_without_an_arm_is_found_whole():
    mask = arm((80, 119), (80, 60))
    mask[75:] = 0
    (hand,) = hands_in(mask, RADII, None)
    assert hand.entry is None
    np.testing.assert_allclose(hand.center, (80, 60), atol=2.5)
    x0, y0, x1, y1 = hand.box
    assert y0 < 50 < 65 < y1
    assert x0 < 75 < 85 < x1


def test_two_arms_whose_hands_touch_are_two_hands():
    mask = arm((10, 119), (60, 60)) | arm((150, 119), (100, 60))
    cv2.line(mask, (60, 60), (100, 60), 1, 5)
    centers = sorted(hand.center[0] for hand in hands_in(mask, RADII, 45.0))
    np.testing.assert_allclose(centers, [60, 100], atol=8)


def test_specks_and_a_whole_body_are_no_hands():
    specks = np.zeros((120, 160), np.uint8)
    specks[::10, ::10] = 1
    assert hands_in(specks, RADII, None) == []
    assert hands_in(np.ones((120, 160), np.uint8), RADII, None) == []
    assert hands_in(np.zeros((120, 160), np.uint8), RADII, None) == []


def test_entries_are_found_once_each_also_in_a_corner():
    mask = np.zeros((40, 60), np.uint8)
    mask[:5, :6] = 1
    mask[10:20, 59] = 1
    mask[39, 30] = 1
    found = sorted(entries(mask), key=lambda point: point[0])
    assert len(found) == 2
    assert found[0][0] < 4
    np.testing.assert_allclose(found[1], [59, 14.5])
