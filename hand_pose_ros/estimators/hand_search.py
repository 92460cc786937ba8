"""Hand search: where in which streams the networks look, for tracked hands and for new ones."""

from collections.abc import Sequence
from typing import Protocol

from hand_pose_ros.estimators.association import (
    Place,
    expected_places,
    keep_plausible,
    overlaps,
)
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.observations import Look, Observer
from hand_pose_ros.estimators.regions import Region, distinct
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.estimators.stream_schedule import StreamSchedule
from hand_pose_ros.estimators.tracking import Track
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState

_PALM_OVERLAP, _HAND_OVERLAP = 0.2, 0.5


class LandmarkSearch(Protocol):
    """What finds landmarks of hands in the 2D streams of a frame; see ``HandSearch``."""

    def reset(self) -> None:
        """Begin anew."""
        ...

    def spent(self, seconds: float) -> None:
        """Learn how long the whole frame took."""
        ...

    def begin(self, views: dict[str, View]) -> None:
        """Take the images of a new frame."""
        ...

    def follow(
        self,
        tracks: Sequence[Track],
        expected: Sequence[HandState],
        views: dict[str, View],
        hands: Sequence[Sequence[NetworkHand]],
    ) -> list[dict[str, HandLandmarks]]:
        """Return landmarks by stream for each track; ``hands``: what networks see of each."""
        ...

    def find(
        self, stamp: int, tracks: Sequence[Track], views: dict[str, View], room: int
    ) -> tuple[str, list[HandLandmarks]]:
        """Return new hands, and the stream that shows them."""
        ...


class HandSearch:
    """Looks for hands in the 2D streams of a frame."""

    def __init__(
        self,
        model: FittingModel,
        observer: Observer,
        schedule: StreamSchedule,
        config: LandmarksConfig,
        timer: StageTimer,
    ) -> None:
        """Prepare.

        Args:
            model: the hand, which says where a track is to be seen.
            observer: runs the networks.
            schedule: chooses the streams.
            config: options.
            timer: is told how long it takes.
        """
        self._model, self._observer, self._schedule = model, observer, schedule
        self._config, self._timer = config, timer
        self._palm_turn = 0
        self.reset()

    def reset(self) -> None:
        """Look for palms at once."""
        self._palm_stamp: int | None = None
        self._schedule.reset()

    def spent(self, seconds: float) -> None:
        """Learn how long the whole frame took."""
        self._schedule.spent(seconds)

    def begin(self, views: dict[str, View]) -> None:
        """Take the images of a new frame."""
        self._observer.begin({name: view.stream for name, view in views.items()})

    def follow(
        self,
        tracks: Sequence[Track],
        expected: Sequence[HandState],
        views: dict[str, View],
        hands: Sequence[Sequence[NetworkHand]],
    ) -> list[dict[str, HandLandmarks]]:
        """Look where tracked hands are seen or expected; return landmarks by stream for each."""
        seen: list[dict[str, HandLandmarks]] = [{} for _ in tracks]
        if not tracks:
            return seen
        with self._timer.stage('track'):
            places = expected_places(self._model, tracks, expected, views, hands)
            scheduled, spare = self._schedule.choose(views)
        self._look(scheduled, places, seen, range(len(tracks)))
        missing = [row for row, landmarks in enumerate(seen) if not landmarks]
        if missing and spare:
            self._look(spare[:1], places, seen, missing)
        return seen

    def find(
        self, stamp: int, tracks: Sequence[Track], views: dict[str, View], room: int
    ) -> tuple[str, list[HandLandmarks]]:
        """Look for hands that are not tracked, with the palm detector, in one stream in turn.

        Returns:
            the stream, and the new hands in it, the one whose side is clearest first; a few more
            than there is room for.
        """
        if room <= 0 or not views or not self._palm_is_due(stamp):
            return '', []
        stream = list(views)[self._palm_turn % len(views)]
        self._palm_turn += 1
        self._palm_stamp = stamp
        known = self._known(stamp, tracks, views[stream])
        with self._timer.stage('detect_2d'):
            palms = self._observer.palms(stream, self._config.palm_score)
            fresh = [region for region in palms if not overlaps(region, known, _PALM_OVERLAP)]
            fresh = distinct(fresh, _PALM_OVERLAP)[: room + 1]
            hands = self._observer.inspect(Look(stream=stream, region=region) for region in fresh)
        hands.sort(key=lambda hand: -abs(hand.right_probability - 0.5))
        new = []
        for hand in hands:
            is_hand = hand.presence >= self._config.presence
            if is_hand and not overlaps(hand.region, known, _HAND_OVERLAP):
                known.append(hand.region)
                new.append(hand)
        return stream, new

    def _look(
        self,
        streams: Sequence[str],
        places: Sequence[dict[str, Place]],
        seen: list[dict[str, HandLandmarks]],
        rows: Sequence[int],
    ) -> None:
        wanted = [(row, name) for name in streams for row in rows if name in places[row]]
        with self._timer.stage('detect_2d'):
            found = self._observer.follow(
                Look(stream=name, region=places[row][name].region) for row, name in wanted
            )
        for (row, name), hand in keep_plausible(wanted, found, places, self._config.presence):
            seen[row][name] = hand

    def _known(self, stamp: int, tracks: Sequence[Track], view: View) -> list[Region]:
        """Return where tracked hands are expected in one stream."""
        if not tracks:
            return []
        states = [track.predict(stamp) for track in tracks]
        unseen: list[Sequence[NetworkHand]] = [()] * len(tracks)
        places = expected_places(self._model, tracks, states, {view.name: view}, unseen)
        return [place.region for by_stream in places for place in by_stream.values()]

    def _palm_is_due(self, stamp: int) -> bool:
        last = self._palm_stamp
        return last is None or stamp - last >= self._config.palm_interval * 1e9
