"""Hand follower: follows both hands of a rig's wearer with whatever sees them, frame by frame."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blob_fallback import BlobFallback, palm_middle
from hand_pose_ros.estimators.flat_tracking import FlatTracker
from hand_pose_ros.estimators.hand_search import LandmarkSearch
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.metric_lift import HandEvidence, MetricLift
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.plausibility import (
    agreement,
    contradicted,
    crowded_out,
    doubles,
    in_place,
    measured_share,
)
from hand_pose_ros.estimators.results import (
    Draft,
    ResultMaker,
    stated_covariance,
    tracked_score,
)
from hand_pose_ros.estimators.rig_views import View, views_of
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.estimators.time_jumps import is_jump
from hand_pose_ros.estimators.tracking import Track, Tracker
from hand_pose_ros.hand_model.fitting import Fit
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.hand_model.kinematics import HandState
from hand_pose_ros.rig.frame import Modality, RigFrame

Array = NDArray[np.float64]

# Share of belief in its landmarks below which a fit does not explain the images.
_POOR, _POOR_FRAMES = 0.35, 3
_SURE = 0.95  # probability of the side a network that tells the hands apart gives
# What landmarks say of the side counts so much where such a network looks. It is right about 98 of
# 100 simulated hands in thermal images, landmarks about 61 there and 84 in NIR and RGB.
_LANDMARK_SIDE = 0.15
# Of a hand's surface that the depth image shows: what holds a hand that nothing recognises, and
# what confirms landmarks of one image where a network that looks for hands sees none.
_HELD, _HELD_POINTS, _CONFIRMED = 0.5, 10, 0.25


class NetworkSearch(Protocol):
    """What finds and refines hands with networks that see them in 3D."""

    def reset(self) -> None:
        """Forget what was seen."""
        ...

    def look(self, views: dict[str, View]) -> list[NetworkHand]:
        """Return the hands that show in the whole images of a frame, most certain first."""
        ...

    def assign(
        self,
        hands: Sequence[NetworkHand],
        places: Sequence[tuple[int, Array]],
        views: dict[str, View],
    ) -> tuple[list[list[NetworkHand]], list[NetworkHand]]:
        """Return the hands at each place, a side and joints (21, 3), and those at none."""
        ...

    def refine(
        self, views: dict[str, View], places: Sequence[tuple[int, Array]]
    ) -> list[list[NetworkHand]]:
        """Return what a closer look at each place, a side and joints (21, 3), shows."""
        ...

    def knows_distances(self, views: dict[str, View]) -> bool:
        """Say whether a network takes part in a frame that sees how far away hands are."""
        ...

    def would_find(self, views: dict[str, View], joints: Array) -> bool:
        """Say whether an image that was searched for hands shows this place, joints (21, 3)."""
        ...


class HandFollower:
    """Follows both hands through the frames of a rig.

    Landmarks in images and the joints of networks are evidence; depth holds what was found; one fit
    of the hand model combines all.

    Attributes:
        name: registered name.
        model_hash: hash of the network weights in use.
        timings: seconds per stage of the last frame.
        config: the options in use.
    """

    name = 'follower'
    model_hash = ''

    def __init__(
        self,
        config: LandmarksConfig,
        modalities: dict[str, Modality],
        lift: MetricLift,
        search: LandmarkSearch,
        timer: StageTimer,
        *,
        flat: FlatTracker | None = None,
        networks: NetworkSearch | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            config: options.
            modalities: modality of each stream by name.
            lift: fits the hand model.
            search: finds landmarks in the 2D streams.
            timer: counts the stages detect_2d, track, fit and mesh, and others of the search.
            flat: follows hands in 2D where nothing is calibrated.
            networks: finds hands in 3D.
        """
        self.config, self._modalities, self._lift = config, modalities, lift
        self._search, self._timer, self._flat, self._networks = search, timer, flat, networks
        self.timings = timer.seconds
        self._results = ResultMaker(lift.model.data, lift.model, config)
        self._tracker = Tracker(config, lift.model.shapes, lift.freedom)
        self._blobs = BlobFallback(lift.model, config, self._tracker.new_number)
        self._stamp: int | None = None

    def reset(self) -> None:
        """Forget all tracks, as after a jump of time."""
        self._tracker.reset()
        if self._flat is not None:
            self._flat.reset()
        if self._networks is not None:
            self._networks.reset()
        self._search.reset()
        self._blobs.reset()
        self._stamp = None

    def estimate(self, frame: RigFrame) -> list[HandPose]:
        """Return the hands in one frame, expressed in ``frame.frame_id``."""
        self._timer.begin()
        self.timings = self._timer.seconds
        if is_jump(self._stamp, frame.stamp, self.config.tracking.gap):
            self.reset()
        self._stamp = frame.stamp
        views = views_of(frame)
        flat = self._two_dimensional(views)
        depth = self._depth(views)
        if self._flat is not None and not flat and depth is None:
            with self._timer.stage('detect_2d'):
                return self._flat.estimate(frame)
        self._search.begin(flat)
        self._views = views
        evidence = self._refine(self._look(frame.stamp, flat, depth))
        fit = None
        if evidence:
            with self._timer.stage('fit'):
                fit = self._lift.fit([hand for _, hand in evidence], views, depth)
        drafts = self._report(frame.stamp, evidence, fit, depth)
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
        return palm_middle(self._joints(track.side, track.state))

    def _is(self, name: str, modality: Modality) -> bool:
        return self._modalities.get(name) == modality

    def _look(
        self, stamp: int, views: dict[str, View], depth: View | None
    ) -> list[tuple[Track, HandEvidence]]:
        """Find every known hand in the images, then new ones; return what to fit."""
        tracks = list(self._tracker.tracks)
        with self._timer.stage('track'):
            expected = [track.predict(stamp) for track in tracks]
        at_tracks, elsewhere = self._network_hands(tracks, expected)
        hands = [
            self._evidence(track, state, {}, stamp, joints)
            for track, state, joints in zip(tracks, expected, at_tracks, strict=True)
        ]
        closer = self._closer(hands)
        # Where a network sees the hand now is the better place for a crop than where it was to be.
        seen = self._search.follow(tracks, expected, views, [hand.joints for hand in closer])
        evidence = []
        for track, state, hand, near, landmarks in zip(
            tracks, expected, hands, closer, seen, strict=True
        ):
            joints = hand.joints
            told = landmarks and self._would_find(self._joints(track.side, state))
            counts = _LANDMARK_SIDE if told else 1.0
            for marks in landmarks.values():
                track.vote(marks.right_probability, counts * marks.presence)
            for network_hand in joints:
                track.vote(_SURE if network_hand.side else 1.0 - _SURE, network_hand.presence)
            if not landmarks and not joints:
                # A network that tells the sides apart sees this hand somewhere else.
                joints = tuple(other for other in elsewhere if other.side == track.side)
                elsewhere = [other for other in elsewhere if other not in joints]
                track.poor = _POOR_FRAMES if joints else track.poor
            held = depth is not None and not self._expired(
                track, stamp, self.config.tracking.blob_time
            )
            if (landmarks or joints) and track.poor >= _POOR_FRAMES:
                state = self._restart(track, landmarks, joints, depth)
                evidence.append((track, self._evidence(track, state, landmarks, stamp, joints)))
            elif landmarks or joints or held:
                evidence.append((track, replace(near, landmarks=landmarks)))
        evidence += self._begin_network_hands(stamp, elsewhere, depth)
        evidence += self._find(stamp, views, depth)
        with self._timer.stage('track'):
            self._settle_sides(evidence, depth)
        return evidence

    def _network_hands(
        self, tracks: Sequence[Track], expected: Sequence[HandState]
    ) -> tuple[list[list[NetworkHand]], list[NetworkHand]]:
        """Return what networks see in whole images: at each track, and elsewhere."""
        if self._networks is None:
            return [[] for _ in tracks], []
        hands = self._networks.look(self._views)
        places = [
            (track.side, self._joints(track.side, state))
            for track, state in zip(tracks, expected, strict=True)
        ]
        return self._networks.assign(hands, places, self._views)

    def _begin_network_hands(
        self, stamp: int, hands: Sequence[NetworkHand], depth: View | None
    ) -> list[tuple[Track, HandEvidence]]:
        """Begin tracks of hands that networks see where none is tracked."""
        begun = []
        for hand in hands:
            votes = float(np.log(_SURE / (1.0 - _SURE))) * (1 if hand.side else -1)
            side = self._tracker.free_side(votes)
            if side != hand.side or len(self._tracker.tracks) >= self.config.max_hands:
                continue
            with self._timer.stage('fit'):
                shape, precision = self._tracker.shape(side)
                state = self._lift.start_at_joints(
                    side, self._views[hand.stream], hand, depth, shape,
                    precision / self.config.tracking.shape_trust,
                )  # fmt: skip
            track = self._start(side, votes, state, stamp)
            begun.append((track, self._evidence(track, state, {}, stamp, [hand], new=True)))
        return begun

    def _refine(
        self, evidence: list[tuple[Track, HandEvidence]]
    ) -> list[tuple[Track, HandEvidence]]:
        """Look closer at hands that were found, or started anew, in this frame."""
        rest = [row for row, (_, hand) in enumerate(evidence) if not hand.is_refined]
        closer = self._closer([evidence[row][1] for row in rest])
        for row, hand in zip(rest, closer, strict=True):
            evidence[row] = (evidence[row][0], hand)
        return evidence

    def _closer(self, hands: Sequence[HandEvidence]) -> list[HandEvidence]:
        """Add what networks see in crops around hands, which are moved to where others see them."""
        if self._networks is None or not hands:
            return list(hands)
        hands = [self._lift.followed(hand, self._views) for hand in hands]
        places = [(hand.side, self._joints(hand.side, hand.beginning)) for hand in hands]
        found = self._networks.refine(self._views, places)
        return [
            replace(hand, joints=(*hand.joints, *more), is_refined=True)
            for hand, more in zip(hands, found, strict=True)
        ]

    def _joints(self, side: int, state: HandState) -> Array:
        return self._lift.model.landmarks(state, np.array([side]))[0]

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
        return self._start(side, votes, state, stamp)

    def _start(self, side: int, votes: float, state: HandState, stamp: int) -> Track:
        palm = palm_middle(self._joints(side, state))
        number = self._blobs.take_number(palm)
        return self._tracker.begin(side, votes, state, stamp, number)

    def _restart(
        self, track: Track, landmarks: dict[str, HandLandmarks], joints: Sequence[NetworkHand],
        depth: View | None,
    ) -> HandState:  # fmt: skip
        """Start a track's pose anew from a network's joints or its clearest landmarks."""
        shape, precision = track.state.shape[0], track.prior_precision()
        with self._timer.stage('fit'):
            if joints:
                best = max(joints, key=lambda seen: seen.presence)
                view = self._views[best.stream]
                state = self._lift.start_at_joints(track.side, view, best, depth, shape, precision)
            else:
                name, hand = max(landmarks.items(), key=lambda item: item[1].presence)
                view = self._views[name]
                state, _ = self._lift.start(track.side, view, hand, depth, shape, precision)
        track.state, track.poor, track.fitted = state, 0, False
        track.rate = np.zeros_like(track.rate)
        track.restart_filters()
        return state

    def _settle_sides(self, evidence: list[tuple[Track, HandEvidence]], depth: View | None) -> None:
        """Change the side of tracks whose votes say so, and start their poses anew."""
        for track in self._tracker.wrong_sides():
            track.side = 1 - track.side
            for row, (owner, hand) in enumerate(evidence):
                if owner is track and (hand.landmarks or hand.joints):
                    state = self._restart(track, hand.landmarks, hand.joints, depth)
                    stamp = self._stamp or 0
                    evidence[row] = (
                        track,
                        self._evidence(track, state, hand.landmarks, stamp, hand.joints, new=True),
                    )

    def _evidence(
        self, track: Track, state: HandState, landmarks: dict[str, HandLandmarks], stamp: int,
        joints: Sequence[NetworkHand] = (), new: bool = False,
    ) -> HandEvidence:  # fmt: skip
        fresh = new or not track.fitted
        return HandEvidence(
            side=track.side,
            landmarks=landmarks,
            joints=tuple(joints),
            expected=state,
            rate=track.rate,
            shape_precision=track.prior_precision(),
            shape_knowledge=track.shape_precision,
            elapsed=None if fresh else (stamp - track.stamp) * 1e-9,
        )

    def _scores(self, evidence: list[tuple[Track, HandEvidence]], fit: Fit) -> list[float]:
        """Tell the tracks what recognised them and return how sure each fit is."""
        for track, hand in evidence:
            if hand.is_recognised:
                track.look(hand.presence)
        return [
            tracked_score(track, fit, row, hand, self._views)
            for row, (track, hand) in enumerate(evidence)
        ]

    def _choose(
        self, evidence: list[tuple[Track, HandEvidence]], fit: Fit, scores: list[float],
        depth: View | None,
    ) -> tuple[dict[int, int], set[int]]:  # fmt: skip
        """Return the rows of the tracks whose fits are believed, and which tracks are doubles."""
        rows = {
            track.number: row
            for row, (track, hand) in enumerate(evidence)
            if self._believable(hand, fit, row, scores[row], depth)
        }
        ended = doubles(fit, rows, self.config.tracking.duplicate)
        alone = {number: row for number, row in rows.items() if number not in ended}
        for number in crowded_out(fit, alone):
            del rows[number]
        return rows, ended

    def _take_in(
        self, stamp: int, evidence: list[tuple[Track, HandEvidence]], fit: Fit, depth: View | None
    ) -> tuple[dict[int, int], list[float], set[int]]:
        """Bring the tracks up to date whose fits are believed.

        Returns:
            rows by number of the tracks that are still sure when the depth image has its say and
            their uncertainty counts, the scores of all rows, and which tracks are doubles. Other
            tracks go on with the best guess there is, which is wrong more often than not.
        """
        scores = self._scores(evidence, fit)
        rows, ended = self._choose(evidence, fit, scores, depth)
        for row, (track, hand) in enumerate(evidence):
            if track.number in rows:
                self._accept(track, hand, fit, row, stamp)
        scores = [
            scores[row] * self._believed(hand, fit, row, depth)
            for row, (_, hand) in enumerate(evidence)
        ]
        sure = {n: row for n, row in rows.items() if self._is_sure(evidence[row][1], scores[row])}
        return sure, scores, ended

    def _report(
        self, stamp: int, evidence: list[tuple[Track, HandEvidence]], fit: Fit | None,
        depth: View | None,
    ) -> list[Draft]:  # fmt: skip
        """Bring the tracks up to date and make the results."""
        with self._timer.stage('track'):
            rows: dict[int, int] = {}
            scores: list[float] = []
            ended: set[int] = set()
            if fit is not None:
                rows, scores, ended = self._take_in(stamp, evidence, fit, depth)
            drafts = []
            for track in list(self._tracker.tracks):
                found = rows.get(track.number)
                if track.number in ended:
                    self._tracker.end(track)
                    draft = self._results.lost(track)
                elif found is not None and fit is not None:
                    seen = evidence[found][1]
                    draft = self._results.tracked(
                        track, fit, found, seen, scores[found], depth, stamp
                    )
                elif self._expired(track, stamp, self.config.tracking.prediction, track.stamp):
                    self._tracker.end(track)
                    self._blobs.remember(self._palm(track), stamp)
                    draft = self._results.lost(track)
                else:
                    draft = self._results.predicted(track, stamp)
                drafts.append(draft)
        # A hand that was never sure enough is not missed either.
        return [draft for draft in drafts if draft is not None]

    def _accept(self, track: Track, hand: HandEvidence, fit: Fit, row: int, stamp: int) -> None:
        track.update(fit, row, stamp)
        if not hand.is_recognised:
            return
        track.seen = stamp
        belief = hand.belief(fit, row)
        track.poor = track.poor + 1 if belief < _POOR else 0
        self._tracker.remember_shape(track)

    def _believable(
        self, hand: HandEvidence, fit: Fit, row: int, score: float, depth: View | None
    ) -> bool:
        """Say whether the images show this hand: recognised for sure, or a surface in place."""
        if np.linalg.norm(fit.joints[row].mean(axis=0)) > self.config.reach:
            return False
        if depth is not None and contradicted(_when_measured(hand, fit, row, depth), depth):
            return False
        share = float(fit.depth_share[row])
        if not hand.is_recognised:
            held = share > _HELD and fit.depth_points[row] >= _HELD_POINTS
            return bool(held) and not self._would_find(fit.joints[row])
        # Warm things have landmarks too: what a network that looks for hands there does not see, a
        # second image or the depth image must confirm.
        confirmed = hand.is_found or len(hand.landmarks) > 1 or share > _CONFIRMED
        if depth is not None and not confirmed and self._would_find(fit.joints[row]):
            return False
        return self._is_sure(hand, score)

    def _is_sure(self, hand: HandEvidence, score: float) -> bool:
        """Say whether a hand scores enough; one that only depth holds was judged by its share."""
        return not hand.is_recognised or score >= self.config.tracking.least_score

    def _believed(self, hand: HandEvidence, fit: Fit, row: int, depth: View | None) -> float:
        """Return how far the depth image and its own doubt let one believe in a hand, 0..1."""
        measured = 0.0
        if depth is not None:
            measured = measured_share(_when_measured(hand, fit, row, depth), depth)
        unseen = self._networks is not None and self._networks.knows_distances(self._views)
        unseen = unseen and not hand.sure
        covariance = stated_covariance(fit, row, hand, self.config.inflation)
        return agreement(float(fit.depth_share[row]), measured) * in_place(
            covariance, measured if unseen else 0.0
        )

    def _would_find(self, joints: Array) -> bool:
        """Say whether networks looked for hands in an image that shows this place."""
        return self._networks is not None and self._networks.would_find(self._views, joints)

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


def _when_measured(hand: HandEvidence, fit: Fit, row: int, depth: View) -> Array:
    """Return where a hand's joints (21, 3) are when the depth image is taken, metres."""
    there: Array = fit.joints[row] + hand.rate[3:6] * depth.lag
    return there
