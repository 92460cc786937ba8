"""HandPose: one hand as estimators and the simulation report it."""

from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.skeleton import Side

Array = NDArray[np.float64]
State = Literal['tracked', 'predicted', 'lost']


@dataclass(frozen=True, kw_only=True, eq=False)
class HandModelParameters:
    """MANO-style parameters of a fitted hand, in the frame of the hand pose.

    Attributes:
        global_orient: (3,) axis-angle, rad.
        hand_pose: (15, 3) axis-angle in MANO finger order, flat-hand zero, rad.
        betas: (10,) shape coefficients.
        translation: (3,) metres, added after skinning (wrist = J0(betas) + translation).
    """

    global_orient: Array
    hand_pose: Array
    betas: Array
    translation: Array


# In the order in which hand models take them.
MODEL_PARAMETERS = tuple(entry.name for entry in fields(HandModelParameters))


@dataclass(frozen=True, kw_only=True, eq=False)
class HandPose:
    """One hand at the frame's reference stamp, in the frame's ``frame_id``.

    Attributes:
        side: ``left`` or ``right``, the physical hand.
        track_id: identity over time, unique within a run, from 1.
        state: ``tracked`` (seen now), ``predicted`` (briefly unseen or unsure), ``lost`` (reported
            once).
        score: probability in 0..1 that this is a hand of that side and in this place.
        joints: (21, 3) metres, filtered; None when only 2D is known (no calibration).
        joints_raw: (21, 3) metres before temporal filtering; None with joints.
        confidence: (21,) in 0..1 per joint.
        covariance: (21, 3, 3) square metres; None with joints.
        joints_2d: per stream used, (21, 2) pixels of the native image.
        sources: streams whose measurements entered the pose.
        parameters: fitted hand model, or None.
        vertices: (V, 3) metres, or None when no mesh was made.
    """

    side: Side
    track_id: int
    state: State
    score: float
    joints: Array | None
    joints_raw: Array | None = None
    confidence: Array = field(default_factory=lambda: np.zeros(21))
    covariance: Array | None = None
    joints_2d: dict[str, Array] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    parameters: HandModelParameters | None = None
    vertices: Array | None = None

    @property
    def sigma(self) -> Array | None:
        """Standard deviation per joint (21,): root mean of the three variances, metres."""
        if self.covariance is None:
            return None
        return np.sqrt(np.trace(self.covariance, axis1=1, axis2=2) / 3.0)
