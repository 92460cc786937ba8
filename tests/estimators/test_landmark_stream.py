"""Landmark stream: real thermal hands found, followed, told apart; nothing where nothing is."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.landmark_stream import LandmarkStream, LandmarkStreamConfig
from hand_pose_ros.estimators.networks import HandNetworks
from hand_pose_ros.estimators.regions import Region
from hand_pose_ros.rig.frame import StreamImage


class CountingNetworks:
    """The real networks, counting their runs."""

    def __init__(self, networks: HandNetworks) -> None:
        self._networks = networks
        self.palm_runs = 0
        self.crops = 0

    def palms(self, image):
        self.palm_runs += 1
        return self._networks.palms(image)

    def landmarks(self, crops):
        self.crops += len(crops)
        return self._networks.landmarks(crops)


def by_side(hands):
    """The left-most hand first."""
    return sorted(hands, key=lambda hand: hand.points[:, 0].mean())


def noise(stamp: int = 0) -> StreamImage:
    image = np.random.default_rng(1).integers(7000, 9000, (256, 320)).astype(np.uint16)
    return StreamImage(image=image, stamp=stamp)


def test_both_hands_are_followed_with_the_right_side(networks, thermal_frames):
    counting = CountingNetworks(networks)
    stream = LandmarkStream(counting, 'thermal')
    for frame in thermal_frames:
        left, right = by_side(stream.update(frame))
        assert left.right_probability < 0.5 < right.right_probability
        assert min(left.presence, right.presence) > 0.9
        assert left.points[:, 0].max() < 160 < right.points[:, 0].min()
    assert counting.palm_runs == 1


def test_each_frame_alone_agrees_with_following(networks, thermal_frames):
    following = LandmarkStream(networks, 'thermal')
    for frame in thermal_frames[:4]:
        followed = by_side(following.update(frame))
        alone = by_side(LandmarkStream(networks, 'thermal').update(frame))
        for one, other in zip(followed, alone, strict=True):
            assert np.median(np.linalg.norm(one.points - other.points, axis=1)) < 1.5


def test_sixteen_bit_counts_give_the_same_hands(networks, thermal_frames):
    frame = thermal_frames[0]
    counts = replace(frame, image=frame.image.astype(np.uint16) * 9 + 7000)
    for eight, sixteen in zip(
        by_side(LandmarkStream(networks, 'thermal').update(frame)),
        by_side(LandmarkStream(networks, 'thermal').update(counts)),
        strict=True,
    ):
        np.testing.assert_allclose(eight.points, sixteen.points, atol=1.0)


def test_black_hot_counts_with_their_flag_give_the_same_hands(networks, thermal_frames):
    frame = thermal_frames[0]
    black_hot = replace(frame, image=255 - frame.image, white_hot=False)
    hands = by_side(LandmarkStream(networks, 'thermal').update(black_hot))
    expected = by_side(LandmarkStream(networks, 'thermal').update(frame))
    for one, other in zip(hands, expected, strict=True):
        np.testing.assert_allclose(one.points, other.points, atol=1.0)
        assert one.right_probability == pytest.approx(other.right_probability, abs=0.1)


def test_a_mirrored_image_mirrors_points_and_swaps_sides(networks, thermal_frames):
    frame = thermal_frames[0]
    mirrored = replace(frame, image=np.ascontiguousarray(frame.image[:, ::-1]))
    left, right = by_side(LandmarkStream(networks, 'thermal').update(mirrored))
    assert left.right_probability < 0.5 < right.right_probability
    _, original = by_side(LandmarkStream(networks, 'thermal').update(frame))
    flipped = original.points * [-1, 1] + [319, 0]
    assert np.median(np.linalg.norm(left.points - flipped, axis=1)) < 2.0


def test_a_turned_image_turns_the_points_and_the_shape(networks, thermal_frames):
    frame = thermal_frames[0]
    turned = replace(frame, image=cv2.rotate(frame.image, cv2.ROTATE_90_CLOCKWISE))
    hands = LandmarkStream(networks, 'thermal').update(turned)
    _, right = by_side(LandmarkStream(networks, 'thermal').update(frame))
    expected = np.column_stack([255 - right.points[:, 1], right.points[:, 0]])
    errors = [np.median(np.linalg.norm(hand.points - expected, axis=1)) for hand in hands]
    best = hands[int(np.argmin(errors))]
    assert min(errors) < 3.0
    up = right.world[9] - right.world[0]
    turned_up = best.world[9] - best.world[0]
    np.testing.assert_allclose(turned_up[:2], [-up[1], up[0]], atol=0.02)


def test_noise_and_a_blank_image_hold_no_hand(networks):
    for search in ('quick', 'thorough'):
        config = LandmarkStreamConfig(search=search)
        assert LandmarkStream(networks, 'thermal', config).update(noise()) == []
        blank = StreamImage(image=np.zeros((240, 320, 3), np.uint8), stamp=0)
        assert LandmarkStream(networks, 'rgb', config).update(blank) == []


def one_hand(frame: StreamImage, index: int = 0) -> StreamImage:
    """The same image with its right half blank."""
    image = frame.image.copy()
    image[:, 160:] = np.median(image)
    return replace(frame, image=image, stamp=index * 33_333_334)


def test_the_search_for_a_second_hand_rests(networks, thermal_frames):
    counting = CountingNetworks(networks)
    config = LandmarkStreamConfig(palm_interval=0.1, search='quick')
    stream = LandmarkStream(counting, 'thermal', config)
    for index in range(9):
        assert len(stream.update(one_hand(thermal_frames[0], index))) == 1
    assert counting.palm_runs == 3


def test_without_any_hand_the_palm_detector_sees_every_image(networks):
    counting = CountingNetworks(networks)
    stream = LandmarkStream(counting, 'thermal', LandmarkStreamConfig(search='quick'))
    for index in range(4):
        assert stream.update(noise(index * 33_333_334)) == []
    assert counting.palm_runs == 4


def test_regions_without_a_hand_do_not_start_a_search_each_time(networks, thermal_frames):
    counting = CountingNetworks(networks)
    config = LandmarkStreamConfig(palm_interval=60.0, search='quick')
    stream = LandmarkStream(counting, 'thermal', config)
    (hand,) = stream.update(one_hand(thermal_frames[0]))
    empty = replace(hand.region, center=np.array([240.0, 60.0]))
    for index in range(1, 5):
        stream.update(one_hand(thermal_frames[0], index), regions=[hand.region, empty])
    assert counting.palm_runs == 1


def test_another_image_size_starts_over(networks, thermal_frames):
    counting = CountingNetworks(networks)
    stream = LandmarkStream(counting, 'thermal')
    stream.update(thermal_frames[0])
    half = cv2.resize(thermal_frames[1].image, (160, 128), interpolation=cv2.INTER_AREA)
    assert len(stream.update(replace(thermal_frames[1], image=half))) == 2
    assert counting.palm_runs == 2


def test_a_lost_hand_is_looked_for_at_once(networks, thermal_frames):
    counting = CountingNetworks(networks)
    stream = LandmarkStream(counting, 'thermal', LandmarkStreamConfig(palm_interval=60.0))
    stream.update(thermal_frames[0])
    shifted = np.roll(thermal_frames[1].image, (90, 0), (0, 1))
    stream.update(replace(thermal_frames[1], image=shifted))
    assert counting.palm_runs == 2


def test_warmth_shows_hands_that_the_palm_detector_misses(networks, thermal_frames):
    class BlindNetworks(CountingNetworks):
        def palms(self, image):
            return np.zeros((2016, 18), np.float32), np.full(2016, -20.0, np.float32)

    expected = by_side(LandmarkStream(networks, 'thermal').update(thermal_frames[0]))
    hands = by_side(LandmarkStream(BlindNetworks(networks), 'thermal').update(thermal_frames[0]))
    assert len(hands) == 2
    for one, other in zip(hands, expected, strict=True):
        assert np.median(np.linalg.norm(one.points - other.points, axis=1)) < 3.0
    nir = LandmarkStream(BlindNetworks(networks), 'nir')
    assert nir.update(thermal_frames[0]) == []


def test_given_regions_lead_without_the_palm_detector(networks, thermal_frames):
    regions = [
        hand.region for hand in LandmarkStream(networks, 'thermal').update(thermal_frames[0])
    ]
    counting = CountingNetworks(networks)
    stream = LandmarkStream(counting, 'thermal')
    broken = Region(center=np.array([np.nan, 0.0]), size=50.0, angle=0.0)
    assert len(stream.update(thermal_frames[1], regions=[broken, *regions])) == 2
    assert counting.palm_runs == 0


def test_two_regions_on_one_hand_are_one_hand(networks, thermal_frames):
    (best, *_) = LandmarkStream(networks, 'thermal').update(thermal_frames[0])
    near = replace(best.region, center=best.region.center + 2.0)
    hands = LandmarkStream(networks, 'thermal').update(
        thermal_frames[0], regions=[best.region, near]
    )
    centers = [hand.points.mean(axis=0) for hand in hands]
    assert len(hands) == 2
    assert np.linalg.norm(centers[0] - centers[1]) > 50


def test_a_single_hand_is_enough_when_one_is_asked_for(networks, thermal_frames):
    stream = LandmarkStream(networks, 'thermal')
    assert len(stream.update(thermal_frames[0], max_hands=1)) == 1


def test_a_backward_stamp_starts_over(networks, thermal_frames):
    counting = CountingNetworks(networks)
    stream = LandmarkStream(counting, 'thermal')
    stream.update(thermal_frames[5])
    assert len(stream.update(thermal_frames[0])) == 2
    assert counting.palm_runs == 2


def test_depth_or_a_wrong_type_is_refused(networks):
    depth = StreamImage(image=np.zeros((10, 10), np.float32), stamp=0)
    with pytest.raises(ImageError, match='depth'):
        LandmarkStream(networks, 'depth').update(depth)


def test_a_thorough_search_finds_the_small_hand_of_a_photo(networks, test_data):
    (path,) = (test_data / 'hands_rgb').glob('four_07a5a144*.jpg')
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    photo = StreamImage(image=image, stamp=0)
    quick = LandmarkStreamConfig(search='quick')
    assert LandmarkStream(networks, 'rgb', quick).update(photo) == []
    (hand,) = LandmarkStream(networks, 'rgb').update(photo)
    np.testing.assert_allclose(hand.points.mean(axis=0), [140, 465], atol=40)
