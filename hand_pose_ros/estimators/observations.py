"""Observations: runs the hand networks on the regions of several streams at once."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blobs import thermal_blobs
from hand_pose_ros.estimators.crops import Stretch, cut, stretch_of
from hand_pose_ros.estimators.handedness import SideBias, without_lean
from hand_pose_ros.estimators.landmark_stream import HandLandmarks, hand_landmarks
from hand_pose_ros.estimators.networks import LANDMARK_INPUT, HandNetworks, LandmarkOutput
from hand_pose_ros.estimators.palm_detection import PALM_INPUT, palms_in_image
from hand_pose_ros.estimators.palm_search import whole_image
from hand_pose_ros.estimators.regions import Region
from hand_pose_ros.rig.frame import Modality, StreamImage

_HAND = 0.5  # least presence of a hand whose side output counts


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """One place to look at: a region of a stream."""

    stream: str
    region: Region


class Observer:
    """Looks at regions of the 2D streams; crops of all streams share the network's threads."""

    def __init__(
        self, networks: HandNetworks, modalities: dict[str, Modality], side_interval: float = 4.0
    ) -> None:
        """Prepare for streams.

        Args:
            networks: the two networks.
            modalities: modality of each stream by name.
            side_interval: time between two measurements of the side output's lean, seconds.
        """
        self._networks = networks
        self._modalities = modalities
        self._biases: dict[str, SideBias] = {}
        self._side_interval = side_interval
        self._streams: dict[str, StreamImage] = {}
        self._stretches: dict[str, Stretch] = {}

    def begin(self, streams: dict[str, StreamImage]) -> None:
        """Take the images of a new frame."""
        self._streams = streams
        self._stretches = {}

    def follow(self, places: Iterable[Look]) -> list[HandLandmarks]:
        """Return what the landmark network sees where tracked hands are expected, hand or not."""
        places = list(places)
        mirrored = self._mirrored(places)
        outputs, flipped = self._run(places, mirrored)
        for index, mirror in zip(mirrored, flipped, strict=True):
            output, stream = outputs[index], places[index].stream
            if min(output.presence, mirror.presence) >= _HAND:
                stamp = self._streams[stream].stamp
                self._bias(stream).add(output.handedness, mirror.handedness, stamp)
        sides = [
            self._bias(place.stream).right_probability(output.handedness)
            for place, output in zip(places, outputs, strict=True)
        ]
        return _landmarks(outputs, places, sides)

    def inspect(self, places: Iterable[Look]) -> list[HandLandmarks]:
        """Return what the landmark network sees at places not looked at before, hand or not."""
        places = list(places)
        outputs, flipped = self._run(places, list(range(len(places))))
        sides = [
            without_lean(output.handedness, mirror.handedness)
            for output, mirror in zip(outputs, flipped, strict=True)
        ]
        return _landmarks(outputs, places, sides)

    def palms(self, stream: str, least_score: float) -> list[Region]:
        """Return the regions of the palms in a whole image, best first, then of warm blobs.

        Warmth shows hands that the detector, trained on colour, does not see.
        """
        window = whole_image(self._streams[stream].image)
        output = self._networks.palms(self._crop(stream, window, PALM_INPUT))
        found = palms_in_image(*output, window, least_score)
        regions = [palm.region for palm in sorted(found, key=lambda palm: -palm.score)]
        if self._modalities[stream] == 'thermal':
            regions += [blob.region for blob in thermal_blobs(self._streams[stream])]
        return regions

    def _crop(self, stream: str, region: Region, size: int) -> NDArray[np.float32]:
        image = self._streams[stream]
        if stream not in self._stretches:
            self._stretches[stream] = stretch_of(image, self._modalities[stream])
        return cut(image.image, region, size, self._stretches[stream])

    def _run(
        self, places: list[Look], mirrored: list[int]
    ) -> tuple[list[LandmarkOutput], list[LandmarkOutput]]:
        """Return the network's outputs for some places and for the mirror images of a few."""
        if not places:
            return [], []
        crops = [self._crop(place.stream, place.region, LANDMARK_INPUT) for place in places]
        flipped = [np.ascontiguousarray(crops[index][:, ::-1]) for index in mirrored]
        outputs = self._networks.landmarks([*crops, *flipped])
        return outputs[: len(crops)], outputs[len(crops) :]

    def _bias(self, stream: str) -> SideBias:
        if stream not in self._biases:
            self._biases[stream] = SideBias(self._side_interval)
        return self._biases[stream]

    def _mirrored(self, places: list[Look]) -> list[int]:
        chosen = []
        for stream in dict.fromkeys(place.stream for place in places):
            own = [index for index, place in enumerate(places) if place.stream == stream]
            count = self._bias(stream).wanted(self._streams[stream].stamp, len(own))
            chosen += own[:count]
        # One a frame: measuring the lean must not make a frame late.
        return chosen[:1]


def _landmarks(
    outputs: list[LandmarkOutput], places: list[Look], sides: list[float]
) -> list[HandLandmarks]:
    return [
        hand_landmarks(output, place.region, side)
        for output, place, side in zip(outputs, places, sides, strict=True)
    ]
