"""FusionEstimator: all our networks and landmarks, combined by one fit of the hand model."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hand_pose_ros.errors import HandPoseError, ModelError, RigError
from hand_pose_ros.estimators.flat_tracking import FlatTracker
from hand_pose_ros.estimators.fusion_config import STAGES, FusionConfig
from hand_pose_ros.estimators.fusion_stages import Finder, FusionStages, Refiner
from hand_pose_ros.estimators.hand_follower import HandFollower
from hand_pose_ros.estimators.hand_search import LandmarkSearch
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.landmarks import landmark_search
from hand_pose_ros.estimators.landmarks_config import LandmarksConfig, with_options
from hand_pose_ros.estimators.metric_lift import MetricLift
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.network_runtime import device_of
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.estimators.rig_views import View, modalities_of
from hand_pose_ros.estimators.stage_timer import StageTimer
from hand_pose_ros.estimators.tracking import Track
from hand_pose_ros.hand_model.kinematics import HandState
from hand_pose_ros.hand_model.model_files import load_hand_model
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.rig.model import RigDescription

_LOG = logging.getLogger(__name__)


class FusionEstimator(HandFollower):
    """Follows both hands with everything that sees them.

    Attributes:
        name: registered name.
        model_hash: one hash of all weights in use.
        timings: seconds per stage of the last frame: each network by name, detect_2d (landmarks),
            track, fit, mesh.
        config: the options in use.
        missing: why a stage takes no part, by name.
    """

    name = 'fusion'

    def __init__(
        self,
        config: FusionConfig | dict[str, Any] | None = None,
        rig: RigDescription | None = None,
        networks: HandNetworks | None = None,
        loaded: dict[str, LoadedNetwork] | None = None,
    ) -> None:
        """Load the models of all stages.

        Args:
            config: options, typed or as a dictionary.
            rig: names the modality of each stream; without it streams are called by modality.
            networks: loaded landmark networks to share, or None to load them.
            loaded: networks used instead of the trained models, by stage.

        Raises:
            HandPoseError: an option or a model that it names cannot be used, or no stage is left.
        """
        options = (
            config if isinstance(config, FusionConfig) else with_options(FusionConfig(), config)
        )
        for stage in options.stages:
            if stage not in STAGES:
                raise HandPoseError(f'stage {stage!r} does not exist: use {", ".join(STAGES)}')
        device_of(options.device)
        modalities = modalities_of(rig)
        self.missing: dict[str, str] = {}
        hashes = []
        stages: dict[str, Finder | Refiner] = {}
        for stage in options.stages:
            if stage == 'landmarks':
                continue
            try:
                made = _make(stage, _stage_config(options, stage), modalities, loaded or {})
            except (ModelError, RigError) as error:
                own = getattr(options, stage)
                if own.model or own.stream:
                    raise
                self._leave_out(stage, error)
            else:
                stages[stage] = made
                hashes.append(made.loaded.model_hash)
        if 'landmarks' in options.stages and networks is None:
            try:
                networks = load_networks(options.threads)
            except ModelError as error:
                self._leave_out('landmarks', error)
        if 'landmarks' not in options.stages:
            networks = None
        if networks is not None:
            hashes.append(networks.model_hash)
        if not hashes:
            raise ModelError(f'fusion has nothing to see hands with: {_reasons(self.missing)}')
        self.model_hash = hashlib.sha256(''.join(hashes).encode()).hexdigest()
        if not stages and options.inflation == FusionConfig.inflation:
            # How far landmarks alone err was measured by itself.
            options = replace(options, inflation=LandmarksConfig.inflation)
        timer = StageTimer(*stages, 'detect_2d', 'track', 'fit', 'mesh')
        lift = MetricLift(load_hand_model('right'), load_landmark_model(), modalities, options)
        finder: Any = stages.pop('therformer', None)
        refiners: Any = stages
        search: LandmarkSearch = NoLandmarks()
        flat = None
        if networks is not None:
            search = landmark_search(lift, networks, modalities, options, timer)
            flat = FlatTracker(networks, modalities, options)
        super().__init__(
            options, modalities, lift, search, timer,
            flat=flat, networks=FusionStages(finder, refiners, timer),
        )  # fmt: skip

    def _leave_out(self, stage: str, error: HandPoseError) -> None:
        self.missing[stage] = str(error)
        _LOG.warning('fusion goes on without %s: %s', stage, error)


class NoLandmarks:
    """Finds nothing: what takes the place of the landmark networks where they are not used."""

    def reset(self) -> None:
        """Nothing is kept."""

    def spent(self, seconds: float) -> None:
        """Nothing can be saved."""

    def begin(self, views: dict[str, View]) -> None:
        """Nothing is looked at."""

    def follow(
        self,
        tracks: Sequence[Track],
        expected: Sequence[HandState],
        views: dict[str, View],
        hands: Sequence[Sequence[NetworkHand]],
    ) -> list[dict[str, HandLandmarks]]:
        """Return no landmarks for any track."""
        return [{} for _ in tracks]

    def find(
        self, stamp: int, tracks: Sequence[Track], views: dict[str, View], room: int
    ) -> tuple[str, list[HandLandmarks]]:
        """Return no hands."""
        return '', []


def _stage_config(config: FusionConfig, stage: str) -> ModelConfig:
    """Return a stage's options, device and runtime taken over where it leaves them open."""
    own: ModelConfig = getattr(config, stage)
    return replace(
        own,
        device=config.device if own.device == 'auto' else own.device,
        runtime=config.runtime if own.runtime == 'auto' else own.runtime,
    )


def _make(
    stage: str,
    config: ModelConfig,
    modalities: dict[str, Modality],
    loaded: dict[str, LoadedNetwork],
) -> Any:
    """Load the network of a stage."""
    if stage == 'therformer':
        from hand_pose_ros.estimators.therformer import TherFormerFinder

        return TherFormerFinder(config, modalities, loaded.get(stage))
    if stage == 'densereg':
        from hand_pose_ros.estimators.densereg import DenseRegRefiner

        return DenseRegRefiner(config, modalities, loaded.get(stage))
    from hand_pose_ros.estimators.wildhands import WildHandsRefiner

    modality: Modality = 'thermal' if stage == 'wildhands_thermal' else 'rgb'
    return WildHandsRefiner(config, modalities, loaded.get(stage), modality=modality)


def _reasons(missing: dict[str, str]) -> str:
    return '; '.join(f'{stage}: {reason}' for stage, reason in missing.items()) or 'stages is empty'
