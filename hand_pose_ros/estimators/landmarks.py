"""LandmarkEstimator: MediaPipe's hand networks on every stream, lifted to metric hand poses."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blob_fallback import BlobFallback, palm_middle
from hand_pose_ros.estimators.flat_tracking import FlatTracker
from hand_pose_ros.estimators.hand_search import HandSearch
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig, landmarks_config
from hand_pose_ros.estimators.metric_lift import HandEvidence, MetricLift
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.estimators.observations import Observer
from hand_pose_ros.estimators.results import Draft, ResultMaker
from hand_pose_ros.estimators.rig_views import View, views_of
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.estimators.stream_schedule import StreamSchedule
from hand_pose_ros.estimators.tracking import Track, Tracker
from hand_pose_ros.hand_model.fitting import Fit
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.frame import MODALITIES, Modality, RigFrame
from hand_pose_ros.rig.model import RigDescription

Array = NDArray[np.float64]

# 2D modalities, the one in which landmarks lie best on the hand first.
_PREFERRED: tuple[Modality, ...] = ('rgb', 'nir', 'thermal')
# Share of belief in its landmarks below which a fit does not explain the images.
_POOR, _POOR_FRAMES = 0.35, 3


class LandmarkEstimator:
    """Follows both hands through the frames of a rig.

    Attributes:
        name: registered name.
        model_hash: hash of the network weights in use.
        timings: seconds per stage of the last frame: detect_2d, track, fit, mesh.
        config: the options in use.
    """

    name = 'landmarks'

    def __init__(
        self,
        config: LandmarksConfig | dict[str, Any] | None = None,
        rig: RigDescription | None = None,
        networks: HandNetworks | None = None,
    ) -> None:
        """Load the models.

        Args:
            config: options, typed or as a dictionary.
            rig: names the modality of each stream; without it streams are called by modality.
            networks: loaded networks to share, or None to load them.

        Raises:
            HandPoseError: an option or a model file cannot be used.
        """
        self.config = config if isinstance(config, LandmarksConfig) else landmarks_config(config)
        self._modalities = _modalities(rig)
        networks = networks or load_networks(self.config.threads)
        self.model_hash = networks.model_hash
        self._timer = StageTimer('detect_2d', 'track', 'fit', 'mesh')
        self.timings = self._timer.seconds
        data = load_hand_model('right')
        self._lift = MetricLift(data, load_landmark_model(), self._modalities, self.config)
        self._flat = FlatTracker(networks, self._modalities, self.config)
        self._results = ResultMaker(data, self._lift.model, self.config)
        self._tracker = Tracker(self.config, self._lift.model.shapes, self._lift.freedom)
        self._blobs = BlobFallback(self._lift.model, self.config, self._tracker.new_number)
        order = self.config.streams or sorted(
            (name for name, modality in self._modalities.items() if modality in _PREFERRED),
            key=lambda name: _PREFERRED.index(self._modalities[name]),
        )
        schedule = StreamSchedule(order, self.config.streams_per_frame, self.config.time_budget)
        self._search = HandSearch(
            self._lift.model,
            Observer(networks, self._modalities),
            schedule,
            self.config,
            self._timer,
        )
        self._stamp: int | None = None

    def reset(self) -> None:
        """Forget all tracks, as after a jump of time."""
        self._tracker.reset()
        self._flat.reset()
        self._search.reset()
        self._blobs.reset()
        self._stamp = None

    def estimate(self, frame: RigFrame) -> list[HandPose]:
        """Return the hands in one frame, expressed in ``frame.frame_id``."""
        self._timer.begin()
        self.timings = self._timer.seconds
        gap = 0.0 if self._stamp is None else (frame.stamp - self._stamp) * 1e-9
        if gap < 0.0 or gap > self.config.tracking.gap:
            self.reset()
        self._stamp = frame.stamp
        views = views_of(frame)
        flat = self._two_dimensional(views)
        depth = self._depth(views)
        if not flat and depth is None:
            with self._timer.stage('detect_2d'):
                return self._flat.estimate(frame)
        self._search.begin(flat)
        evidence = self._look(frame.stamp, flat, depth)
        fit = None
        if evidence:
            with self._timer.stage('fit'):
                fit = self._lift.fit([hand for _, hand in evidence], flat, depth)
        drafts = self._report(frame.stamp, evidence, fit, flat, depth)
        if self.config.blobs and len(self._tracker.tracks) < self.config.max_hands:
            with self._timer.stage('detect_2d'):
                drafts += self._unrecognised(frame.stamp, flat, depth)
        with self._timer.stage('mesh'):
            poses = self._results.finish(drafts)
        self._search.spent(sum(self.timings.values()))
        return poses

    def _unrecognised(self, stamp: int, views: dict[str, View], depth: View | None) -> list[Draft]:
        """Return the places of hands that the networks do not see."""
        warm_or_near = [view for name, view in views.items() if self._is(name, 'thermal')]
        if depth is not None:
            warm_or_near.insert(0, depth)
        tracks = self._tracker.tracks
        palms = [self._palm(track) for track in tracks]
        sides = {track.side for track in tracks}
        found = self._blobs.update(stamp, warm_or_near, palms, sides, alone=not views)
        return [Draft(pose=pose, side=place.side, state=state) for place, state, pose in found]

    def _palm(self, track: Track) -> Array:
        return palm_middle(self._lift.model.landmarks(track.state, np.array([track.side]))[0])

    def _is(self, name: str, modality: Modality) -> bool:
        return self._modalities.get(name) == modality

    def _look(
        self, stamp: int, views: dict[str, View], depth: View | None
    ) -> list[tuple[Track, HandEvidence]]:
        """Find every known hand in the images, then new ones; return what to fit."""
        tracks = list(self._tracker.tracks)
        with self._timer.stage('track'):
            expected = [track.predict(stamp) for track in tracks]
        seen = self._search.follow(tracks, expected, views)
        evidence = []
        for track, state, landmarks in zip(tracks, expected, seen, strict=True):
            for hand in landmarks.values():
                track.vote(hand.right_probability, hand.presence)
            if landmarks and track.poor >= _POOR_FRAMES:
                state = self._restart(track, landmarks, views, depth)
            held = depth is not None and not self._expired(
                track, stamp, self.config.tracking.blob_time
            )
            if landmarks or held:
                evidence.append((track, self._evidence(track, state, landmarks, stamp)))
        evidence += self._find(stamp, views, depth)
        with self._timer.stage('track'):
            self._settle_sides(evidence, views, depth)
        return evidence

    def _find(
        self, stamp: int, views: dict[str, View], depth: View | None
    ) -> list[tuple[Track, HandEvidence]]:
        """Begin tracks of hands that are not tracked yet."""
        tracks = self._tracker.tracks
        room = self.config.max_hands - len(tracks)
        stream, hands = self._search.find(stamp, tracks, views, room)
        begun = []
        for hand in hands:
            track = self._begin(stamp, views[stream], hand, depth)
            if track is not None:
                evidence = self._evidence(track, track.state, {stream: hand}, stamp, new=True)
                begun.append((track, evidence))
        return begun

    def _begin(
        self, stamp: int, view: View, hand: HandLandmarks, depth: View | None
    ) -> Track | None:
        bounded = float(np.clip(hand.right_probability, 0.01, 0.99))
        votes = float(np.log(bounded / (1.0 - bounded)))
        side = self._tracker.free_side(votes)
        if side is None:
            return None
        with self._timer.stage('fit'):
            shape, precision = self._tracker.shape(side)
            state, _ = self._lift.start(
                side, view, hand, depth, shape, precision / self.config.tracking.shape_trust
            )
        palm = palm_middle(self._lift.model.landmarks(state, np.array([side]))[0])
        number = self._blobs.take_number(palm)
        return self._tracker.begin(side, votes, state, stamp, number)

    def _restart(
        self, track: Track, landmarks: dict[str, HandLandmarks], views: dict[str, View],
        depth: View | None,
    ) -> Any:  # fmt: skip
        """Start a track's pose anew from its clearest landmarks."""
        name, hand = max(landmarks.items(), key=lambda item: item[1].presence)
        with self._timer.stage('fit'):
            state, _ = self._lift.start(
                track.side, views[name], hand, depth, track.state.shape[0],
                track.prior_precision(),
            )  # fmt: skip
        track.state, track.poor, track.fitted = state, 0, False
        track.rate = np.zeros_like(track.rate)
        track.restart_filters()
        return state

    def _settle_sides(
        self, evidence: list[tuple[Track, HandEvidence]], views: dict[str, View],
        depth: View | None,
    ) -> None:  # fmt: skip
        """Change the side of tracks whose votes say so, and start their poses anew."""
        for track in self._tracker.wrong_sides():
            track.side = 1 - track.side
            for row, (owner, hand) in enumerate(evidence):
                if owner is track and hand.landmarks:
                    state = self._restart(track, hand.landmarks, views, depth)
                    stamp = self._stamp or 0
                    evidence[row] = (
                        track, self._evidence(track, state, hand.landmarks, stamp, new=True)
                    )  # fmt: skip

    def _evidence(
        self, track: Track, state: Any, landmarks: dict[str, HandLandmarks], stamp: int,
        new: bool = False,
    ) -> HandEvidence:  # fmt: skip
        fresh = new or not track.fitted
        return HandEvidence(
            side=track.side,
            landmarks=landmarks,
            expected=state,
            rate=track.rate,
            shape_precision=track.prior_precision(),
            shape_knowledge=track.shape_precision,
            elapsed=None if fresh else (stamp - track.stamp) * 1e-9,
        )

    def _report(
        self, stamp: int, evidence: list[tuple[Track, HandEvidence]], fit: Fit | None,
        views: dict[str, View], depth: View | None,
    ) -> list[Draft]:  # fmt: skip
        """Bring the tracks up to date and make the results."""
        rows: dict[int, int] = {}
        with self._timer.stage('track'):
            for row, (track, hand) in enumerate(evidence):
                if fit is not None and self._believable(hand, fit, row):
                    rows[track.number] = row
                    self._accept(track, hand, fit, row, stamp)
            doubles = self._doubles(rows, fit)
            poses = []
            for track in list(self._tracker.tracks):
                found = rows.get(track.number)
                if track.number in doubles:
                    self._tracker.end(track)
                    poses.append(self._results.lost(track, stamp))
                elif found is not None and fit is not None:
                    landmarks = evidence[found][1].landmarks
                    poses.append(
                        self._results.tracked(track, fit, found, landmarks, views, depth, stamp)
                    )
                elif self._expired(track, stamp, self.config.tracking.prediction, track.stamp):
                    self._tracker.end(track)
                    self._blobs.remember(self._palm(track), stamp)
                    poses.append(self._results.lost(track, stamp))
                else:
                    poses.append(self._results.predicted(track, stamp))
        return poses

    def _doubles(self, rows: dict[int, int], fit: Fit | None) -> set[int]:
        """Return the younger of any two tracks that lie on one hand."""
        numbers = sorted(rows)
        doubles: set[int] = set()
        for older, younger in combinations(numbers, 2):
            if fit is None or older in doubles:
                continue
            apart = fit.joints[rows[older]] - fit.joints[rows[younger]]
            if np.linalg.norm(apart, axis=1).mean() < self.config.tracking.duplicate:
                doubles.add(younger)
        return doubles

    def _accept(self, track: Track, hand: HandEvidence, fit: Fit, row: int, stamp: int) -> None:
        track.update(fit, row, stamp)
        if not hand.landmarks:
            return
        track.seen = stamp
        presence = max(seen.presence for seen in hand.landmarks.values())
        track.presence += 0.4 * (presence - track.presence)
        belief = fit.point_weights[:, row].sum() / (21 * len(hand.landmarks))
        track.poor = track.poor + 1 if belief < _POOR else 0
        self._tracker.remember_shape(track)

    def _believable(self, hand: HandEvidence, fit: Fit, row: int) -> bool:
        """Say whether the images show this hand: landmarks, or at least a surface in place."""
        if hand.landmarks:
            return True
        return bool(fit.depth_share[row] > 0.5 and fit.depth_points[row] >= 10)

    def _expired(self, track: Track, stamp: int, limit: float, since: int | None = None) -> bool:
        return (stamp - (track.seen if since is None else since)) * 1e-9 > limit

    def _two_dimensional(self, views: dict[str, View]) -> dict[str, View]:
        allowed = set(self.config.streams) or set(views)
        return {
            name: view
            for name, view in views.items()
            if self._modalities.get(name, 'depth') != 'depth' and name in allowed
        }

    def _depth(self, views: dict[str, View]) -> View | None:
        if not self.config.use_depth:
            return None
        for name, view in views.items():
            if self._is(name, 'depth') and np.isfinite(view.stream.image).any():
                return view
        return None


def _modalities(rig: RigDescription | None) -> dict[str, Modality]:
    if rig is None:
        return {modality: modality for modality in MODALITIES}
    return {name: camera.modality for name, camera in rig.cameras.items()}
