"""Tracking: the identity, side, motion and shape of each hand over time."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.landmarks_config import LandmarksConfig
from hand_pose_ros.estimators.one_euro import OneEuro, OneEuroRotation
from hand_pose_ros.hand_model.fitting import Fit, rotation_vectors
from hand_pose_ros.hand_model.kinematics import HandState
from hand_pose_ros.skeleton import WRIST

Array = NDArray[np.float64]

_VOTE_LIMIT, _VOTES_LIMIT = 3.0, 40.0
# Log-odds by which the other assignment of sides must be better before sides are changed.
_SWITCH_MARGIN = 6.0
_RATE_GAIN, _PRESENCE_GAIN = 0.6, 0.4
_RATE_LIMITS = (15.0, 3.0, 12.0)  # rad/s, m/s, rad/s: nothing human is faster for long
_FROZEN = 1e6
_LEAST_TRUST = 0.1  # of a direction that is much less certain than another
# A prediction slows down with this time constant, seconds.
_SLOWING = 0.12


@dataclass
class Track:
    """One hand over time.

    Attributes:
        number: identity, unique within a run.
        side: 0 left, 1 right.
        votes: log-odds of a right hand, summed over its landmarks.
        state: last fitted state.
        rate: (P - K,) rates of change of rotation, wrist and angles, per second.
        stamp: of the last fit, nanoseconds.
        seen: stamp at which landmarks last showed the hand.
        born: stamp of the first fit.
        shape_precision: (K, K) knowledge of the shape.
        shape_frozen: whether the shape is settled.
        presence: smoothed probability of being a hand.
        poor: consecutive frames in which the fit did not explain the images.
    """

    number: int
    side: int
    votes: float
    state: HandState
    rate: Array
    stamp: int
    seen: int
    born: int
    shape_precision: Array
    config: LandmarksConfig
    shape_frozen: bool = False
    presence: float = 0.5
    poor: int = 0
    fitted: bool = False
    _trust: Array = field(init=False)
    _position: OneEuro = field(init=False)
    _rotation: OneEuroRotation = field(init=False)
    _angles: OneEuro = field(init=False)

    def __post_init__(self) -> None:
        """Make the filters."""
        self.restart_filters()

    def restart_filters(self) -> None:
        """Forget what was filtered, as after a change of pose that was no motion."""
        self._trust = np.ones(3)
        self._position = OneEuro(self.config.position_filter)
        self._rotation = OneEuroRotation(self.config.rotation_filter)
        self._angles = OneEuro(self.config.angle_filter)

    def vote(self, right_probability: float, presence: float) -> None:
        """Count one look at the side."""
        bounded = float(np.clip(right_probability, 1e-6, 1.0 - 1e-6))
        odds = float(np.clip(np.log(bounded / (1.0 - bounded)), -_VOTE_LIMIT, _VOTE_LIMIT))
        self.votes = float(np.clip(self.votes + presence * odds, -_VOTES_LIMIT, _VOTES_LIMIT))

    def look(self, presence: float) -> None:
        """Count one look at whether there is a hand, a probability in 0..1."""
        self.presence += _PRESENCE_GAIN * (presence - self.presence)

    def predict(self, stamp: int) -> HandState:
        """Return the state expected at a stamp: constant rates that fade out."""
        elapsed = max((stamp - self.stamp) * 1e-9, 0.0)
        effective = _SLOWING * (1.0 - np.exp(-elapsed / _SLOWING))
        step = np.concatenate([self.rate * effective, np.zeros(self.state.shape.shape[1])])
        return self.state.moved(step[None])

    def update(self, fit: Fit, row: int, stamp: int) -> None:
        """Take in the hand's row of a fit."""
        state = fit.state.take([row])
        elapsed = (stamp - self.stamp) * 1e-9
        if self.fitted and elapsed > 0:
            gain = _RATE_GAIN
            measured = _difference(state, self.state) / elapsed
            limits = np.full(len(measured), _RATE_LIMITS[2])
            limits[:3], limits[3:6] = _RATE_LIMITS[0], _RATE_LIMITS[1]
            measured = np.clip(measured, -limits, limits)
            self.rate = self.rate + gain * (measured - self.rate)
        # The direction that is known least, mostly the distance, is smoothed most.
        variance = np.diagonal(fit.joint_covariance[row, WRIST])
        ratio = variance.min() / np.maximum(variance, 1e-12)
        self._trust = np.maximum(ratio**1.5, _LEAST_TRUST)
        self._learn_shape(fit.information[row], stamp)
        self.state, self.stamp, self.fitted = state, stamp, True

    def prior_precision(self) -> Array:
        """Return the knowledge of the shape (K, K) to fit the next frame with."""
        if self.shape_frozen:
            return np.eye(len(self.shape_precision)) * _FROZEN
        return self.shape_precision / self.config.tracking.shape_trust

    def filtered(self, stamp: int) -> HandState:
        """Return the last fitted state, smoothed."""
        return HandState(
            rotation=self._rotation(self.state.rotation[0], stamp)[None],
            wrist=self._position(self.state.wrist, stamp, self._trust),
            angles=self._angles(self.state.angles, stamp),
            shape=self.state.shape,
        )

    def _learn_shape(self, information: Array, stamp: int) -> None:
        if self.shape_frozen:
            return
        tracking = self.config.tracking
        pose = len(information) - len(self.shape_precision)
        cross = information[:pose, pose:]
        body = information[:pose, :pose] + 1e-3 * np.eye(pose)
        left = information[pose:, pose:] - cross.T @ np.linalg.solve(body, cross)
        self.shape_precision = self.shape_precision + tracking.shape_trust * (left + left.T) / 2
        self.shape_frozen = (stamp - self.born) * 1e-9 >= tracking.shape_time


