"""Network tracking: identity, state and smoothing of the hands a network tells apart by side."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.network_config import SideTrackingConfig
from hand_pose_ros.estimators.one_euro import OneEuro
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

_RATE_GAIN = 0.5
_FASTEST = 3.0  # m/s
_SLOWING = 0.12  # a prediction slows down with this time constant, seconds
_DRIFT = 0.5  # m/s by which a prediction becomes uncertain


@dataclass(frozen=True, kw_only=True, eq=False)
class Sighting:
    """One hand seen in one frame, in the frame of the results.

    Attributes:
        joints: (21, 3) metres.
        covariance: (21, 3, 3) square metres.
        confidence: (21,) in 0..1.
        joints_2d: (21, 2) pixels by stream.
        sources: streams it was seen in.
        lag: seconds from the frame's stamp to the image's.
        parameters: hand model, or None.
        vertices: (V, 3) metres, or None.
    """

    joints: Array
    covariance: Array
    confidence: Array
    joints_2d: dict[str, Array]
    sources: tuple[str, ...]
    lag: float = 0.0
    parameters: HandModelParameters | None = None
    vertices: Array | None = None

    def moved(self, step: Array) -> 'Sighting':
        """Return the hand somewhere else, a step (3,) away."""
        parameters = self.parameters
        if parameters is not None:
            parameters = replace(parameters, translation=parameters.translation + step)
        return replace(
            self,
            joints=self.joints + step,
            parameters=parameters,
            vertices=None if self.vertices is None else self.vertices + step,
        )


@dataclass
class _Track:
    """One hand over time: its last report and how it moves."""

    number: int
    pose: HandPose
    stamp: int
    place_filter: OneEuro
    shape_filter: OneEuro
    rate: Array = field(default_factory=lambda: np.zeros(3))

    def moved(self, stamp: int) -> Array:
        """How far (3,) the hand has gone since it was seen: a constant rate that fades out."""
        elapsed = max((stamp - self.stamp) * 1e-9, 0.0)
        return self.rate * _SLOWING * (1.0 - np.exp(-elapsed / _SLOWING))


class SideTracker:
    """Follows at most one left and one right hand."""

    def __init__(self, config: SideTrackingConfig) -> None:
        """Start without hands."""
        self._config = config
        self._next = 1
        self.reset()

    def reset(self) -> None:
        """Forget all hands, but never give an identity twice."""
        self._tracks: dict[int, _Track] = {}

    def expected(self, stamp: int) -> dict[int, Array]:
        """Return where the joints (21, 3) of the tracked hands should be, by side."""
        return {
            side: track.pose.joints + track.moved(stamp)
            for side, track in self._tracks.items()
            if track.pose.joints is not None
        }

    def update(self, stamp: int, seen: dict[int, Sighting]) -> list[HandPose]:
        """Take what was seen in a frame, by side; return the hands as they are reported."""
        poses = []
        for side in range(len(SIDES)):
            track = self._tracks.get(side)
            if side in seen:
                poses.append(self._tracked(side, track, seen[side], stamp))
            elif track is not None and (stamp - track.stamp) * 1e-9 > self._config.prediction:
                del self._tracks[side]
                poses.append(
                    HandPose(
                        side=SIDES[side],
                        track_id=track.number,
                        state='lost',
                        score=0.0,
                        joints=None,
                    )
                )
            elif track is not None:
                poses.append(self._predicted(track, stamp))
        return poses

    def _tracked(self, side: int, track: _Track | None, seen: Sighting, stamp: int) -> HandPose:
        new = track is None
        if track is None:
            track = self._begin(side, seen, stamp)
        seen = seen.moved(-seen.lag * track.rate)
        raw, place, before = seen.joints, seen.joints.mean(axis=0), track.pose.joints
        smooth = track.place_filter(place, stamp)
        shape = track.shape_filter(raw - place, stamp)
        elapsed = (stamp - track.stamp) * 1e-9
        if not new and before is not None and elapsed > 0:
            rate = (smooth - before.mean(axis=0)) / elapsed
            rate = rate * min(1.0, _FASTEST / max(float(np.linalg.norm(rate)), 1e-9))
            track.rate = track.rate + _RATE_GAIN * (rate - track.rate)
        seen = seen.moved(smooth - place)
        track.pose = HandPose(
            side=SIDES[side],
            track_id=track.number,
            state='tracked',
            score=float(np.clip(seen.confidence.mean(), 0.0, 1.0)),
            # Where there is a hand model, joints, parameters and mesh stay one hand.
            joints=smooth + shape if seen.parameters is None else seen.joints,
            joints_raw=raw,
            confidence=np.clip(seen.confidence, 0.0, 1.0),
            covariance=seen.covariance,
            joints_2d=seen.joints_2d,
            sources=seen.sources,
            parameters=seen.parameters,
            vertices=seen.vertices,
        )
        track.stamp = stamp
        return track.pose

    def _begin(self, side: int, seen: Sighting, stamp: int) -> _Track:
        pose = HandPose(
            side=SIDES[side], track_id=self._next, state='tracked', score=0.0, joints=seen.joints
        )
        track = _Track(
            number=self._next,
            pose=pose,
            stamp=stamp,
            place_filter=OneEuro(self._config.place_filter),
            shape_filter=OneEuro(self._config.shape_filter),
        )
        self._next += 1
        self._tracks[side] = track
        return track

    def _predicted(self, track: _Track, stamp: int) -> HandPose:
        elapsed = (stamp - track.stamp) * 1e-9
        share = 0.5 * max(0.0, 1.0 - elapsed / max(self._config.prediction, 1e-9))
        pose, step = track.pose, track.moved(stamp)
        assert pose.joints is not None and pose.covariance is not None
        parameters, vertices = pose.parameters, pose.vertices
        if parameters is not None:
            parameters = replace(parameters, translation=parameters.translation + step)
        joints = pose.joints + step
        return replace(
            pose,
            state='predicted',
            score=pose.score * share,
            joints=joints,
            joints_raw=joints,
            confidence=pose.confidence * share,
            covariance=pose.covariance + np.eye(3) * (_DRIFT * elapsed) ** 2,
            joints_2d={},
            sources=(),
            parameters=parameters,
            vertices=None if vertices is None else vertices + step,
        )
