"""Results: hand poses as they are reported, from tracks and fits."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.metric_lift import HandEvidence
from hand_pose_ros.estimators.plausibility import mean_variance
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.estimators.tracking import Track
from hand_pose_ros.hand_model.fitting import Fit, rotation_vectors
from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.hand_model.model_files import HandModelData, mirrored
from hand_pose_ros.skeleton import JOINT_COUNT, SIDES

Array = NDArray[np.float64]

_CONFIDENT = 0.02  # metres; a joint this uncertain is believed by half
_HELD_SCORE = 0.3  # most for a hand without landmarks
_DRIFT = 0.5  # metres a second by which a prediction becomes uncertain
_ALONE = 1.5  # a fit leaves a hand no less sure than so many sigmas of the surest network


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """A hand pose that still lacks its filtered joints and mesh."""

    pose: HandPose
    side: int
    state: HandState | None


class ResultMaker:
    """Turns tracks into hand poses."""

    def __init__(self, data: HandModelData, model: FittingModel, config: LandmarksConfig) -> None:
        """Prepare both hands' meshes."""
        self._model, self._config = model, config
        self._hands = [HandModel(mirrored(data)), HandModel(data)]
        # When each track was last seen, and how surely.
        self._seen: dict[int, tuple[int, Array]] = {}

    def tracked(
        self, track: Track, fit: Fit, row: int, seen: HandEvidence, score: float,
        depth: View | None, stamp: int,
    ) -> Draft:  # fmt: skip
        """Return a hand that was seen in this frame, with its ``tracked_score``."""
        covariance = stated_covariance(fit, row, seen, self._config.inflation)
        if not seen.is_recognised:
            covariance = covariance + np.eye(3) * 0.02**2
        self._seen[track.number] = stamp, covariance
        pixels = _pixels(seen)
        sources = [*seen.landmarks, *(name for name in pixels if name not in seen.landmarks)]
        if depth is not None and fit.depth_points[row] > 0 and depth.name not in sources:
            sources.append(depth.name)
        pose = HandPose(
            side=SIDES[track.side],
            track_id=track.number,
            state='tracked',
            score=score,
            joints=fit.joints[row],
            joints_raw=fit.joints[row],
            confidence=_confidence(covariance, score),
            covariance=covariance,
            joints_2d=pixels,
            sources=tuple(sources),
        )
        return Draft(pose=pose, side=track.side, state=track.filtered(stamp))

    def predicted(self, track: Track, stamp: int) -> Draft | None:
        """Return a hand that was not seen in this frame but is expected; None if it never was.

        One that is followed though the images speak against it becomes no surer by that, and no
        less sure than one that was lost.
        """
        if track.number not in self._seen:
            return None
        longest = self._config.tracking.prediction
        since, covariance = self._seen[track.number]
        unseen = min((stamp - since) * 1e-9, longest)
        covariance = covariance + np.eye(3) * (_DRIFT * unseen) ** 2
        share = 1.0 - (stamp - track.stamp) * 1e-9 / max(longest, 1e-9)
        score = track.presence * float(np.clip(share, 0.0, 1.0)) * 0.5
        pose = HandPose(
            side=SIDES[track.side],
            track_id=track.number,
            state='predicted',
            score=score,
            joints=np.zeros((JOINT_COUNT, 3)),
            confidence=_confidence(covariance, score),
            covariance=covariance,
        )
        return Draft(pose=pose, side=track.side, state=track.predict(stamp))

    def lost(self, track: Track) -> Draft | None:
        """Return the one report that a hand is lost, without its last pose; None if never seen."""
        if self._seen.pop(track.number, None) is None:
            return None
        pose = HandPose(
            side=SIDES[track.side], track_id=track.number, state='lost', score=0.0, joints=None
        )
        return Draft(pose=pose, side=track.side, state=None)

    def finish(self, drafts: list[Draft]) -> list[HandPose]:
        """Fill in filtered joints, parameters and meshes."""
        return [self._finish(draft) for draft in drafts]

    def _finish(self, draft: Draft) -> HandPose:
        state = draft.state
        if state is None:
            return draft.pose
        sides = np.array([draft.side])
        betas = np.zeros((1, 10))
        betas[:, : state.shape.shape[1]] = state.shape
        values: dict[str, Any] = {
            'global_orient': rotation_vectors(state.rotation),
            'hand_pose': self._model.hand_pose(state.angles, sides),
            'betas': betas,
            'translation': self._model.translation(state, sides),
        }
        hand = self._hands[draft.side]
        vertices = None
        if self._config.mesh:
            joints, meshes = hand.forward(**values)
            vertices = meshes[0]
        else:
            joints = hand.joints(**values)
        raw = draft.pose.joints_raw
        return replace(
            draft.pose,
            joints=joints[0],
            joints_raw=joints[0] if raw is None else raw,
            parameters=HandModelParameters(**{name: value[0] for name, value in values.items()}),
            vertices=vertices,
        )


def tracked_score(
    track: Track, fit: Fit, row: int, seen: HandEvidence, views: dict[str, View]
) -> float:
    """Return the probability in 0..1 that a fitted hand is one of its side and in its place."""
    if not seen.is_recognised:
        return _HELD_SCORE * float(fit.depth_share[row])
    belief = float(np.clip(seen.belief(fit, row) / 0.6, 0.0, 1.0))
    return float(np.clip(track.presence * belief * _in_view(_pixels(seen), views), 0.0, 1.0))


def stated_covariance(fit: Fit, row: int, seen: HandEvidence, inflation: float) -> Array:
    """Return the covariance (21, 3, 3) that a fitted hand is reported with, square metres.

    Args:
        fit, row: the hand.
        seen: what it was fitted to.
        inflation: factor on standard deviations: what a fit takes for independent errs alike. Of
            that a network's joints alone have little.
    """
    covariance: Array = fit.joint_covariance[row] * inflation**2
    surest = min((mean_variance(hand.covariance) for hand in seen.joints), default=np.inf)
    return covariance * min(1.0, _ALONE**2 * surest / mean_variance(covariance))


def _pixels(seen: HandEvidence) -> dict[str, Array]:
    """Return the joints (21, 2) that were seen in each image."""
    pixels = {hand.stream: hand.pixels for hand in seen.joints}
    pixels.update((name, hand.points) for name, hand in seen.landmarks.items())
    return pixels


def _in_view(pixels: dict[str, Array], views: dict[str, View]) -> float:
    """Return the share of the joints inside the image that shows most of them."""
    shares = (views[name].camera.contains(points).mean() for name, points in pixels.items())
    return float(max(shares, default=0.0))


def _confidence(covariance: Array, score: float) -> Array:
    variance = np.trace(covariance, axis1=1, axis2=2) / 3.0
    return np.clip(score, 0.0, 1.0) / (1.0 + variance / _CONFIDENT**2)
