"""Landmark stream: follows the hands in the images of one camera, in 2D."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blobs import thermal_blobs
from hand_pose_ros.estimators.crops import Stretch, cut, stretch_of
from hand_pose_ros.estimators.handedness import SideBias, without_lean
from hand_pose_ros.estimators.networks import LANDMARK_INPUT, HandNetworks, LandmarkOutput
from hand_pose_ros.estimators.palm_detection import PALM_INPUT, palms_in_image
from hand_pose_ros.estimators.palm_search import tiles, turned, whole_image
from hand_pose_ros.estimators.regions import Region, distinct, region_from_landmarks
from hand_pose_ros.rig.frame import Modality, StreamImage

Array = NDArray[np.float64]

# MediaPipe divides the network's z by this to bring it to the scale of x and y.
_DEPTH_SCALE = 0.4


@dataclass(frozen=True, kw_only=True)
class LandmarkStreamConfig:
    """How one stream looks for hands.

    Attributes:
        presence: least probability of the landmark network for a hand to count.
        palm_score: least probability of the palm detector for a palm to be looked at.
        palm_interval: least time between two searches for a second hand, or by more than the
            palm detector, seconds. A hand that was just lost is looked for at once, and while
            there is none the palm detector sees every image.
        duplicate_iou: two regions that overlap more are one hand.
        search: ``quick`` looks for palms in the whole image; ``thorough`` also in its parts and
            turned, as long as no hand was found; ``first`` is thorough in the first image only.
        side_interval: time between two measurements of the side output's lean, seconds.
    """

    presence: float = 0.5
    palm_score: float = 0.5
    palm_interval: float = 0.1
    duplicate_iou: float = 0.5
    search: Literal['quick', 'first', 'thorough'] = 'first'
    side_interval: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class HandLandmarks:
    """One hand in one image.

    Attributes:
        points: (21, 2) pixels of the native image.
        relative_depth: (21,) in pixels like ``points``, away from the camera positive, wrist
            about zero: a hint about order, not a measurement.
        presence: probability in 0..1 that this is a hand.
        right_probability: probability in 0..1 that it is a physical right hand, the image not
            being mirrored.
        region: where to look for the hand in the next image.
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
        self._side_bias = SideBias(self.config.side_interval)
        self.reset()

    def reset(self) -> None:
        """Forget all hands; the camera's side bias is kept."""
        self._regions: list[Region] = []
        self._search_stamp: int | None = None
        self._stamp: int | None = None
        self._shape: tuple[int, ...] | None = None

    def update(
        self, stream: StreamImage, regions: list[Region] | None = None, max_hands: int = 2
    ) -> list[HandLandmarks]:
        """Return the hands in the next image, most certain first.

        Args:
            stream: the image; a stamp before the last one or another size resets the stream.
            regions: where hands are expected, if the caller knows better than the last image.
            max_hands: most hands to return.

        Raises:
            ImageError: if the image does not fit the modality.
        """
        backward = self._stamp is not None and stream.stamp < self._stamp
        if backward or self._shape not in (None, stream.image.shape):
            self.reset()
        stretch = stretch_of(stream, self.modality)
        given = self._regions if regions is None else regions
        usable = [region for region in given if region.is_usable]
        expected = distinct(usable, self.config.duplicate_iou)[:max_hands]
        hands = self._merge(self._follow(stream, expected, stretch))
        is_due = self._search_is_due(stream.stamp) or len(hands) < len(self._regions)
        if len(hands) < max_hands and (is_due or not hands):
            hands = self._search(stream, stretch, hands, max_hands)
            if len(hands) < max_hands and is_due:
                hands = self._search_further(stream, stretch, hands, max_hands)
                self._search_stamp = stream.stamp
        self._stamp, self._shape = stream.stamp, stream.image.shape
        self._regions = [hand.region for hand in hands]
        return hands

    def _search_is_due(self, stamp: int) -> bool:
        if self._search_stamp is None:
            return True
        return stamp - self._search_stamp >= self.config.palm_interval * 1e9

    def _search(
        self, stream: StreamImage, stretch: Stretch, hands: list[HandLandmarks], max_hands: int
    ) -> list[HandLandmarks]:
        palms = self._palm_regions(stream, [whole_image(stream.image)], stretch)
        return self._added(hands, palms, max_hands - len(hands), stream, stretch)[:max_hands]

    def _search_further(
        self, stream: StreamImage, stretch: Stretch, hands: list[HandLandmarks], max_hands: int
    ) -> list[HandLandmarks]:
        search = self.config.search
        if search == 'thorough' or (search == 'first' and self._stamp is None):
            for windows in (tiles(stream.image), turned(stream.image)):
                if hands:
                    break
                palms = self._palm_regions(stream, windows, stretch)
                # The detector's second best may be the hand.
                hands = self._added(hands, palms, 2 * max_hands, stream, stretch)
        if len(hands) < max_hands and self.modality == 'thermal':
            # Warmth shows hands that the detector, trained on colour, does not see.
            warm = [blob.region for blob in thermal_blobs(stream)]
            hands = self._added(hands, warm, max_hands, stream, stretch)
        return hands[:max_hands]

    def _added(
        self,
        hands: list[HandLandmarks],
        candidates: list[Region],
        room: int,
        stream: StreamImage,
        stretch: Stretch,
    ) -> list[HandLandmarks]:
        """Add the hands that the landmark network confirms in candidate regions."""
        known = [hand.region for hand in hands]
        fresh = distinct([*known, *candidates], self.config.duplicate_iou)[len(known) :]
        return self._merge([*hands, *self._look(stream, fresh[:room], stretch)])

    def _palm_regions(
        self, stream: StreamImage, windows: list[Region], stretch: Stretch
    ) -> list[Region]:
        palms = []
        for window in windows:
            image = cut(stream.image, window, PALM_INPUT, stretch)
            output = self._networks.palms(image)
            palms += palms_in_image(*output, window, self.config.palm_score)
        return [palm.region for palm in sorted(palms, key=lambda palm: -palm.score)]

    def _follow(
        self, stream: StreamImage, regions: list[Region], stretch: Stretch
    ) -> list[HandLandmarks]:
        mirrored = self._side_bias.wanted(stream.stamp, len(regions))
        outputs, flipped = self._run(stream, regions, stretch, mirrored)
        # The lean depends on how the crop lies on the hand: only followed hands are all alike.
        for output, mirror in zip(outputs, flipped, strict=False):
            if min(output.presence, mirror.presence) >= self.config.presence:
                self._side_bias.add(output.handedness, mirror.handedness, stream.stamp)
        sides = [self._side_bias.right_probability(output.handedness) for output in outputs]
        return self._present(outputs, regions, sides)

    def _look(
        self, stream: StreamImage, regions: list[Region], stretch: Stretch
    ) -> list[HandLandmarks]:
        outputs, flipped = self._run(stream, regions, stretch, len(regions))
        sides = [
            without_lean(output.handedness, mirror.handedness)
            for output, mirror in zip(outputs, flipped, strict=True)
        ]
        return self._present(outputs, regions, sides)

    def _run(
        self, stream: StreamImage, regions: list[Region], stretch: Stretch, mirrored: int
    ) -> tuple[list[LandmarkOutput], list[LandmarkOutput]]:
        if not regions:
            return [], []
        crops = [cut(stream.image, region, LANDMARK_INPUT, stretch) for region in regions]
        flipped = [np.ascontiguousarray(crop[:, ::-1]) for crop in crops[:mirrored]]
        outputs = self._networks.landmarks([*crops, *flipped])
        return outputs[: len(crops)], outputs[len(crops) :]

    def _present(
        self, outputs: list[LandmarkOutput], regions: list[Region], sides: list[float]
    ) -> list[HandLandmarks]:
        hands = [
            hand_landmarks(output, region, side)
            for output, region, side in zip(outputs, regions, sides, strict=True)
        ]
        return [hand for hand in hands if hand.presence >= self.config.presence]

    def _merge(self, hands: list[HandLandmarks]) -> list[HandLandmarks]:
        ordered = sorted(hands, key=lambda hand: -hand.presence)
        regions = distinct([hand.region for hand in ordered], self.config.duplicate_iou)
        return [hand for hand in ordered if any(hand.region is region for region in regions)]


def hand_landmarks(
    output: LandmarkOutput, region: Region, right_probability: float
) -> HandLandmarks:
    """Carry the landmark network's output from its crop into the image."""
    points = region.to_image(output.points[:, :2], LANDMARK_INPUT)
    cosine, sine = np.cos(region.angle), np.sin(region.angle)
    world = output.world.copy()
    world[:, :2] = world[:, :2] @ np.array([[cosine, sine], [-sine, cosine]])
    return HandLandmarks(
        points=points,
        relative_depth=output.points[:, 2] * region.size / (LANDMARK_INPUT * _DEPTH_SCALE),
        presence=output.presence,
        right_probability=right_probability,
        region=region_from_landmarks(points),
        world=world,
    )
