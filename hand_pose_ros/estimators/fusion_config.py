"""Options of the fusion estimator."""

from dataclasses import dataclass, field

from hand_pose_ros.estimators.landmarks_config import (
    LandmarksConfig,
    MotionConfig,
    TrackingConfig,
)
from hand_pose_ros.estimators.network_config import ModelConfig

STAGES = ('therformer', 'landmarks', 'densereg', 'wildhands', 'wildhands_thermal')


@dataclass(frozen=True, kw_only=True)
class FusionConfig(LandmarksConfig):
    """Everything that can be set: the options of ``landmarks`` and these.

    Attributes:
        iterations: steps of a fit that starts from a track; networks may pull it farther than
            landmarks do, so that two are not enough.
        near_iterations: steps of the second fit.
        reach: no arm is longer, measured from the head.
        motion: weights of the prediction; networks see hands anew in every frame, so that it counts
            less than with landmarks alone.
        tracking: TherFormer may see a left and a right hand in one; those that are two are farther
            apart. A hand that is more likely wrong than right is not tracked.
        blobs: TherFormer finds hands in any light, and what it does not find is rarely one.
        inflation: factor on standard deviations, calibrated on simulated hands; left as it is, that
            of ``landmarks`` holds without any network.
        stages: what takes part; those whose model is not installed or whose stream the rig does
            not have are left out.
        device: where networks run, unless a stage says otherwise.
        runtime: what runs them, unless a stage says otherwise.
        therformer, densereg, wildhands: see ``ModelConfig``.
        wildhands_thermal: the same of a second WildHands, which looks at thermal crops.
    """

    blobs: bool = False
    inflation: float = 4.1
    iterations: int = 4
    near_iterations: int = 4
    reach: float = 1.0
    motion: MotionConfig = field(
        default_factory=lambda: MotionConfig(rotation=0.24, wrist=0.03, angle=0.3)
    )
    tracking: TrackingConfig = field(
        default_factory=lambda: TrackingConfig(duplicate=0.045, least_score=0.5)
    )
    stages: tuple[str, ...] = STAGES
    device: str = 'auto'
    runtime: str = 'auto'
    therformer: ModelConfig = field(default_factory=ModelConfig)
    densereg: ModelConfig = field(default_factory=ModelConfig)
    wildhands: ModelConfig = field(default_factory=ModelConfig)
    wildhands_thermal: ModelConfig = field(default_factory=ModelConfig)
