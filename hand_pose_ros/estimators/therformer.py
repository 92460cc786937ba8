"""TherFormer live: both hands from the whole image of one stream, in any light."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.estimators.network_estimator import NetworkEstimator
from hand_pose_ros.estimators.network_hands import (
    NetworkHand,
    NetworkNoise,
    image_pixels,
    usable,
)
from hand_pose_ros.estimators.network_images import PinholeImage, Rectifier
from hand_pose_ros.estimators.network_runtime import device_of, load_model
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.estimators.trained_models import available
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.therformer import (
    SPREAD,
    TherFormerOutput,
    TherFormerStream,
    depth_image,
    hand_spread,
    hands_present,
    joint_confidence,
)
from hand_pose_ros.rig.frame import MODALITIES, Modality
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

# Until a card says better: errors of a small network on simulated images.
NOISE = NetworkNoise(across=0.012, along=0.030, shape=0.015, spread=SPREAD)
_GAP = 1.0  # seconds between two images after which the older ones say nothing


class TherFormerFinder:
    """Runs the network on each new image of its stream.

    Attributes:
        stream: name of the stream it sees.
        loaded: the network and its card.
    """

    source = 'therformer'

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
            HandPoseError: the stream or the model does not exist or cannot be used.
        """
        self.stream = _stream(config, modalities)
        self._modality = modalities[self.stream]
        self.loaded = loaded or load_model(self.source, config, self._modality)
        self._noise = NOISE.from_card(self.loaded.card)
        rows, columns = self.loaded.config.image_size
        self._rectifier = Rectifier((columns, rows))
        self._network = TherFormerStream(self.loaded.network)
        self._device = device_of(config.device)
        self._confidence = config.confidence
        self.reset()

    def reset(self) -> None:
        """Forget earlier images."""
        self._network.reset()
        self._stamp: int | None = None
        self._hands: list[NetworkHand] = []

    def look(self, views: dict[str, View]) -> list[NetworkHand]:
        """Return the hands in this frame's image, the most certain first; none without the image.

        Asked again for an image it has seen, it repeats its answer.
        """
        view = views.get(self.stream)
        if view is None:
            return []
        stamp = view.stream.stamp
        if self._stamp is not None and stamp == self._stamp:
            return self._hands
        if self._stamp is not None and not 0 < stamp - self._stamp <= _GAP * 1e9:
            self.reset()
        self._stamp = stamp
        if self._modality == 'depth':
            seen = self._rectifier.metres(view)
        else:
            seen = self._rectifier.grey_values(view, self._modality)
        self._hands = self._read(self._run(seen), seen, view)
        return self._hands

    @torch.inference_mode()
    def _run(self, seen: PinholeImage) -> TherFormerOutput:
        pixels = torch.from_numpy(seen.pixels).to(self._device)
        if self._modality == 'depth':
            image = depth_image(pixels[None, None])
        elif self._modality == 'rgb':
            image = pixels.permute(2, 0, 1)[None].contiguous()
        else:
            image = pixels.expand(1, 3, -1, -1)
        intrinsics = torch.from_numpy(seen.camera.intrinsics.astype(np.float32))
        return self._network.push(image, intrinsics[None].to(self._device))

    def _read(self, output: TherFormerOutput, seen: PinholeImage, view: View) -> list[NetworkHand]:
        size, usual = (seen.camera.height, seen.camera.width), self._noise.spread
        present = hands_present(output, size, confidence=self._confidence, usual_spread=usual)[-1]
        confidence = joint_confidence(output, size, usual)[-1].double().cpu().numpy()
        spread = hand_spread(output)
        blur = [1.0, 1.0] if spread is None else (spread[-1] / usual).tolist()
        joints = output.joints[-1].double().cpu().numpy().reshape(2, JOINT_COUNT, 3)
        hands = [
            NetworkHand(
                source=self.source,
                stream=self.stream,
                side=side,
                joints=joints[side],
                pixels=image_pixels(joints[side], view),
                confidence=confidence[side],
                noise=self._noise,
                spread=np.zeros(JOINT_COUNT),
                blur=blur[side],
                finds=True,
                focal=float(seen.camera.intrinsics[0, 0]),
            )
            for side in range(2)
            if present[side] and usable(joints[side])
        ]
        return sorted(hands, key=lambda hand: -hand.presence)


class TherFormerEstimator(NetworkEstimator):
    """Reports what TherFormer sees, followed over time."""

    name = 'therformer'

    def __init__(
        self,
        config: Any = None,
        rig: Any = None,
        loaded: LoadedNetwork | None = None,
    ) -> None:
        """Load the network; see ``NetworkEstimator``."""
        super().__init__(config, rig)
        self._finder = TherFormerFinder(self.config, self.modalities, loaded)
        self.use(self._finder.loaded)

    def look(self, views: dict[str, View], expected: dict[int, Array]) -> list[NetworkHand]:
        """Return the hands in the image; TherFormer needs no hint where they are."""
        return self._finder.look(views)

    def forget(self) -> None:
        """Forget earlier images."""
        self._finder.reset()


def _stream(config: ModelConfig, modalities: dict[str, Modality]) -> str:
    """Return the stream the network sees: the option's, else one that a trained model fits."""
    if config.stream:
        if config.stream not in modalities:
            known = ', '.join(modalities)
            raise HandPoseError(f'the rig has no stream {config.stream!r}: use one of {known}')
        return config.stream
    trained = [model for model in available('therformer') if config.model in ('', model.name)]
    wanted = [model.modality for model in trained] if trained else []
    order = sorted(modalities, key=lambda name: MODALITIES.index(modalities[name]))
    fitting = [name for name in order if modalities[name] in wanted]
    return (fitting or order)[0]
