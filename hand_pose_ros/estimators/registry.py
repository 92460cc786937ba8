"""Estimators by name."""

from collections.abc import Callable
from typing import Any

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.rig.model import RigDescription


def _landmarks(config: dict[str, Any] | None, rig: RigDescription | None) -> Estimator:
    from hand_pose_ros.estimators.landmarks import LandmarkEstimator

    return LandmarkEstimator(config, rig)


def _therformer(config: dict[str, Any] | None, rig: RigDescription | None) -> Estimator:
    from hand_pose_ros.estimators.therformer import TherFormerEstimator

    return TherFormerEstimator(config, rig)


def _wildhands(config: dict[str, Any] | None, rig: RigDescription | None) -> Estimator:
    from hand_pose_ros.estimators.wildhands import WildHandsEstimator

    return WildHandsEstimator(config, rig)


def _densereg(config: dict[str, Any] | None, rig: RigDescription | None) -> Estimator:
    from hand_pose_ros.estimators.densereg import DenseRegEstimator

    return DenseRegEstimator(config, rig)


def _fusion(config: dict[str, Any] | None, rig: RigDescription | None) -> Estimator:
    from hand_pose_ros.estimators.fusion import FusionEstimator

    return FusionEstimator(config, rig)


# Name -> maker; a maker imports its estimator only when it is asked for.
ESTIMATORS: dict[str, Callable[[dict[str, Any] | None, RigDescription | None], Estimator]] = {
    'landmarks': _landmarks,
    'therformer': _therformer,
    'wildhands': _wildhands,
    'densereg': _densereg,
    'fusion': _fusion,
}


def create(
    name: str, config: dict[str, Any] | None = None, rig: RigDescription | None = None
) -> Estimator:
    """Make an estimator.

    Args:
        name: registered name.
        config: its options; those that are left out have their defaults.
        rig: the rig whose frames it will get.

    Raises:
        HandPoseError: the name or an option does not exist, or a model file cannot be used.
    """
    if name not in ESTIMATORS:
        known = ', '.join(ESTIMATORS)
        raise HandPoseError(f'estimator {name!r} does not exist: use one of {known}')
    return ESTIMATORS[name](config, rig)
