"""Network hands: covariances, cards, and the form the hand fit takes."""

from dataclasses import replace

import numpy as np
import pytest

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators.network_hands import (
    MappedPoints,
    NetworkHand,
    NetworkNoise,
    image_pixels,
    usable,
)
from hand_pose_ros.estimators.network_measurements import joint_measurements, pixel_measurements
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.frame import StreamImage

NOISE = NetworkNoise(across=0.01, along=0.03, shape=0.012)
CAMERA = Camera(
    width=320, height=256, intrinsics=np.array([[250.0, 0, 160], [0, 250, 128], [0, 0, 1]]),
    distortion=(-0.3, 0.1, 0.0, 0.0),
)  # fmt: skip
TURN = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
VIEW = View(
    name='thermal', stream=StreamImage(image=np.zeros((256, 320), np.uint8), stamp=0),
    camera=CAMERA, rotation=TURN, translation=np.array([0.1, 0.0, 0.0]), lag=0.01,
)  # fmt: skip


def hand(source='therformer', confidence=1.0, noise=NOISE, side=1) -> NetworkHand:
    joints = np.random.default_rng(side).normal((0.1, -0.05, 0.5), 0.03, (21, 3))
    return NetworkHand(
        source=source, stream='thermal', side=side, joints=joints,
        pixels=image_pixels(joints, VIEW), confidence=np.full(21, confidence), noise=noise,
        spread=np.zeros(21), focal=125.0,
    )  # fmt: skip


def test_the_covariance_is_longest_along_the_view():
    covariance = hand().covariance
    values, vectors = np.linalg.eigh(covariance[3])
    assert np.sqrt(values[-1]) == pytest.approx(np.hypot(0.03, 0.012), rel=1e-6)
    assert np.sqrt(values[0]) == pytest.approx(np.hypot(0.01, 0.012), rel=1e-6)
    ray = hand().joints.mean(axis=0)
    assert abs(vectors[:, -1] @ ray / np.linalg.norm(ray)) == pytest.approx(1.0)


def test_low_confidence_enlarges_sigmas_but_not_without_end():
    sure, unsure, none = (hand(confidence=c).covariance for c in (1.0, 0.25, 0.0))
    np.testing.assert_allclose(unsure, 4 * sure)
    np.testing.assert_allclose(none, 10 * sure)


def test_joints_of_a_hand_whose_maps_blur_stray_about_their_mean():
    for blur, factor in ((1.0, 1.0), (1.5, 1.5), (0.5, 0.7), (9.0, 3.0)):
        np.testing.assert_allclose(replace(hand(), blur=blur).shape_sigma, factor * 0.012)


def test_the_middle_of_a_hand_whose_maps_blur_strays_across_the_view_alone():
    ray = hand().joints.mean(axis=0)
    ray /= np.linalg.norm(ray)
    aside = np.cross(ray, [0.0, 1.0, 0.0])
    aside /= np.linalg.norm(aside)
    for blur, factor in ((1.0, 1.0), (1.5, 2.25), (0.5, 0.7), (9.0, 4.0)):
        covariance = replace(hand(), blur=blur).place_covariance
        assert np.sqrt(ray @ covariance @ ray) == pytest.approx(0.03)
        assert np.sqrt(aside @ covariance @ aside) == pytest.approx(factor * 0.01)


def test_noise_comes_from_the_card():
    read = NOISE.from_card({'noise': {'along': 0.05, 'unknown': 3}})
    assert (read.across, read.along) == (0.01, 0.05)
    assert NOISE.from_card({}) == NOISE
    for value in (0, -1, 'x', float('nan')):
        with pytest.raises(ModelError, match=r'noise\.shape'):
            NOISE.from_card({'noise': {'shape': value}})


def test_joints_in_front_of_the_camera_are_usable():
    joints = hand().joints
    assert usable(joints)
    for bad in (np.full((21, 3), np.nan), -joints, joints * 20, joints[:20]):
        assert not usable(bad)


def test_pixels_are_finite_wherever_the_joints_are():
    joints = hand().joints
    np.testing.assert_allclose(image_pixels(joints, VIEW), CAMERA.project(joints))
    assert np.isfinite(image_pixels(joints * (30, 30, 1), VIEW)).all()
    assert np.isfinite(image_pixels(joints * (1, 1, -1), VIEW)).all()


def test_joints_go_to_the_frame_of_the_results_and_back():
    seen = hand()
    there = seen.joints_in(VIEW)
    np.testing.assert_allclose(there @ TURN.T + VIEW.translation, seen.joints)


def test_measurements_hold_each_networks_word_in_its_row():
    views = {'thermal': VIEW}
    hands = [[hand()], [], [hand(side=0), hand('densereg', side=0)]]
    made = joint_measurements(hands, views)
    assert made.joints.shape == (2, 3, 21, 3)
    assert made.shape[0, 1].max() == 0 and made.shape[1, 0].max() == 0
    np.testing.assert_allclose(made.shape[0, 0, 4], np.eye(3) / 0.012)
    root = made.place[0, 0]
    np.testing.assert_allclose(np.linalg.inv(root.T @ root), hand().place_covariance, rtol=1e-6)
    np.testing.assert_array_equal(made.lag, [0.01, 0.01])


