"""Network estimator: what the estimators that are one network each have in common."""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.landmarks_config import with_options
from hand_pose_ros.estimators.network_config import NetworkConfig
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.network_tracking import SideTracker, Sighting
from hand_pose_ros.estimators.rig_views import View, modalities_of, views_of
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.estimators.time_jumps import is_jump
from hand_pose_ros.hand_model.fitting import rotation_vectors
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.hand_model.hand_pose import HandModelParameters, HandPose
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.rig.frame import RigFrame
from hand_pose_ros.rig.model import RigDescription

Array = NDArray[np.float64]


class NetworkEstimator(ABC):
    """Follows the hands that one network sees; subclasses say how it looks.

    Attributes:
        name: registered name.
        model_hash: SHA-256 (hex) of the network's weights.
        timings: seconds per stage of the last frame: network, track.
        config: the options in use.
        modalities: modality of each stream by name.
    """

    name = 'network'
    model_hash = ''

    def __init__(
        self,
        config: NetworkConfig | dict[str, Any] | None = None,
        rig: RigDescription | None = None,
    ) -> None:
        """Read the options.

        Args:
            config: options, typed or as a dictionary.
            rig: names the modality of each stream; without it streams are called by modality.

        Raises:
            HandPoseError: an option does not exist.
        """
        if not isinstance(config, NetworkConfig):
            config = with_options(NetworkConfig(), config)
        self.config: NetworkConfig = config
        self.modalities = modalities_of(rig)
        self._timer = StageTimer('network', 'track')
        self.timings = self._timer.seconds
        self._tracker = SideTracker(self.config.tracking)
        self._stamp: int | None = None

    def use(self, loaded: LoadedNetwork) -> None:
        """Take the identity of a network."""
        self.model_hash = loaded.model_hash

    @abstractmethod
    def look(self, views: dict[str, View], expected: dict[int, Array]) -> list[NetworkHand]:
        """Return what the network sees, at most one hand of each side.

        Args:
            views: the calibrated streams of the frame.
            expected: joints (21, 3) of the tracked hands in the results' frame, by side.
        """

    @abstractmethod
    def forget(self) -> None:
        """Forget earlier images."""

    def reset(self) -> None:
        """Forget all tracks, as after a jump of time."""
        self._tracker.reset()
        self.forget()
        self._stamp = None

    def estimate(self, frame: RigFrame) -> list[HandPose]:
        """Return the hands in one frame, expressed in ``frame.frame_id``."""
        self._timer.begin()
        self.timings = self._timer.seconds
        if is_jump(self._stamp, frame.stamp, self.config.tracking.gap):
            self.reset()
        self._stamp = frame.stamp
        views = views_of(frame)
        with self._timer.stage('network'):
            hands = self.look(views, self._tracker.expected(frame.stamp))
        with self._timer.stage('track'):
            seen = {hand.side: sighting(hand, views[hand.stream]) for hand in hands}
            return self._tracker.update(frame.stamp, seen)


def sighting(hand: NetworkHand, view: View) -> Sighting:
    """Return a hand in the frame of the results; ``view`` is its stream's."""
    covariance = view.rotation.T @ hand.covariance @ view.rotation
    vertices = hand.vertices
    return Sighting(
        joints=hand.joints_in(view),
        covariance=covariance,
        confidence=hand.confidence,
        joints_2d={hand.stream: hand.pixels},
        sources=(hand.stream,),
        lag=view.lag,
        parameters=_turned(hand, view),
        vertices=None if vertices is None else (vertices - view.translation) @ view.rotation,
    )


def _turned(hand: NetworkHand, view: View) -> HandModelParameters | None:
    """Return the parameters in the frame of the results.

    The rest wrist, about which the hand turns, is what the wrist lies away from the translation.
    """
    parameters = hand.parameters
    if parameters is None:
        return None
    orient = view.rotation.T @ rotation_matrices(parameters.global_orient)
    rest = hand.joints[0] - parameters.translation
    wrist = (hand.joints[0] - view.translation) @ view.rotation
    return replace(
        parameters, global_orient=rotation_vectors(orient[None])[0], translation=wrist - rest
    )
