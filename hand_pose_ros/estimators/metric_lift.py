"""Metric lift: from landmarks of several streams and depth to the metric pose of each hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.hand_surface import hand_clouds
from hand_pose_ros.estimators.initial_pose import (
    initial_states,
    slid_to_depth,
    states_at_joints,
)
from hand_pose_ros.estimators.landmark_model import LandmarkModel
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.network_measurements import joint_measurements, pixel_measurements
from hand_pose_ros.estimators.rig_views import View, camera_arrays
from hand_pose_ros.hand_model.fitting import Fit, Measurements, Prior, Problem
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, stack_states
from hand_pose_ros.hand_model.model_files import HandModelData
from hand_pose_ros.hand_model.residuals import Noise, PointMeasurements
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

# A hand seen for the first time may be this far from the start in depth, metres.
_COLD_REACH = 0.06
_FRAME = 1.0 / 30.0
# A fit is doubted when it believes networks or depth by less than this, and given up for one
# without depth that believes the networks by so much more.
_SURE, _SEEN, _DISBELIEF = 0.6, 0.5, 0.2
_CLOUD = 150  # measured points of a hand that a near fit takes
# A network that knows distances contradicts a fit this far from its joints, metres.
_ELSEWHERE = 0.03


@dataclass(frozen=True, kw_only=True, eq=False)
class HandEvidence:
    """What is known of one hand in one frame before the fit.

    Attributes:
        side: 0 left, 1 right.
        landmarks: what the landmark network saw, by stream.
        expected: state predicted from the track (one hand).
        rate: (P - K,) its rates of change, per second.
        shape_precision: (K, K) how hard the shape is held.
        shape_knowledge: (K, K) what is really known of it.
        elapsed: seconds since the track was last fitted; None for a hand without a past.
        joints: what networks saw that see hands in 3D.
        start: state the fit starts from, where that is not the expected one.
        is_refined: whether networks have looked closer at the hand.
    """

    side: int
    landmarks: dict[str, HandLandmarks]
    expected: HandState
    rate: Array
    shape_precision: Array
    shape_knowledge: Array
    elapsed: float | None
    joints: tuple[NetworkHand, ...] = ()
    start: HandState | None = None
    is_refined: bool = False

    @property
    def beginning(self) -> HandState:
        """State the fit starts from."""
        return self.expected if self.start is None else self.start

    @property
    def is_found(self) -> bool:
        """Whether a network saw the hand that looks for hands in whole images."""
        return any(hand.finds for hand in self.joints)

    @property
    def is_recognised(self) -> bool:
        """Whether any network saw the hand that could have said that there is none."""
        return bool(self.landmarks) or self.is_found

    @property
    def presence(self) -> float:
        """Probability of a hand that the surest network gives, of those that can tell."""
        looks = [hand.presence for hand in self.landmarks.values()]
        looks += [hand.presence for hand in self.joints if hand.finds]
        return max(looks, default=0.0)

    @property
    def sure(self) -> list[NetworkHand]:
        """What networks saw that know distances."""
        return [hand for hand in self.joints if hand.knows_distance]

    def belief(self, fit: Fit, row: int) -> float:
        """Return the mean weight in 0..1 that a fit, whose row this is, gave what was seen."""
        total = fit.point_weights[:, row].sum() + fit.joint_weights[:, row].sum()
        return float(total / (JOINT_COUNT * max(len(self.landmarks) + len(self.joints), 1)))


class MetricLift:
    """Fits the hand model to everything a frame shows of some hands."""

    def __init__(
        self,
        data: HandModelData,
        landmarks: LandmarkModel,
        modalities: dict[str, Modality],
        config: LandmarksConfig,
    ) -> None:
        """Prepare the hand model; modalities are those of the streams by name."""
        self.model = FittingModel(data, landmarks.offsets, config.surface)
        self._sigma = landmarks.sigma
        self._depth_sigma = landmarks.depth_sigma
        self._modalities = modalities
        self._config = config

    @property
    def freedom(self) -> int:
        """Number of pose parameters without the shape."""
        return 6 + len(self.model.degrees)

    def start(
        self, side: int, view: View, seen: HandLandmarks, depth: View | None,
        shape: Array, shape_precision: Array,
    ) -> tuple[HandState, float]:  # fmt: skip
        """Return the best pose for a hand that only one image has shown, and its cost."""
        starts = initial_states(self.model, side, view, seen, depth, shape)
        hand = HandEvidence(
            side=side, landmarks={view.name: seen}, expected=starts.take([0]),
            rate=np.zeros(self.freedom), shape_precision=shape_precision,
            shape_knowledge=shape_precision, elapsed=None,
        )  # fmt: skip
        noise = replace(self._config.noise, depth_reach=_COLD_REACH, depth_front=_COLD_REACH)
        fit, best = self._cold(hand, starts, {view.name: view}, depth, noise)
        return fit.state.take([best]), float(fit.cost[best])

    def start_at_joints(
        self, side: int, view: View, seen: NetworkHand, depth: View | None,
        shape: Array, shape_precision: Array,
    ) -> HandState:  # fmt: skip
        """Return the best pose for a hand that a network has shown in 3D."""
        hand = HandEvidence(
            side=side, landmarks={}, expected=self.model.state(1), rate=np.zeros(self.freedom),
            shape_precision=shape_precision, shape_knowledge=shape_precision, elapsed=None,
            joints=(seen,),
        )  # fmt: skip
        starts = states_at_joints(self.model, side, seen.joints_in(view), shape)
        views, noise = {view.name: view}, self._config.noise
        alone, row = self._cold(hand, starts, views, None, noise)
        state, belief = alone.state.take([row]), hand.belief(alone, row)
        if depth is None:
            return state
        # Far off, the surface under a hand is not its own: it is brought near first.
        starts = stack_states([state, slid_to_depth(self.model, side, state, view, depth)])
        held, row = self._cold(hand, starts, views, depth, noise)
        return held.state.take([row]) if hand.belief(held, row) > belief - _DISBELIEF else state

    def followed(self, hand: HandEvidence, views: dict[str, View]) -> HandEvidence:
        """Move the start of a tracked hand across the view to where networks see it now.

        At low frame rates, or when the wearer turns the head, a hand is a decimetre away from where
        it was expected: no crop around that place shows it, and no fit from there finds it. How far
        away a hand is, networks that see whole images know worse than its track.
        """
        if hand.elapsed is None or not hand.joints:
            return hand
        middle = self.model.landmarks(hand.expected, np.array([hand.side]))[0].mean(axis=0)
        variance = (self._config.motion.wrist * _frames(hand.elapsed)) ** 2
        place = middle
        for seen in hand.joints:
            view = views[seen.stream]
            found = seen.joints.mean(axis=0)
            there = view.rotation @ place + view.translation
            # To the same distance on the ray through its pixels.
            away = found * (np.linalg.norm(there) / np.linalg.norm(found)) - there
            gain = variance / (variance + seen.across**2)
            place = place + gain * (away @ view.rotation)
            variance = variance * (1.0 - gain)
        state = hand.expected
        return replace(hand, start=replace(state, wrist=state.wrist + (place - middle)))

    def _cold(
        self, hand: HandEvidence, starts: HandState, views: dict[str, View], depth: View | None,
        noise: Noise,
    ) -> tuple[Fit, int]:  # fmt: skip
        """Fit one hand from several starts; return the fits and which is the best."""
        count = len(starts.wrist)
        problem = Problem(
            model=self.model,
            sides=np.full(count, hand.side),
            measurements=self._measurements([hand] * count, views, depth),
            prior=Prior(
                mean=starts,
                precision=np.zeros((count, self.freedom)),
                shape_precision=np.tile(hand.shape_precision, (count, 1, 1)),
                shape_knowledge=np.tile(hand.shape_knowledge, (count, 1, 1)),
            ),
            noise=noise,
        )
        fit = problem.fit(starts, self._config.cold_iterations)
        return fit, int(np.argmin(fit.cost))

    def fit(self, hands: Sequence[HandEvidence], views: dict[str, View], depth: View | None) -> Fit:
        """Fit all hands together, each from its expected state.

        A hand that networks see in 3D is also fitted without the depth image, where a fit with it
        leaves them: a surface that is not the hand's own may pull it away. From where they are
        then, and from the poses of networks that know distances, they are laid onto the surface
        more exactly, if the options say so; of each hand the cheapest fit counts.
        """
        fit = self._coarse(hands, views, depth)
        shown = [row for row, share in enumerate(fit.depth_share) if share > 0.0]
        if depth is None or not self._config.near_iterations or not shown:
            return fit
        clouds = hand_clouds(depth, fit.joints, _CLOUD)
        tried = [(row, replace(hands[row], start=fit.state.take([row]))) for row in shown]
        tried += self._posed(tried, views)
        rows = [row for row, _ in tried]
        near = self._fit([hand for _, hand in tried], views, depth, clouds[rows])
        for row in shown:
            places = [place for place, own in enumerate(rows) if own == row]
            best = min(places, key=near.cost.__getitem__)
            # Not where the depth image was given up, or leaves the networks now.
            lost = hands[row].belief(fit, row) - hands[row].belief(near, best)
            if lost < _DISBELIEF:
                fit = fit.with_hand(row, near, best)
        return fit

    def _posed(
        self, tried: Sequence[tuple[int, HandEvidence]], views: dict[str, View]
    ) -> list[tuple[int, HandEvidence]]:
        """Return hands, with their rows, as each network that knows distances alone shows them.

        Fingers that were expected to be bent otherwise seldom find out of it in a fit to all.
        """
        pairs = [(row, hand, seen) for row, hand in tried for seen in hand.sure]
        if not pairs:
            return []
        alone = [
            replace(hand, landmarks={}, joints=(seen,), elapsed=None) for _, hand, seen in pairs
        ]
        posed = self._fit(alone, views, None).state
        return [
            (row, replace(hand, start=posed.take([place])))
            for place, (row, hand, _) in enumerate(pairs)
        ]

    def _coarse(
        self, hands: Sequence[HandEvidence], views: dict[str, View], depth: View | None
    ) -> Fit:
        fit = self._restarted(self._fit(hands, views, depth), hands, views, depth)
        if depth is None:
            return fit
        doubted = [
            row
            for row, hand in enumerate(hands)
            if hand.joints and (hand.belief(fit, row) < _SURE or fit.depth_share[row] < _SEEN)
        ]
        if not doubted:
            return fit
        free = self._fit([hands[row] for row in doubted], views, None)
        for place, row in enumerate(doubted):
            gain = hands[row].belief(free, place) - hands[row].belief(fit, row)
            if gain > _DISBELIEF:
                fit = fit.with_hand(row, free, place)
        return fit

    def _restarted(
        self, fit: Fit, hands: Sequence[HandEvidence], views: dict[str, View], depth: View | None
    ) -> Fit:
        """Fit hands again that lie elsewhere than a network sees them, from there; keep the better.

        A fit that starts too far away ends on a wrong surface and takes the network for wrong.
        """
        tried: list[tuple[int, HandEvidence]] = []
        for row, hand in enumerate(hands):
            for seen in hand.sure:
                joints = seen.joints_in(views[seen.stream])
                apart = np.linalg.norm(fit.joints[row] - joints, axis=1).mean()
                if apart > _ELSEWHERE:
                    starts = states_at_joints(self.model, hand.side, joints, hand.expected.shape[0])
                    tried += [
                        (row, replace(hand, start=starts.take([number])))
                        for number in range(len(starts.wrist))
                    ]
        if not tried:
            return fit
        others = self._fit([hand for _, hand in tried], views, depth)
        for place, (row, _) in enumerate(tried):
            if others.cost[place] < fit.cost[row]:
                fit = fit.with_hand(row, others, place)
        return fit

    def _fit(
        self, hands: Sequence[HandEvidence], views: dict[str, View], depth: View | None,
        cloud: Array | None = None,
    ) -> Fit:  # fmt: skip
        """Fit all hands; near, where points (B, K, 3) on them are given."""
        config, near = self._config, cloud is not None
        measurements = replace(self._measurements(hands, views, depth, near), cloud=cloud)
        mean = stack_states([hand.expected for hand in hands])
        problem = Problem(
            model=self.model,
            sides=np.array([hand.side for hand in hands]),
            measurements=measurements,
            prior=Prior(
                mean=mean,
                precision=np.stack([self._precision(hand) for hand in hands]),
                shape_precision=np.stack([hand.shape_precision for hand in hands]),
                shape_knowledge=np.stack([hand.shape_knowledge for hand in hands]),
            ),
            noise=config.near if near else config.noise,
            rate=np.stack([hand.rate for hand in hands]),
        )
        start = stack_states([hand.beginning for hand in hands])
        fit = problem.fit(start, config.near_iterations if near else config.iterations)
        points = measurements.points
        if points is None or measurements.joints is None:
            return fit
        # What was not measured was not believed either.
        return replace(fit, point_weights=fit.point_weights * np.isfinite(points.sigma))

    def _measurements(
        self, hands: Sequence[HandEvidence], views: dict[str, View], depth: View | None,
        near: bool = False,
    ) -> Measurements:  # fmt: skip
        joints = [hand.joints for hand in hands]
        return Measurements(
            points=self._points(hands, views),
            depth=depth.depth_measurement() if depth else None,
            joints=joint_measurements(joints, views, near),
            pixels=pixel_measurements(joints, views),
        )

    def _precision(self, hand: HandEvidence) -> Array:
        """Return how much the prediction counts (P - K,)."""
        if hand.elapsed is None:
            return np.zeros(self.freedom)
        motion = self._config.motion
        angles = [motion.angle] * (self.freedom - 6)
        sigma = np.array([motion.rotation] * 3 + [motion.wrist] * 3 + angles)
        return 1.0 / (sigma * _frames(hand.elapsed)) ** 2

    def _points(
        self, hands: Sequence[HandEvidence], views: dict[str, View]
    ) -> PointMeasurements | None:
        """Bring the landmarks of all streams to the lens-free image plane."""
        names = [name for name in views if any(name in hand.landmarks for hand in hands)]
        if not names:
            return None
        shape = (len(names), len(hands), JOINT_COUNT)
        points, sigma = np.zeros((*shape, 2)), np.full(shape, np.inf)
        relative, hint_sigma = np.zeros(shape), np.full(shape[:2], np.inf)
        for row, name in enumerate(names):
            camera = views[name].camera
            focal = (camera.intrinsics[0, 0] + camera.intrinsics[1, 1]) / 2
            for column, hand in enumerate(hands):
                seen = hand.landmarks.get(name)
                if seen is None:
                    continue
                points[row, column] = camera.undistort(seen.points)
                size = seen.region.size / focal
                # Landmarks outside of the image are guesses.
                sigma[row, column] = (
                    self._sigma * size * np.where(camera.contains(seen.points), 1.0, 4.0)
                )
                hint_sigma[row, column] = self._depth_sigma[self._modalities[name]] * size
                relative[row, column] = (seen.relative_depth - seen.relative_depth[0]) / focal
        chosen = [views[name] for name in names]
        return PointMeasurements(
            **camera_arrays(chosen),
            points=points,
            sigma=sigma,
            relative_depth=relative,
            hint_sigma=hint_sigma,
        )


def _frames(elapsed: float) -> float:
    """Return how many times as far as in a thirtieth of a second a hand strays, at least half."""
    return max(elapsed / _FRAME, 0.5)
