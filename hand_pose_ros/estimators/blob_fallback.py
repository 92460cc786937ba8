"""Blob fallback: keeps the place of hands that no network recognises, by warmth or depth alone."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blobs import Blob, depth_blobs, thermal_blobs
from hand_pose_ros.estimators.hand_pose import HandPose
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES

Array = NDArray[np.float64]

_PALM_RADIUS = 0.04  # metres
_BEHIND = 0.012  # metres from the palm's surface to its middle
_SAME_PLACE = 0.12  # metres
_PERSISTENCE = 3  # searches in which a blob must be seen before it is reported
# Standard deviations in metres: across the view, and along it with and without depth.
_ACROSS, _ALONG_DEPTH, _ALONG = 0.05, 0.05, 0.15
# A hand before a head rig, as a right model hand's axes in the camera: fingers (-x) up and away,
# back (+y) towards the camera.
_FINGERS, _BACK = np.array([0.0, -0.6, 0.8]), np.array([0.0, -0.8, -0.6])
_HIGHEST_SCORE = 0.3


@dataclass
class _Place:
    """Where a blob is followed."""

    number: int
    side: int
    center: Array
    along: float
    stream: str
    pixel: Array
    score: float
    stamp: int
    sightings: int = 1


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
        self._places: list[_Place] = []
        self._stamp: int | None = None

    def take_number(self, palm: Array) -> int | None:
        """Return the identity of a reported blob at a palm (3,), which is now a known hand."""
        for place in self._places:
            near = float(np.linalg.norm(place.center - palm)) < _SAME_PLACE
            if near and place.sightings >= _PERSISTENCE:
                self._places.remove(place)
                return place.number
        return None

    def update(
        self, stamp: int, thermal: View | None, depth: View | None, palms: list[Array],
        sides: set[int],
    ) -> list[tuple[_Place, HandState, HandPose]]:  # fmt: skip
        """Return the blobs that are probably hands.

        Args:
            stamp: of the frame.
            thermal: thermal stream, or None.
            depth: depth stream, or None.
            palms: (3,) of the hands that are tracked.
            sides: their sides.
        """
        room = self._config.max_hands - len(palms)
        taken = sides if self._config.tracking.one_per_side else set()
        self._places = [
            place
            for place in self._places
            if place.side not in taken and _free(place.center, palms)
        ]
        if room <= 0:
            self._places = []
        elif self._is_due(stamp):
            self._stamp = stamp
            self._search(stamp, thermal, depth, palms, taken)
        limit = self._config.tracking.prediction + self._config.palm_interval
        self._places = [place for place in self._places if (stamp - place.stamp) * 1e-9 <= limit]
        shown = [place for place in self._places if place.sightings >= _PERSISTENCE][:room]
        return [(place, *self._pose(place)) for place in shown]

    def _is_due(self, stamp: int) -> bool:
        return self._stamp is None or stamp - self._stamp >= self._config.palm_interval * 1e9

    def _search(
        self, stamp: int, thermal: View | None, depth: View | None, palms: list[Array],
        taken: set[int],
    ) -> None:  # fmt: skip
        view = depth or thermal
        if view is None:
            return
        find = depth_blobs if depth is not None else thermal_blobs
        for blob in find(view.stream, self._config.max_hands):
            center = _center(view, blob)
            if not _free(center, palms):
                continue
            along = _ALONG if blob.depth is None else _ALONG_DEPTH
            known = [p for p in self._places if np.linalg.norm(p.center - center) < _SAME_PLACE]
            if known:
                place = known[0]
                place.center, place.along, place.stamp = center, along, stamp
                place.stream, place.pixel, place.score = view.name, blob.center, blob.score
                place.sightings += 1
                continue
            side = self._side(view, blob, taken)
            if side is not None:
                self._places.append(
                    _Place(
                        number=self._number(), side=side, center=center, along=along,
                        stream=view.name, pixel=blob.center, score=blob.score, stamp=stamp,
                    )
                )  # fmt: skip

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

    def _pose(self, place: _Place) -> tuple[HandState, HandPose]:
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


def _free(center: Array, palms: list[Array]) -> bool:
    return all(np.linalg.norm(center - palm) > _SAME_PLACE for palm in palms)