def test_a_network_that_knows_distances_counts_for_more_than_it_states():
    views = {'thermal': VIEW}
    known = replace(NOISE, along=0.004)
    assert hand(noise=known).knows_distance and not hand().knows_distance
    guessed = joint_measurements([[hand()]], views, near=True)
    far, near = (joint_measurements([[hand(noise=known)]], views, near) for near in (False, True))
    np.testing.assert_allclose(near.shape, guessed.shape)  # as sure as it states
    assert (guessed.trust, far.trust, near.trust) == ([1.0], [1.0], [5.0])


def test_networks_that_know_pixels_better_leave_the_place_across_the_view_to_them():
    noise = NetworkNoise(across=0.02, along=0.06, shape=0.01, pixel=3.0)
    seen = hand('wildhands', noise=noise)
    views = {'thermal': VIEW}
    pixels = pixel_measurements([[seen]], views)
    # 21 joints that err alike count as one.
    np.testing.assert_allclose(pixels.sigma[0, 0], np.sqrt(21) * 3.0 / 125.0)
    plane = seen.joints[:, :2] / seen.joints[:, 2:]
    np.testing.assert_allclose(pixels.points[0, 0], plane, atol=1e-6)
    root = joint_measurements([[seen]], views).place[0, 0]
    ray = seen.joints.mean(axis=0)
    ray /= np.linalg.norm(ray)
    assert np.linalg.norm(root @ ray) == pytest.approx(1 / 0.06)
    across = np.cross(ray, [0.0, 1.0, 0.0])
    assert np.linalg.norm(root @ across) < 1e-12
    assert pixel_measurements([[hand()]], views) is None


@pytest.mark.parametrize('deviation', [2.0, 9.0, 30.0])
def test_a_map_says_what_was_measured_and_not_where_joints_usually_are(deviation):
    prior = 18.0
    measured = np.random.default_rng(1).normal(0, 25.0, (21, 2))
    measured -= measured.mean(axis=0)
    # A network that looks at such measurements answers with these means and deviations.
    share = prior**2 / (prior**2 + deviation**2)
    mapped = MappedPoints(
        points=share * measured + 40.0, spread=np.full(21, 6.0 + np.sqrt(share) * deviation / 0.5),
        step=1.0,
    )  # fmt: skip
    line = NetworkNoise(across=0.02, along=0.06, shape=0.01, map_slope=0.5, map_rest=6.0)
    points, sigma = mapped.measured(replace(line, map_prior=prior))
    np.testing.assert_allclose(points, measured + 40.0)
    np.testing.assert_allclose(sigma, deviation)
    points, sigma = mapped.measured(line)
    np.testing.assert_array_equal(points, mapped.points)
    np.testing.assert_allclose(sigma, np.sqrt(share) * deviation)


def test_a_map_that_knows_nothing_is_no_measurement():
    """Its spread may be larger than that of joints nobody looked at."""
    noise = NetworkNoise(
        across=0.02, along=0.06, shape=0.01, map_slope=0.5, map_rest=6.0, map_prior=18.0
    )
    places = np.random.default_rng(2).normal(0, 5.0, (21, 2))
    mapped = MappedPoints(points=places, spread=np.full(21, 60.0), step=0.01)
    points, sigma = mapped.measured(noise)
    assert np.isfinite(points).all() and (sigma > 0.5).all()


def test_maps_of_joints_count_joint_by_joint_as_far_as_they_are_sure():
    noise = NetworkNoise(across=0.02, along=0.06, shape=0.01, pixel=3.0)
    line = replace(noise, map_slope=0.5, map_rest=6.0)
    places = np.random.default_rng(3).normal(0, 0.2, (21, 2))
    mapped = MappedPoints(points=places, spread=np.linspace(4.0, 44.0, 21), step=0.01)
    views = {'thermal': VIEW}
    seen = replace(hand('wildhands', noise=line), mapped=mapped)
    pixels = pixel_measurements([[], [seen]], views)
    np.testing.assert_array_equal(pixels.points[0, 1], places)
    # Never surer than two pixels of spread beyond the least.
    excess = [2.0, 2.0, 2.0, *np.linspace(4.0, 38.0, 18)]
    np.testing.assert_allclose(pixels.sigma[0, 1], 0.005 * np.array(excess))
    assert np.isinf(pixels.sigma[0, 0]).all()
    doubted = pixel_measurements([[replace(seen, confidence=np.full(21, 0.25))]], views)
    np.testing.assert_allclose(doubted.sigma[0, 0], 2 * pixels.sigma[0, 1])
    # Before it was measured how far they stray, they do not count.
    unknown = pixel_measurements([[replace(seen, noise=noise)]], views)
    np.testing.assert_allclose(unknown.sigma[0, 0], np.sqrt(21) * 3.0 / 125.0)


def test_nothing_seen_is_no_measurement():
    assert joint_measurements([[], []], {}) is None
    assert pixel_measurements([[]], {}) is None
