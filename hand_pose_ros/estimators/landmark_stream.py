"""Landmark stream: follows the hands in the images of one camera, in 2D."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.crops import Stretch, crop, stretch_of, whole_image
from hand_pose_ros.estimators.networks import LANDMARK_INPUT, HandNetworks, LandmarkOutput
from hand_pose_ros.estimators.palm_detection import PALM_INPUT, palms_in_image
from hand_pose_ros.estimators.regions import Region, iou, region_from_landmarks
from hand_pose_ros.rig.frame import Modality, StreamImage

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class LandmarkStreamConfig:
    """How one stream looks for hands.

    Attributes:
        presence: least probability of the landmark network for a hand to count.
        palm_score: least probability of the palm detector for a palm to be looked at.
        palm_interval: least time between two runs of the palm detector while a hand is missing,
            seconds. A hand that was just lost is looked for at once.
        duplicate_iou: two regions that overlap more are one hand.
    """

    presence: float = 0.5
    palm_score: float = 0.5
    palm_interval: float = 0.1
    duplicate_iou: float = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class HandLandmarks:
    """One hand in one image.

    Attributes:
        points: (21, 2) pixels of the native image.
        relative_depth: (21,) in pixels like ``points``, towards the scene positive, wrist about
            zero: a hint about order, not a measurement.
        presence: probability in 0..1 that this is a hand.
        right_probability: probability in 0..1 that it is a physical right hand, the image not
            being mirrored.
        region: where the hand was seen, and where to look for it in the next image.
        world: (21, 3) the network's idea of the shape in the image's axes. Never metres.
    """

    points: Array
    relative_depth: Array
    presence: float
    right_probability: float
    region: Region
    world: Array


class LandmarkStream:
    """Follows up to ``max_hands`` hands through the images of one camera.

    A region comes from the caller, the last image or, while a hand is missing, the palm detector.
    """

    def __init__(
        self,
        networks: HandNetworks,
        modality: Modality,
        config: LandmarkStreamConfig | None = None,
    ) -> None:
        """Use networks, which streams of the same thread may share, on one modality."""
        self.modality = modality
        self.config = config or LandmarkStreamConfig()
        self._networks = networks
        self._regions: list[Region] = []
        self._palm_stamp: int | None = None
        self._stamp: int | None = None

    def reset(self) -> None:
        """Forget all hands."""
        self._regions = []
        self._palm_stamp = None
        self._stamp = None

    def update(
        self, stream: StreamImage, regions: list[Region] | None = None, max_hands: int = 2
    ) -> list[HandLandmarks]:
        """Return the hands in the next image, best first.

        Args:
            stream: the image; a stamp before the last one resets the stream.
            regions: where hands are expected, if the caller knows better than the last image.
            max_hands: most hands to return.

        Raises:
            ImageError: if the image does not fit the modality.
        """
        if self._stamp is not None and stream.stamp < self._stamp:
            self.reset()
        stretch = stretch_of(stream, self.modality)
        expected = self._regions if regions is None else regions
        expected = self._distinct(expected)[:max_hands]
        hands = self._merge(self._look(stream, expected, stretch))
        lost = len(hands) < len(expected) or self._stamp is None
        if len(hands) < max_hands and (lost or self._palm_is_due(stream.stamp)):
            self._palm_stamp = stream.stamp
            found = self._palm_regions(stream, stretch)
            known = [hand.region for hand in hands]
            fresh = self._distinct([*known, *found])[len(known) : max_hands]
            hands = self._merge([*hands, *self._look(stream, fresh, stretch)])
        self._stamp = stream.stamp
        self._regions = [hand.region for hand in hands]
        return hands

    def _palm_is_due(self, stamp: int) -> bool:
        if self._palm_stamp is None:
            return True
        return stamp - self._palm_stamp >= self.config.palm_interval * 1e9

    def _palm_regions(self, stream: StreamImage, stretch: Stretch) -> list[Region]:
        window = whole_image(stream.image)
        image = crop(stream.image, window, PALM_INPUT, stretch)
        palms = palms_in_image(*self._networks.palms(image), window, self.config.palm_score)
        return [palm.region for palm in palms]

    def _look(
        self, stream: StreamImage, regions: list[Region], stretch: Stretch
    ) -> list[HandLandmarks]:
        if not regions:
            return []
        crops = [crop(stream.image, region, LANDMARK_INPUT, stretch) for region in regions]
        outputs = self._networks.landmarks(crops)
        hands = [
            hand_landmarks(output, region)
            for output, region in zip(outputs, regions, strict=True)
        ]
        return [hand for hand in hands if hand.presence >= self.config.presence]

    def _distinct(self, regions: list[Region]) -> list[Region]:
        kept: list[Region] = []
        for region in regions:
            if all(iou(region, other) <= self.config.duplicate_iou for other in kept):
                kept.append(region)
        return kept

    def _merge(self, hands: list[HandLandmarks]) -> list[HandLandmarks]:
        ordered = sorted(hands, key=lambda hand: -hand.presence)
        regions = self._distinct([hand.region for hand in ordered])
        return [hand for hand in ordered if any(hand.region is region for region in regions)]


def hand_landmarks(output: LandmarkOutput, region: Region) -> HandLandmarks:
    """Carry the landmark network's output from its crop into the image."""
    points = region.to_image(output.points[:, :2], LANDMARK_INPUT)
    cosine, sine = np.cos(region.angle), np.sin(region.angle)
    world = output.world.copy()
    world[:, :2] = world[:, :2] @ np.array([[cosine, sine], [-sine, cosine]])
    return HandLandmarks(
        points=points,
        relative_depth=output.points[:, 2] * region.size / LANDMARK_INPUT,
        presence=output.presence,
        right_probability=output.handedness,
        region=region_from_landmarks(points),
        world=world,
    )
