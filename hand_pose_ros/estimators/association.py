"""Association: which landmarks in which stream belong to which track."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.regions import Region, iou, region_from_landmarks
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.estimators.tracking import Track
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, stack_states

Array = NDArray[np.float64]

_LEAST_INSIDE = 0.5  # share of the joints that must lie in the image
_SEEN = 0.5  # least presence of a hand whose place counts
# As parts of the region's side: how far landmarks may lie from where they are expected, and how
# near the landmarks of two tracks may lie to each other.
_FARTHEST, _SAME = 0.25, 0.10
_SAME_IOU = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where a tracked hand is expected in an image: pixels (21, 2) and the region around them."""

    points: Array
    region: Region


def expected_places(
    model: FittingModel,
    tracks: Sequence[Track],
    states: Sequence[HandState],
    views: dict[str, View],
    hands: Sequence[Sequence[NetworkHand]],
) -> list[dict[str, Place]]:
    """Return for each track where to look in each stream that has it in view.

    That is where a network that looked closer sees the hand, in this image or for sure in another,
    else where it is expected. Landmarks are as large as their region suggests: a track that strays
    from its hand would find them where it strays to.

    Args:
        model: the hand.
        tracks: of N hands.
        states: where these are expected.
        views: streams by name.
        hands: what networks see of each in this frame.
    """
    sides = np.array([track.side for track in tracks])
    landmarks = model.landmarks(stack_states(list(states)), sides)
    found: list[dict[str, Place]] = []
    for row, track in enumerate(tracks):
        places = {}
        for name, view in views.items():
            seen = _surest(hands[row], name, views)
            points, lag = landmarks[row], view.lag
            if seen is not None:
                points, lag = seen.joints_in(views[seen.stream]), lag - views[seen.stream].lag
            place = _place(points + lag * track.rate[3:6], view)
            if place is not None:
                places[name] = place
        found.append(places)
    return found


def keep_plausible(
    wanted: Sequence[tuple[int, str]],
    found: Sequence[HandLandmarks],
    places: Sequence[dict[str, Place]],
    presence: float,
) -> list[tuple[tuple[int, str], HandLandmarks]]:
    """Return the landmarks that are hands, near where they were expected, and nobody else's."""
    kept: list[tuple[tuple[int, str], HandLandmarks, float]] = []
    for (row, name), hand in zip(wanted, found, strict=True):
        place = places[row][name]
        away = _apart(hand.points, place.points) / place.region.size
        if hand.presence >= presence and away < _FARTHEST:
            kept.append(((row, name), hand, away))
    kept.sort(key=lambda item: item[2])
    chosen: list[tuple[tuple[int, str], HandLandmarks]] = []
    for key, hand, _ in kept:
        twins = (other for (_, name), other in chosen if name == key[1])
        if not any(_same(hand, twin) for twin in twins):
            chosen.append((key, hand))
    return chosen


def overlaps(region: Region, others: Sequence[Region], limit: float) -> bool:
    """Say whether a region overlaps one of some others by more than an IoU."""
    return any(iou(region, other) > limit for other in others)


def _surest(
    hands: Sequence[NetworkHand], stream: str, views: dict[str, View]
) -> NetworkHand | None:
    """Return the hand whose place in a stream's image is known best, of those looked at closer."""
    usable = [
        hand
        for hand in hands
        if not hand.finds
        and hand.presence > _SEEN
        and hand.stream in views
        and (hand.stream == stream or hand.knows_distance)
    ]
    return min(usable, key=lambda hand: hand.along, default=None)


def _place(points: Array, view: View) -> Place | None:
    pixels = view.project(points)
    if not np.isfinite(pixels).all():
        return None
    if view.camera.contains(pixels).mean() < _LEAST_INSIDE:
        return None
    return Place(points=pixels, region=region_from_landmarks(pixels))


def _same(first: HandLandmarks, second: HandLandmarks) -> bool:
    near = _apart(first.points, second.points) / max(first.region.size, second.region.size)
    return near < _SAME and iou(first.region, second.region) > _SAME_IOU


def _apart(first: Array, second: Array) -> float:
    return float(np.linalg.norm(first - second, axis=1).mean())
