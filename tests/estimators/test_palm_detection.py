"""Palm detection: anchors, decoding and weighted suppression against a plain second version."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_pose_ros.estimators.palm_detection import (
    anchors,
    box_iou,
    decode,
    palms_in_image,
    weighted_nms,
)
from hand_pose_ros.estimators.regions import Region

BOXES = st.lists(
    st.tuples(*[st.floats(0, 1)] * 2, *[st.floats(0.05, 0.5)] * 2, st.floats(0.5, 1)),
    min_size=0,
    max_size=25,
)


def silent_output() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((2016, 18), np.float32), np.full(2016, -20.0, np.float32)


def plain_iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (area - width * height)


def plain_nms(values, scores, limit):
    left = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    merged = []
    while left:
        best = left[0]
        group = [i for i in left if i == best or plain_iou(values[best], values[i]) > limit]
        weight = sum(scores[i] for i in group)
        merged.append(sum(scores[i] * values[i] for i in group) / weight)
        left = [i for i in left if i not in group]
    return merged


def test_anchors_lie_at_cell_centres_two_then_six_a_cell():
    centers = anchors()
    assert centers.shape == (2016, 2)
    np.testing.assert_allclose(centers[:3], [[0.5 / 24] * 2, [0.5 / 24] * 2, [1.5 / 24, 0.5 / 24]])
    np.testing.assert_allclose(centers[48], [0.5 / 24, 1.5 / 24])
    np.testing.assert_allclose(centers[1152:1158], [[0.5 / 12] * 2] * 6)
    np.testing.assert_allclose(centers[-1], [11.5 / 12] * 2)


def test_decode_adds_offsets_in_input_pixels_to_the_anchor():
    offsets, logits = silent_output()
    logits[100] = 3.0
    offsets[100, :4] = 19.2, -19.2, 38.4, 57.6
    offsets[100, 4:6] = 1.92, 3.84
    values, scores = decode(offsets, logits, 0.5)
    center = anchors()[100]
    assert scores == pytest.approx([1 / (1 + np.exp(-3.0))])
    moved = values[0, :6] - np.tile(center, 3)
    np.testing.assert_allclose(moved, [0.0, -0.25, 0.2, 0.05, 0.01, 0.02], atol=1e-6)


def test_decode_survives_extreme_logits_and_drops_weak_ones():
    offsets, logits = silent_output()
    logits[:3] = 1e30, -1e30, -0.01
    values, scores = decode(offsets, logits, 0.5)
    assert len(values) == 1
    assert scores[0] == pytest.approx(1.0)


@given(BOXES)
def test_weighted_nms_equals_the_plain_version(boxes):
    values = np.array([(x, y, x + w, y + h, x * y) for x, y, w, h, _ in boxes]).reshape(-1, 5)
    scores = np.array([box[-1] for box in boxes])
    merged, best = weighted_nms(values, scores, 0.3)
    expected = plain_nms(values, scores, 0.3)
    assert len(merged) == len(best) == len(expected)
    for ours, theirs in zip(merged, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)
    assert (np.diff(best) <= 0).all()


@given(BOXES)
def test_box_iou_equals_the_plain_version(boxes):
    values = np.array([(x, y, x + w, y + h) for x, y, w, h, _ in boxes]).reshape(-1, 4)
    for box in values:
        expected = [plain_iou(box, other) for other in values]
        np.testing.assert_allclose(box_iou(box, values), expected, atol=1e-9)


def test_palms_come_back_in_the_pixels_of_a_wide_image():
    offsets, logits = silent_output()
    logits[1152 + 6 * (5 * 12 + 3)] = 5.0
    offsets[:, 2:4] = 19.2
    window = Region(center=np.array([320.0, 256.0]), size=640.0, angle=0.0)
    (palm,) = palms_in_image(offsets, logits, window)
    expected = anchors()[1152 + 6 * (5 * 12 + 3)] * 640 - [0, 64]
    np.testing.assert_allclose((palm.box[:2] + palm.box[2:]) / 2, expected, atol=1e-4)
    np.testing.assert_allclose(palm.box[2:] - palm.box[:2], [64, 64], atol=1e-4)
    np.testing.assert_allclose(palm.keypoints[0], expected, atol=1e-4)


def test_no_palm_gives_an_empty_list():
    window = Region(center=np.array([50.0, 50.0]), size=100.0, angle=0.0)
    assert palms_in_image(*silent_output(), window) == []
