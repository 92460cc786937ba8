"""Blob fallback: keeps the place of hands that no network recognises, by warmth or depth alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blobs import Blob, depth_blobs, thermal_blobs
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES

Array = NDArray[np.float64]

_PALM_RADIUS = 0.04  # metres
_BEHIND = 0.012  # metres from the palm's surface to its middle
_SAME_PLACE = 0.12  # metres
# Searches in which a blob must be seen before it is reported, where a network could have seen it.
_PERSISTENCE = 3
_NEAR = 2.0  # palm radii from where a hand was lost
_SIZES = (0.75, 1.33)  # of its palm then
_REMEMBERED = 3.0  # seconds
# Standard deviations in metres: across the view, and along it with and without depth.
_ACROSS, _ALONG_DEPTH, _ALONG = 0.05, 0.05, 0.15
# A hand before a head rig, as a right model hand's axes in the camera: fingers (-x) up and away,
# back (+y) towards the camera.
_FINGERS, _BACK = np.array([0.0, -0.6, 0.8]), np.array([0.0, -0.8, -0.6])
_HIGHEST_SCORE = 0.3


@dataclass
class Place:
    """Where a blob is followed."""

    number: int
    side: int
    center: Array = field(default_factory=lambda: np.zeros(3))
    along: float = 0.0
    stream: str = ''
    score: float = 0.0
    stamp: int = -1
    sightings: int = 0
    shown: bool = False


class BlobFallback:
    """Reports hand-like blobs where no hand is tracked, with low scores and large sigmas."""

    def __init__(
        self, model: FittingModel, config: LandmarksConfig, number: Callable[[], int]
    ) -> None:
        """Prepare.

        Args:
            model: the hand, which is reported relaxed.
            config: options.
            number: gives a new identity.
        """
        self._model, self._config, self._number = model, config, number
        self.reset()

    def reset(self) -> None:
        """Forget all blobs."""
        self._places: list[Place] = []
        self._gone: list[tuple[Array, int]] = []
        self._stamp: int | None = None

    def remember(self, palm: Array, stamp: int) -> None:
        """Note where a hand was lost: only there does warmth alone speak for a hand."""
        self._gone.append((palm, stamp))

    def take_number(self, palm: Array) -> int | None:
        """Return the identity of a reported blob at a palm (3,), which is now a known hand."""
        for place in self._places:
            if place.shown and float(np.linalg.norm(place.center - palm)) < _SAME_PLACE:
                self._places.remove(place)
                return place.number
        return None

    def update(
        self, stamp: int, views: list[View], palms: list[Array], sides: set[int], alone: bool
    ) -> list[tuple[Place, HandState, HandPose]]:
        """Return the blobs that are probably hands.

        Args:
            stamp: of the frame.
            views: the thermal and depth streams there are.
            palms: (3,) of the hands that are tracked.
            sides: their sides.
            alone: whether there is no image that a network could see hands in.
        """
        room = self._config.max_hands - len(palms)
        taken = sides if self._config.tracking.one_per_side else set()
        self._gone = [gone for gone in self._gone if (stamp - gone[1]) * 1e-9 < _REMEMBERED]
        self._places = [
            place
            for place in self._places
            if place.side not in taken and _free(place.center, palms)
        ]
        if room > 0 and self._is_due(stamp):
            self._stamp = stamp
            self._search(stamp, views, palms, taken)
        limit = self._config.tracking.prediction + self._config.palm_interval
        self._places = [place for place in self._places if (stamp - place.stamp) * 1e-9 <= limit]
        for place in self._places:
            place.shown = place.shown or alone or place.sightings >= _PERSISTENCE
        shown = [place for place in self._places if place.shown][: max(room, 0)]
        return [(place, *self._pose(place)) for place in shown]

    def _is_due(self, stamp: int) -> bool:
        return self._stamp is None or stamp - self._stamp >= self._config.palm_interval * 1e9

    def _search(self, stamp: int, views: list[View], palms: list[Array], taken: set[int]) -> None:
        for view, blob in self._found(views):
            center = _center(view, blob)
            if not _free(center, palms):
                continue
            place = next((p for p in self._places if not _free(center, [p.center])), None)
            if place is None:
                side = self._side(view, blob, taken)
                if side is None:
                    continue
                place = Place(number=self._number(), side=side)
                self._places.append(place)
            if place.stamp != stamp:
                place.sightings += 1
            place.center, place.stamp, place.stream = center, stamp, view.name
            place.along = _ALONG if blob.depth is None else _ALONG_DEPTH
            place.score = blob.score

    def _found(self, views: list[View]) -> Iterator[tuple[View, Blob]]:
        """Yield blobs of depth images, and warm ones where a hand was lost."""
        for view in views:
            if view.stream.image.dtype.kind == 'f':
                for blob in depth_blobs(view.stream, self._config.max_hands):
                    yield view, blob
            else:
                for blob in thermal_blobs(view.stream, self._config.max_hands):
                    if any(_fits(view, blob, palm) for palm, _ in self._gone):
                        yield view, blob

    def _side(self, view: View, blob: Blob, taken: set[int]) -> int | None:
        wanted = int(blob.center[0] > view.camera.intrinsics[0, 2])
        if blob.side is not None:
            wanted = SIDES.index(blob.side)
        if self._config.tracking.one_per_side:
            used = taken | {place.side for place in self._places}
            if wanted in used:
                wanted = 1 - wanted
            if wanted in used:
                return None
        return wanted

    def _pose(self, place: Place) -> tuple[HandState, HandPose]:
        relaxed = self._model.state(1)
        axes = np.column_stack([-_FINGERS, _BACK, np.cross(-_FINGERS, _BACK)])
        if not place.side:
            axes = axes * np.array([-1.0, 1.0, -1.0])
        sides = np.array([place.side])
        turned = HandState(
            rotation=axes[None], wrist=relaxed.wrist, angles=relaxed.angles, shape=relaxed.shape
        )
        joints = self._model.landmarks(turned, sides)[0]
        palm = palm_middle(joints)
        state = HandState(
            rotation=turned.rotation,
            wrist=(place.center - palm)[None],
            angles=turned.angles,
            shape=turned.shape,
        )
        ray = place.center / np.linalg.norm(place.center)
        covariance = _ACROSS**2 * np.eye(3) + (place.along**2 - _ACROSS**2) * np.outer(ray, ray)
        score = min(_HIGHEST_SCORE, place.score)
        pose = HandPose(
            side=SIDES[place.side],
            track_id=place.number,
            state='tracked',
            score=score,
            joints=np.zeros((JOINT_COUNT, 3)),
            confidence=np.full(JOINT_COUNT, 0.3 * score),
            covariance=np.tile(covariance, (JOINT_COUNT, 1, 1)),
            sources=(place.stream,),
        )
        return state, pose


def palm_middle(joints: Array) -> Array:
    """Return the middle (3,) of the palm of joints (21, 3)."""
    return (joints[0] + joints[[5, 9, 13, 17]].mean(axis=0)) / 2.0


def _center(view: View, blob: Blob) -> Array:
    """Return the blob's palm (3,) in the results' frame."""
    focal = view.camera.intrinsics[0, 0]
    along = focal * _PALM_RADIUS / blob.radius if blob.depth is None else blob.depth + _BEHIND
    return view.unproject(blob.center[None], np.array([along]))[0]


def _fits(view: View, blob: Blob, palm: Array) -> bool:
    """Say whether a warm blob is where a palm (3,) was lost, and of its size."""
    away = float(np.linalg.norm(view.project(palm[None])[0] - blob.center))
    size = np.linalg.norm(_center(view, blob) - _origin(view)) / np.linalg.norm(
        palm - _origin(view)
    )
    return away < _NEAR * blob.radius and bool(_SIZES[0] < size < _SIZES[1])


def _origin(view: View) -> Array:
    return -view.rotation.T @ view.translation


def _free(center: Array, palms: list[Array]) -> bool:
    return all(np.linalg.norm(center - palm) > _SAME_PLACE for palm in palms)
