"""Options of the landmarks estimator."""

import difflib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeVar

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators.one_euro import OneEuroConfig
from hand_pose_ros.hand_model.residuals import Noise

Config = TypeVar('Config')


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """How tracks begin, go on and end.

    Attributes:
        prediction: how long an unseen hand is predicted before it is lost, seconds.
        blob_time: how long a hand is held by its warmth or depth alone, seconds.
        gap: a pause between frames that forgets all tracks, seconds.
        duplicate: two tracks whose joints are nearer to each other than this on average are one
            hand, metres.
        shape_time: time over which a hand's shape is estimated before it is frozen, seconds.
        shape_trust: share of a frame's information about the shape that counts; frames err alike.
        shared_shape: whether both hands start from the same shape: one person wears the rig.
        one_per_side: at most one left and one right hand.
        least_score: recognised hands with a lower score are predicted, not tracked.
    """

    prediction: float = 0.15
    blob_time: float = 2.0
    gap: float = 1.0
    duplicate: float = 0.025
    shape_time: float = 4.0
    shape_trust: float = 0.005
    shared_shape: bool = True
    one_per_side: bool = True
    least_score: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """How freely a hand moves from one frame to the next: standard deviations after 1/30 s.

    Attributes:
        rotation: rad.
        wrist: metres.
        angle: of a finger joint, rad.
    """

    rotation: float = 0.12
    wrist: float = 0.015
    angle: float = 0.15


@dataclass(frozen=True, kw_only=True)
class LandmarksConfig:
    """Everything that can be set.

    Attributes:
        mesh: whether to make the mesh of each hand.
        max_hands: most hands to follow.
        streams: names of 2D streams to use, best first; empty for all of thermal, rgb, nir.
        streams_per_frame: most 2D streams looked at in each frame; the others take turns.
        time_budget: time a frame may take before fewer streams are looked at, seconds; 0 for as
            long as it takes. The inference node sets it from the rate of the reference camera.
        blobs: whether hand-like warm or near blobs are reported where no hand is recognised.
        use_depth: whether depth images are used.
        threads: cores for the networks.
        presence: least probability of the landmark network for a hand to count.
        palm_score: least probability of a palm to be looked at.
        palm_interval: least time between two runs of the palm detector, seconds.
        iterations: steps of a fit that starts from a track.
        cold_iterations: steps of a fit that starts from one image.
        surface: surface points laid onto the depth image.
        inflation: factor on standard deviations, calibrated on simulated hands.
        noise: weights of the residuals.
        near_iterations: steps of a second fit that lays hands onto their surface more exactly; 0
            for none.
        near: weights of its residuals.
        reach: hands farther than this from the rig's reference camera are none, metres.
        motion: weights of the prediction.
        tracking: see ``TrackingConfig``.
        position_filter: one-euro filter of the wrist, metres.
        rotation_filter: one-euro filter of the hand's rotation, rad.
        angle_filter: one-euro filter of the finger angles, rad.
    """

    mesh: bool = True
    max_hands: int = 2
    streams: tuple[str, ...] = ()
    streams_per_frame: int = 2
    time_budget: float = 0.0
    blobs: bool = True
    use_depth: bool = True
    threads: int = 2
    presence: float = 0.5
    palm_score: float = 0.5
    palm_interval: float = 0.1
    iterations: int = 2
    cold_iterations: int = 12
    surface: int = 128
    inflation: float = 1.5
    noise: Noise = field(default_factory=Noise)
    near_iterations: int = 0
    near: Noise = field(
        default_factory=lambda: Noise(depth=0.003, depth_front=0.010, depth_reach=0.030)
    )
    reach: float = 3.0
    motion: MotionConfig = field(default_factory=MotionConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    position_filter: OneEuroConfig = field(
        default_factory=lambda: OneEuroConfig(cutoff=1.0, slope=400.0, rest=0.02)
    )
    rotation_filter: OneEuroConfig = field(
        default_factory=lambda: OneEuroConfig(cutoff=1.0, slope=16.0)
    )
    angle_filter: OneEuroConfig = field(
        default_factory=lambda: OneEuroConfig(cutoff=1.0, slope=3.0)
    )


def landmarks_config(options: dict[str, Any] | None) -> LandmarksConfig:
    """Return the configuration with some options set, nested ones as dictionaries.

    Raises:
        HandPoseError: an option does not exist or has a value of another kind.
    """
    return with_options(LandmarksConfig(), options)


def with_options(config: Config, options: dict[str, Any] | None) -> Config:
    """Return a frozen configuration with some options set, nested ones as dictionaries.

    Raises:
        HandPoseError: an option does not exist or has a value of another kind.
    """
    return _set(config, options or {}, '')


def _set(config: Any, options: dict[str, Any], path: str) -> Any:
    if not isinstance(options, dict):
        raise HandPoseError(f'estimator option {path!r} takes a mapping, got {options!r}')
    known = [entry.name for entry in fields(config)]
    changes: dict[str, Any] = {}
    for key, value in options.items():
        name = f'{path}.{key}' if path else str(key)
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.0)[0]
            raise HandPoseError(f'estimator option {name!r} does not exist: did you mean {near}?')
        changes[key] = _value(getattr(config, key), value, name)
    return replace(config, **changes)


def _value(current: Any, value: Any, name: str) -> Any:
    """Return a value as the kind of the current one."""
    if is_dataclass(current):
        return _set(current, value, name)
    if isinstance(current, tuple):
        if isinstance(value, (list, tuple)) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        raise HandPoseError(f'estimator option {name!r} takes a list of names, got {value!r}')
    if isinstance(current, str):
        if isinstance(value, str):
            return value
        raise HandPoseError(f'estimator option {name!r} takes a text, got {value!r}')
    if isinstance(current, bool):
        if isinstance(value, bool):
            return value
        raise HandPoseError(f'estimator option {name!r} takes true or false, got {value!r}')
    whole = isinstance(current, int)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value < float('inf') or (whole and value != int(value)):
        kind = 'whole number' if whole else 'number'
        raise HandPoseError(f'estimator option {name!r} takes a {kind} from 0, got {value!r}')
    return type(current)(value)
