"""DenseReg live: the joints of each hand from a cube of the depth image."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.errors import HandPoseError, RigError
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.estimators.network_estimator import NetworkEstimator
from hand_pose_ros.estimators.network_hands import (
    NetworkHand,
    NetworkNoise,
    image_pixels,
    usable,
)
from hand_pose_ros.estimators.network_images import Rectifier
from hand_pose_ros.estimators.network_locators import make_locators
from hand_pose_ros.estimators.network_runtime import device_of, load_model
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.dense_crop import crop_cubes
from hand_pose_ros.networks.dense_hands import find_hands, look_turns
from hand_pose_ros.networks.dense_votes import DenseJoints
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.rig.model import RigDescription

Array = NDArray[np.float64]

# Until a card says better: errors of a small network on simulated images.
NOISE = NetworkNoise(across=0.004, along=0.004, shape=0.009)
_SIZE = (320, 240)  # of the images it was trained on
_SIDE = 0.28  # metres, of the cube
# Metres; joints whose votes spread this far, or that are expected to be this far off, are believed
# by half.
_DOUBTFUL, _WRONG = 0.025, 0.03
_PER_SPREAD = 0.5  # standard deviation of a joint, in spreads of its votes
# Standard deviation of a joint that is expected to be _LIKELY metres off, in that distance: that of
# normal errors in space. Elsewhere it grows with the root alone: what else is fitted knows hidden
# joints no better than the network does.
_LIKELY, _PER_ERROR = 0.01, 0.63
_OFF_CENTRE = 0.03  # metres from the cube's centre to the hand beyond which it is cut anew
_NEAREST = 0.12  # metres


class DenseRegRefiner:
    """Runs the network on cubes around hands in a depth stream.

    Attributes:
        stream: name of the depth stream.
        loaded: the network and its card.
        knows_distance: whether the network sees how far away hands are.
    """

    source = 'densereg'

    def __init__(
        self,
        config: ModelConfig,
        modalities: dict[str, Modality],
        loaded: LoadedNetwork | None = None,
    ) -> None:
        """Load the network.

        Args:
            config: which model on which stream.
            modalities: modality of each stream by name.
            loaded: used instead of the model the configuration names.

        Raises:
            HandPoseError: there is no depth stream, or no usable model.
        """
        self.stream = depth_stream(config, modalities)
        self.loaded = loaded or load_model(self.source, config, 'depth')
        options = self.loaded.card.get('training', {}).get('options', {})
        self._side = float(options.get('side', _SIDE))
        self._noise = NOISE.from_card(self.loaded.card)
        self.knows_distance = self._noise.knows_distance
        self._rectifier = Rectifier(_SIZE)
        self._device = device_of(config.device)
        self._confidence = config.confidence

    def refine(
        self, views: dict[str, View], places: Sequence[tuple[int | None, Array]]
    ) -> list[NetworkHand | None]:
        """Return the hand at each place.

        Args:
            views: the calibrated streams.
            places: side (None when unknown: both are tried) and points (N, 3) of the hand in the
                results' frame.

        Returns:
            what is seen at each place, None where too few pixels show anything, the joints are too
            unsure or the depth image is missing.
        """
        view = views.get(self.stream)
        if view is None or not places:
            return [None] * len(places)
        rows: list[int] = []
        sides: list[int] = []
        centres: list[Array] = []
        for row, (side, points) in enumerate(places):
            centre = points.mean(axis=0) @ view.rotation.T + view.translation
            if np.isfinite(centre).all() and centre[2] > _NEAREST:
                tried = (0, 1) if side is None else (side,)
                rows += [row] * len(tried)
                sides += tried
                centres += [centre] * len(tried)
        found: list[NetworkHand | None] = [None] * len(places)
        if rows:
            for row, hand in zip(rows, self._hands(view, sides, np.array(centres)), strict=True):
                best = found[row]
                if hand is not None and (best is None or hand.presence > best.presence):
                    found[row] = hand
        return found

    @torch.inference_mode()
    def _hands(self, view: View, sides: list[int], centres: Array) -> list[NetworkHand | None]:
        seen = self._rectifier.metres(view)
        depth = torch.from_numpy(seen.pixels)[None, None].to(self._device)
        intrinsics = torch.from_numpy(seen.camera.intrinsics.astype(np.float32)).to(self._device)
        joints, sigma, confidence = self._run(depth, intrinsics, sides, centres)
        off = np.linalg.norm(np.nan_to_num(joints.mean(axis=1)) - centres, axis=1)
        again = np.flatnonzero(np.isfinite(joints).all(axis=(1, 2)) & (off > _OFF_CENTRE))
        if len(again):
            moved = joints[again].mean(axis=1)
            joints[again], sigma[again], confidence[again] = self._run(
                depth, intrinsics, [sides[row] for row in again], moved
            )
        return [
            self._hand(view, side, joints[row], sigma[row], confidence[row])
            for row, side in enumerate(sides)
        ]

    def _run(
        self, depth: Tensor, intrinsics: Tensor, sides: list[int], centres: Array
    ) -> tuple[Array, Array, Array]:
        """Return joints (N, 21, 3) in the camera, their deviations (N, 21) and confidences.

        Metres.
        """
        network, config = self.loaded.network, self.loaded.config
        count = config.looks * len(sides)
        crop = crop_cubes(
            depth.expand(count, -1, -1, -1),
            intrinsics.expand(count, -1, -1),
            torch.from_numpy(centres.astype(np.float32)).repeat(config.looks, 1).to(self._device),
            self._side,
            mirrored=torch.tensor([side == 0 for side in sides] * config.looks).to(self._device),
            turn=look_turns(config.turns, len(sides)).to(self._device),
        )
        fields = network(crop.channels(unseen=config.unseen))[-1]
        hands = find_hands(fields, crop, looks=config.looks, complete=network.completer)
        joints, sigma, confidence = (
            value.double().cpu().numpy() for value in (hands.joints, *sureness(hands))
        )
        return joints, sigma, confidence

    def _hand(
        self, view: View, side: int, joints: Array, sigma: Array, confidence: Array
    ) -> NetworkHand | None:
        if not usable(joints):
            return None
        if confidence.mean() < self._confidence:
            return None
        return NetworkHand(
            source=self.source,
            stream=self.stream,
            side=side,
            joints=joints,
            pixels=image_pixels(joints, view),
            confidence=confidence,
            noise=self._noise,
            spread=sigma,
        )


class DenseRegEstimator(NetworkEstimator):
    """Reports what DenseReg sees where a locator or the track says that hands are."""

    name = 'densereg'

    def __init__(
        self,
        config: Any = None,
        rig: RigDescription | None = None,
        loaded: LoadedNetwork | None = None,
    ) -> None:
        """Load the network; see ``NetworkEstimator``."""
        super().__init__(config, rig)
        self._refiner = DenseRegRefiner(self.config, self.modalities, loaded)
        self._locators = make_locators(
            self.config, self._refiner.stream, self.modalities, ('therformer', 'track', 'blobs')
        )
        self.use(self._refiner.loaded)

    def look(self, views: dict[str, View], expected: dict[int, Array]) -> list[NetworkHand]:
        """Return the hands in the depth image."""
        if self._refiner.stream not in views:
            return []
        found = self._locators.locate(views, expected)
        places = [(place.side, place.joints) for place in found if place.joints is not None]
        hands = [hand for hand in self._refiner.refine(views, places) if hand is not None]
        hands.sort(key=lambda hand: -hand.presence)
        if len(hands) == 2 and hands[0].side == hands[1].side:
            # The side of a blob was a guess, and the surer one keeps it.
            hands = hands[:1]
        return hands

    def forget(self) -> None:
        """Forget earlier images."""
        self._locators.reset()


def sureness(hands: DenseJoints) -> tuple[Tensor, Tensor]:
    """Return the standard deviation of each joint beside the network's noise, and its confidence.

    Both (N, 21); the first in metres. What the network expects of its errors says more than how
    far votes spread.
    """
    if hands.error is None:
        sigma = _PER_SPREAD * hands.spread
        doubt = hands.spread / _DOUBTFUL
    else:
        sigma = _PER_ERROR * (_LIKELY * hands.error).sqrt()
        doubt = hands.error / _WRONG
    return sigma, 1.0 / (1.0 + doubt.square())


def depth_stream(config: ModelConfig, modalities: dict[str, Modality]) -> str:
    """Return the depth stream an option names, or the first one.

    Raises:
        RigError: there is none.
        HandPoseError: the named stream is no depth stream.
    """
    streams = [name for name, modality in modalities.items() if modality == 'depth']
    if config.stream and config.stream not in streams:
        raise HandPoseError(
            f'stream {config.stream!r} is no depth stream of the rig: use one of '
            f'{", ".join(streams) or "none"}'
        )
    if not streams:
        raise RigError('densereg needs a depth stream and the rig has none: add a camera')
    return config.stream or streams[0]
