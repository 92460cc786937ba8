"""LandmarkEstimator: MediaPipe's hand networks on every stream, lifted to metric hand poses."""

from typing import Any

from hand_pose_ros.estimators.flat_tracking import FlatTracker
from hand_pose_ros.estimators.hand_follower import HandFollower
from hand_pose_ros.estimators.hand_search import HandSearch
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig, landmarks_config
from hand_pose_ros.estimators.metric_lift import MetricLift
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.estimators.observations import Observer
from hand_pose_ros.estimators.rig_views import modalities_of
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.estimators.stream_schedule import StreamSchedule
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.rig.model import RigDescription

# 2D modalities, the one in which landmarks lie best on the hand first.
_PREFERRED: tuple[Modality, ...] = ('rgb', 'nir', 'thermal')


class LandmarkEstimator(HandFollower):
    """Follows both hands with landmarks and depth.

    Attributes:
        name: registered name.
        model_hash: hash of the network weights in use.
        timings: seconds per stage of the last frame: detect_2d, track, fit, mesh.
        config: the options in use.
    """

    name = 'landmarks'

    def __init__(
        self,
        config: LandmarksConfig | dict[str, Any] | None = None,
        rig: RigDescription | None = None,
        networks: HandNetworks | None = None,
    ) -> None:
        """Load the models.

        Args:
            config: options, typed or as a dictionary.
            rig: names the modality of each stream; without it streams are called by modality.
            networks: loaded networks to share, or None to load them.

        Raises:
            HandPoseError: an option or a model file cannot be used.
        """
        options = config if isinstance(config, LandmarksConfig) else landmarks_config(config)
        modalities = modalities_of(rig)
        networks = networks or load_networks(options.threads)
        self.model_hash = networks.model_hash
        timer = StageTimer('detect_2d', 'track', 'fit', 'mesh')
        lift = MetricLift(load_hand_model('right'), load_landmark_model(), modalities, options)
        super().__init__(
            options,
            modalities,
            lift,
            landmark_search(lift, networks, modalities, options, timer),
            timer,
            flat=FlatTracker(networks, modalities, options),
        )


def landmark_search(
    lift: MetricLift,
    networks: HandNetworks,
    modalities: dict[str, Modality],
    config: LandmarksConfig,
    timer: StageTimer,
) -> HandSearch:
    """Return what finds landmarks in the 2D streams, the best of them looked at first."""
    order = config.streams or sorted(
        (name for name, modality in modalities.items() if modality in _PREFERRED),
        key=lambda name: _PREFERRED.index(modalities[name]),
    )
    schedule = StreamSchedule(order, config.streams_per_frame, config.time_budget)
    return HandSearch(lift.model, Observer(networks, modalities), schedule, config, timer)
