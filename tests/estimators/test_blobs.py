"""Blobs: hands by warmth or depth, on real images and on made-up scenes."""

import cv2
import numpy as np
import pytest

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.blobs import depth_blobs, thermal_blobs
from hand_pose_ros.estimators.landmark_stream import LandmarkStream
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.frame import StreamImage


def hand_mask(center, radius, height=240, width=320) -> np.ndarray:
    mask = np.zeros((height, width), np.uint8)
    center = np.array(center)
    cv2.circle(mask, center.tolist(), radius, 1, -1)
    for degrees in (-50, -20, 0, 20, 60):
        angle = np.radians(degrees)
        tip = center + 2.5 * radius * np.array([np.sin(angle), -np.cos(angle)])
        cv2.line(mask, center.tolist(), tip.astype(int).tolist(), 1, max(2, radius // 2))
    return mask


def thermal_scene(hands, white_hot=True) -> StreamImage:
    rng = np.random.default_rng(0)
    counts = rng.normal(7300, 12, (240, 320))
    counts[150:, 60:260] += 60
    for center, radius in hands:
        counts[hand_mask(center, radius) > 0] = 7600
    counts = counts if white_hot else 15000 - counts
    return StreamImage(image=counts.astype(np.uint16), stamp=0, white_hot=white_hot)


def depth_scene(hands, background=0.9) -> StreamImage:
    depth = np.full((480, 640), background, np.float32)
    for center, metres in hands:
        radius = round(0.042 * 470 / metres)
        depth[hand_mask(center, radius, 480, 640) > 0] = metres
    K = np.array([[470.0, 0, 320], [0, 470.0, 240], [0, 0, 1]])
    camera = Camera(width=640, height=480, intrinsics=K, distortion=np.zeros(0))
    return StreamImage(image=depth, stamp=0, camera=camera)


@pytest.mark.parametrize('white_hot', [True, False])
def test_two_warm_hands_are_found_with_their_sides(white_hot):
    blobs = thermal_blobs(thermal_scene([((90, 110), 18), ((220, 100), 18)], white_hot))
    assert {blob.side for blob in blobs} == {'left', 'right'}
    for blob in blobs:
        expected = (90, 110) if blob.side == 'left' else (220, 100)
        np.testing.assert_allclose(blob.center, expected, atol=5)
        assert blob.radius == pytest.approx(18, abs=4)
        assert 0 < blob.score <= 0.5
        assert blob.depth is None


def test_a_cold_room_holds_no_warm_hand():
    rng = np.random.default_rng(0)
    counts = rng.normal(7300, 12, (240, 320)).astype(np.uint16)
    assert thermal_blobs(StreamImage(image=counts, stamp=0)) == []


def test_a_near_hand_is_found_with_its_depth():
    (blob,) = depth_blobs(depth_scene([((300, 240), 0.5)]))
    np.testing.assert_allclose(blob.center, (300, 240), atol=10)
    assert blob.depth == pytest.approx(0.5, abs=0.005)


def test_two_near_hands_at_different_depths_are_found():
    blobs = depth_blobs(depth_scene([((180, 240), 0.45), ((460, 260), 0.6)]))
    assert sorted(round(blob.depth, 2) for blob in blobs) == [0.45, 0.6]
    assert [blob.side for blob in sorted(blobs, key=lambda b: b.center[0])] == ['left', 'right']


def test_a_wall_a_far_hand_and_no_depth_give_nothing():
    assert depth_blobs(depth_scene([])) == []
    assert depth_blobs(depth_scene([((300, 240), 1.5)], background=3.0)) == []
    nothing = StreamImage(image=np.full((480, 640), np.nan, np.float32), stamp=0)
    assert depth_blobs(nothing) == []
    infinite = StreamImage(image=np.full((480, 640), np.inf, np.float32), stamp=0)
    assert depth_blobs(infinite) == []


def test_wrong_images_are_refused():
    with pytest.raises(ImageError, match='depth'):
        depth_blobs(StreamImage(image=np.zeros((10, 10), np.uint16), stamp=0))
    with pytest.raises(ImageError, match='thermal'):
        thermal_blobs(StreamImage(image=np.zeros((10, 10), np.float32), stamp=0))


def test_warm_blobs_lie_on_both_hands_of_all_real_frames(networks, thermal_frames):
    stream = LandmarkStream(networks, 'thermal')
    for frame in thermal_frames:
        blobs = thermal_blobs(frame)
        for hand in stream.update(frame):
            palm = hand.points[[0, 5, 9, 13, 17]].mean(axis=0)
            assert min(np.linalg.norm(blob.center - palm) for blob in blobs) < 20


def test_the_best_blob_is_the_hand_on_all_real_depth_frames(test_data):
    # Palm centres read off the images by eye.
    palms = {
        '30': (286, 320), '50': (299, 287), '70': (304, 251), '90': (317, 238),
        '110': (286, 245), '130': (250, 217), '150': (300, 237), '170': (276, 245),
    }  # fmt: skip
    for path in (test_data / 'depth_hands').glob('*/*.png'):
        raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        metres = np.where(raw > 0, raw * 0.125e-3, np.nan).astype(np.float32)
        blob = depth_blobs(StreamImage(image=metres, stamp=0))[0]
        assert np.linalg.norm(blob.center - palms[path.stem]) < 50, path.name
        assert 0.45 < blob.depth < 0.7
