"""Association: landmarks go to the track that expected them, and to no other."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hand_pose_ros.estimators.association import (
    Place,
    expected_places,
    keep_plausible,
    overlaps,
)
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.regions import region_from_landmarks
from hand_pose_ros.hand_model.kinematics import HandState
from tests.estimators.test_network_hands import NOISE, VIEW, hand

HAND = np.random.default_rng(0).uniform(-40, 40, (21, 2))
HAND[0], HAND[9] = (0, 60), (0, -20)


def points(x: float) -> np.ndarray:
    return HAND + np.array([160 + x, 120])


def place(x: float) -> Place:
    return Place(points=points(x), region=region_from_landmarks(points(x)))


def seen(x: float, presence: float = 0.9) -> HandLandmarks:
    return HandLandmarks(
        points=points(x), relative_depth=np.zeros(21), presence=presence, right_probability=0.5,
        region=region_from_landmarks(points(x)), world=np.zeros((21, 3)),
    )  # fmt: skip


def kept(found, places):
    wanted = [(row, 'rgb') for row in range(len(found))]
    chosen = keep_plausible(wanted, found, [{'rgb': item} for item in places], 0.5)
    return {row for (row, _), _ in chosen}


def test_landmarks_where_they_were_expected_are_kept():
    assert kept([seen(3), seen(97)], [place(0), place(100)]) == {0, 1}


def test_landmarks_that_are_no_hand_are_not():
    assert kept([seen(3, 0.4), seen(97)], [place(0), place(100)]) == {1}


def test_landmarks_that_jumped_to_another_hand_are_not():
    assert kept([seen(300), seen(100)], [place(0), place(100)]) == {1}


@pytest.mark.parametrize('order', [(0, 1), (1, 0)])
def test_two_tracks_that_see_one_hand_leave_it_to_the_nearer(order):
    places = [place(0), place(30)]
    found = [seen(27), seen(29)]
    assert kept([found[i] for i in order], [places[i] for i in order]) == {order.index(1)}


def test_the_same_place_in_two_streams_is_no_conflict():
    places = [{'rgb': place(0)}, {'nir': place(0)}]
    chosen = keep_plausible([(0, 'rgb'), (1, 'nir')], [seen(0), seen(0)], places, 0.5)
    assert len(chosen) == 2


def test_overlap_of_regions():
    region = region_from_landmarks(points(0))
    assert overlaps(region, [region_from_landmarks(points(5))], 0.5)
    assert not overlaps(region, [region_from_landmarks(points(500))], 0.0)
    assert not overlaps(region, [], 0.0)


OTHER = replace(VIEW, name='rgb', rotation=np.eye(3), translation=np.zeros(3), lag=0.0)


def expected_in(hands, rate=0.0):
    """Where a hand, half a metre away, is looked for in the thermal image; networks see hands."""
    points = np.random.default_rng(3).normal((0.0, 0.0, 0.5), 0.03, (21, 3))
    model = SimpleNamespace(landmarks=lambda states, sides: points[None])
    track = SimpleNamespace(side=1, rate=np.full(9, rate))
    state = HandState(
        rotation=np.eye(3)[None], wrist=np.zeros((1, 3)), angles=np.zeros((1, 20)),
        shape=np.zeros((1, 10)),
    )  # fmt: skip
    views = {'thermal': VIEW, 'rgb': OTHER}
    (places,) = expected_places(model, [track], [state], views, [hands])
    return places['thermal'], VIEW.project(points + VIEW.lag * rate)


def test_a_hand_is_looked_for_where_a_closer_look_at_the_image_sees_it():
    near = hand('wildhands')
    place, expected = expected_in([hand('therformer'), near], rate=1.0)
    np.testing.assert_allclose(place.points, near.pixels, atol=1e-9)
    assert place.region.size == pytest.approx(region_from_landmarks(near.pixels).size)
    assert np.linalg.norm(place.points - expected, axis=1).mean() > 20


def test_a_network_that_knows_places_says_so_for_all_images():
    sure = replace(hand('densereg', noise=replace(NOISE, along=0.004)), stream='rgb')
    place, _ = expected_in([hand('wildhands', noise=replace(NOISE, along=0.04)), sure], rate=1.0)
    np.testing.assert_allclose(place.points, VIEW.project(sure.joints + VIEW.lag), atol=1e-9)


@pytest.mark.parametrize(
    'changes',
    [
        {'finds': True},
        {'stream': 'rgb', 'noise': replace(NOISE, along=0.04)},
        {'stream': 'nir'},
        {'confidence': np.full(21, 0.4)},
    ],
)
def test_otherwise_it_is_looked_for_where_it_was_expected(changes):
    place, expected = expected_in([replace(hand('wildhands'), **changes)], rate=1.0)
    np.testing.assert_allclose(place.points, expected, atol=1e-9)
