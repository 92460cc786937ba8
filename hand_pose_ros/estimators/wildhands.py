"""WildHands live: hand model parameters of each hand from crops of a colour or thermal image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hand_pose_ros.errors import HandPoseError, RigError
from hand_pose_ros.estimators.network_config import ModelConfig
from hand_pose_ros.estimators.network_estimator import NetworkEstimator
from hand_pose_ros.estimators.network_hands import (
    MappedPoints,
    NetworkHand,
    NetworkNoise,
    image_pixels,
    usable,
)
from hand_pose_ros.estimators.network_images import PinholeImage, Rectifier
from hand_pose_ros.estimators.network_locators import make_locators
from hand_pose_ros.estimators.network_runtime import device_of, load_model
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.hand_model.hand_pose import HandModelParameters
from hand_pose_ros.networks.checkpoint import LoadedNetwork
from hand_pose_ros.networks.hand_crops import HandViews, hand_boxes, hand_views, too_dark
from hand_pose_ros.networks.rotations import axis_angle_from_rotation
from hand_pose_ros.networks.wildhands import WildHandsOutput
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

# Until a card says better: errors of a small network on simulated images.
NOISE = NetworkNoise(across=0.02, along=0.06, shape=0.012, pixel=3.0, spread=16.0)
# Images a network is trained on, (width, height): of thermal cameras as they are, of others smaller
# ones for patches up to this.
_THERMAL = (320, 256)
_SMALL_PATCH, _SMALL, _LARGE = 112, (320, 240), (640, 480)
# As a share of the box: joints this far from where the hand was said to be are believed by 1 / e.
_DOUBTFUL = 0.3
_HOLD = 1.0  # seconds it may follow its own answers alone


class WildHandsRefiner:
    """Runs the network on crops around hands in a 2D stream.

    Attributes:
        stream: name of the stream.
        loaded: the network and its card.
        knows_distance: whether the network sees how far away hands are.
    """

    source = 'wildhands'

    def __init__(
        self,
        config: ModelConfig,
        modalities: dict[str, Modality],
        loaded: LoadedNetwork | None = None,
        *,
        modality: Modality = 'rgb',
        mesh: bool = False,
    ) -> None:
        """Load the network.

        Args:
            config: which model on which stream.
            modalities: modality of each stream by name.
            loaded: used instead of the model the configuration names.
            modality: of the stream it sees where the configuration names none.
            mesh: whether to make vertices.

        Raises:
            HandPoseError: there is no such stream, or no usable model.
        """
        self.stream = flat_stream(config, modalities, modality)
        self._modality = modalities[self.stream]
        self.loaded = loaded or load_model(self.source, config, self._modality)
        self._patch = int(self.loaded.config.patch)
        self._noise = NOISE.from_card(self.loaded.card)
        self.knows_distance = self._noise.knows_distance
        self._rectifier = Rectifier(_image_size(self._modality, self._patch))
        self._device = device_of(config.device)
        self._confidence, self._mesh = config.confidence, mesh

    def refine(
        self, views: dict[str, View], places: Sequence[tuple[int | None, Array]]
    ) -> list[NetworkHand | None]:
        """Return the hand at each place, a side and joints (21, 3) in the results' frame.

        None where the place is not in the image, the answer lies elsewhere, the image is missing,
        or another place has the same side.
        """
        found: list[NetworkHand | None] = [None] * len(places)
        view = views.get(self.stream)
        if view is None:
            return found
        rows: dict[int, int] = {}
        pixels: dict[int, Array] = {}
        for row, (side, joints) in enumerate(places):
            if side is not None and side not in rows:
                rows[side] = row
                pixels[side] = image_pixels(joints @ view.rotation.T + view.translation, view)
        for hand in self.see(view, pixels):
            found[rows[hand.side]] = hand
        return found

    def see(self, view: View, pixels: Mapping[int, Array]) -> list[NetworkHand]:
        """Return the hands that lie at pixels (21, 2) of the stream's own image, by side.

        It sees none in a dark colour image.
        """
        if not pixels:
            return []
        seen = self._rectifier.grey_values(view, self._modality)
        places = np.full((2, JOINT_COUNT, 2), np.nan)
        for side, given in pixels.items():
            places[side] = seen.camera.distort(view.camera.undistort(given))
        boxes = hand_boxes(torch.from_numpy(places), seen.camera.height, seen.camera.width)
        if not torch.isfinite(boxes).any():
            return []
        image = torch.from_numpy(np.atleast_3d(seen.pixels)).permute(2, 0, 1)[None]
        if too_dark(image).any():
            return []
        output, cut = self._run(image, seen.camera.intrinsics, boxes)
        hands = (self._hand(view, seen, side, output, cut, places[side]) for side in pixels)
        return [hand for hand in hands if hand is not None]

    @torch.inference_mode()
    def _run(
        self, image: torch.Tensor, intrinsics: Array, boxes: torch.Tensor
    ) -> tuple[WildHandsOutput, HandViews]:
        cut = hand_views(
            image.to(self._device),
            torch.from_numpy(intrinsics)[None].float().to(self._device),
            boxes[None].float().to(self._device),
            self._patch,
        )
        output = self.loaded.network(
            cut.image, cut.crops, cut.intrinsics, cut.boxes, mesh=self._mesh
        )
        return output, cut

    def _hand(
        self, view: View, seen: PinholeImage, side: int, output: WildHandsOutput, cut: HandViews,
        place: Array,
    ) -> NetworkHand | None:  # fmt: skip
        joints = _numpy(output.joints[0, side])
        if not bool(cut.present[0, side]) or not usable(joints):
            return None
        pixels = _numpy(cut.frame.to_native(output.pixels[0, side]))
        corners = _numpy(cut.frame.to_native(cut.boxes[0, side]))
        confidence = _confidence(pixels, corners, place)
        if confidence.mean() < self._confidence:
            return None
        mapped = self._mapped(seen, side, output, cut)
        turns = _numpy(axis_angle_from_rotation(output.rotations[0, side]))
        vertices = None if output.vertices is None else _numpy(output.vertices[0, side])
        return NetworkHand(
            source=self.source,
            stream=self.stream,
            side=side,
            joints=joints,
            pixels=image_pixels(joints, view),
            confidence=confidence,
            noise=self._noise,
            spread=np.zeros(JOINT_COUNT),
            blur=1.0 if mapped is None else float(mapped.spread.mean() / self._noise.spread),
            focal=float(cut.intrinsics[0, 0, 0]),
            mapped=mapped,
            parameters=HandModelParameters(
                global_orient=turns[0],
                hand_pose=turns[1:],
                betas=_numpy(output.betas[0, side]),
                translation=_numpy(output.translation[0, side]),
            ),
            vertices=vertices,
        )

    def _mapped(
        self, seen: PinholeImage, side: int, output: WildHandsOutput, cut: HandViews
    ) -> MappedPoints | None:
        if output.maps is None:
            return None
        corner, far = cut.boxes[0, side].view(2, 2)
        shares = (output.maps.places[0, side, :, :2] + 1) / 2
        pixels = cut.frame.to_native(corner + shares * (far - corner))
        return MappedPoints(
            points=seen.camera.undistort(_numpy(pixels)),
            spread=_numpy(output.maps.spread[0, side]),
            step=float((far[0] - corner[0]) / self._patch / cut.intrinsics[0, 0, 0]),
        )


class WildHandsEstimator(NetworkEstimator):
    """Reports what WildHands sees where a locator or the track says that hands are."""

    name = 'wildhands'

    def __init__(
        self,
        config: Any = None,
        rig: RigDescription | None = None,
        loaded: LoadedNetwork | None = None,
    ) -> None:
        """Load the network; see ``NetworkEstimator``."""
        super().__init__(config, rig)
        self._refiner = WildHandsRefiner(
            self.config, self.modalities, loaded, mesh=self.config.mesh
        )
        self._locators = make_locators(
            self.config, self._refiner.stream, self.modalities,
            ('therformer', 'track', 'landmarks'), _HOLD,
        )  # fmt: skip
        self.use(self._refiner.loaded)

    def look(self, views: dict[str, View], expected: dict[int, Array]) -> list[NetworkHand]:
        """Return the hands in the colour image."""
        view = views.get(self._refiner.stream)
        if view is None:
            return []
        pixels: dict[int, Array] = {}
        for place in self._locators.locate(views, expected):
            found = place.pixels
            if found is None and place.joints is not None and len(place.joints) == JOINT_COUNT:
                camera_joints = place.joints @ view.rotation.T + view.translation
                found = image_pixels(camera_joints, view)
            if place.side is not None and found is not None:
                pixels[place.side] = found
        return self._refiner.see(view, pixels)

    def forget(self) -> None:
        """Forget earlier images."""
        self._locators.reset()


def _image_size(modality: Modality, patch: int) -> tuple[int, int]:
    if modality == 'thermal':
        return _THERMAL
    return _SMALL if patch <= _SMALL_PATCH else _LARGE


def flat_stream(config: ModelConfig, modalities: dict[str, Modality], modality: Modality) -> str:
    """Return the 2D stream an option names, or the first one of a modality.

    Raises:
        RigError: there is none.
        HandPoseError: the named stream does not exist or is depth.
    """
    flat = [name for name, modality in modalities.items() if modality != 'depth']
    if config.stream and config.stream not in flat:
        raise HandPoseError(
            f'stream {config.stream!r} is no 2D stream of the rig: use one of '
            f'{", ".join(flat) or "none"}'
        )
    fitting = [name for name in flat if modalities[name] == modality]
    if not config.stream and not fitting:
        raise RigError(
            f'wildhands needs a stream of {modality} images and the rig has none: add a camera, or '
            'name another stream'
        )
    return config.stream or fitting[0]


def _confidence(pixels: Array, box: Array, place: Array) -> Array:
    """Return how far joints (21, 2) are to be believed (21,), 0..1.

    The network always answers: what counts is that the answer lies in its box, where the hand was
    said to be.
    """
    inside = ((pixels > box[:2]) & (pixels < box[2:])).all(axis=1)
    away = np.linalg.norm(pixels - place, axis=1).mean() / max(float(box[2] - box[0]), 1e-6)
    return np.where(inside, 1.0, 0.2) * float(np.exp(-((away / _DOUBTFUL) ** 2)))


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().cpu().numpy()