class Tracker:
    """Keeps the tracks, hands out identities and settles sides."""

    def __init__(self, config: LandmarksConfig, shapes: int, freedom: int) -> None:
        """Start without hands.

        Args:
            config: options.
            shapes: number of shape coefficients.
            freedom: number of pose parameters.
        """
        self._config = config
        self._shapes, self._freedom = shapes, freedom
        self._next = 1
        self.reset()

    def reset(self) -> None:
        """Forget all hands and their shapes, but never give an identity twice."""
        self.tracks: list[Track] = []
        self._shape: dict[int, tuple[Array, Array]] = {}

    def shape(self, side: int) -> tuple[Array, Array]:
        """Return what is known of a side's shape: mean (K,) and precision (K, K)."""
        other = self._shape.get(1 - side) if self._config.tracking.shared_shape else None
        unknown = np.zeros(self._shapes), np.eye(self._shapes)
        return self._shape.get(side) or other or unknown

    def new_number(self) -> int:
        """Return an identity that nobody has had."""
        number, self._next = self._next, self._next + 1
        return number

    def begin(
        self, side: int, votes: float, state: HandState, stamp: int, number: int | None = None
    ) -> Track:
        """Start a track, with a new identity unless one is given."""
        _, precision = self.shape(side)
        track = Track(
            number=self.new_number() if number is None else number,
            side=side,
            votes=votes,
            state=state,
            rate=np.zeros(self._freedom),
            stamp=stamp,
            seen=stamp,
            born=stamp,
            shape_precision=precision,
            config=self._config,
        )
        self.tracks.append(track)
        return track

    def end(self, track: Track) -> None:
        """Stop following a hand; what was learned of its shape is kept for the next one."""
        self.remember_shape(track)
        self.tracks = [other for other in self.tracks if other is not track]

    def remember_shape(self, track: Track) -> None:
        """Keep what a track knows about its side's shape."""
        self._shape[track.side] = track.state.shape[0], track.shape_precision

    def free_side(self, votes: float) -> int | None:
        """Return the side a new hand with these log-odds gets, or None when there is no room."""
        wanted = int(votes > 0)
        if not self._config.tracking.one_per_side:
            return wanted
        taken = {track.side for track in self.tracks}
        if wanted not in taken:
            return wanted
        return 1 - wanted if 1 - wanted not in taken else None

    def wrong_sides(self) -> list[Track]:
        """Return the tracks whose side should change, given all votes."""
        if not self._config.tracking.one_per_side:
            return [
                track
                for track in self.tracks
                if (1 if track.side else -1) * track.votes < -_SWITCH_MARGIN
            ]
        if len(self.tracks) == 1:
            track = self.tracks[0]
            return [track] if (1 if track.side else -1) * track.votes < -_SWITCH_MARGIN else []
        if len(self.tracks) == 2:
            right = next((track for track in self.tracks if track.side), self.tracks[0])
            left = next(track for track in self.tracks if track is not right)
            if right.votes - left.votes < -_SWITCH_MARGIN:
                return [left, right]
        return []


def _difference(state: HandState, before: HandState) -> Array:
    """Return the step (P - K,) from one state of a hand to another."""
    turn = rotation_vectors(state.rotation @ before.rotation.transpose(0, 2, 1))[0]
    return np.concatenate(
        [turn, state.wrist[0] - before.wrist[0], state.angles[0] - before.angles[0]]
    )
