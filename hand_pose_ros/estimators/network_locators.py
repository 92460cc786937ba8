"""Network locators: where the hands are for networks that only look at crops around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import HandPoseError, ModelError
from hand_pose_ros.estimators.blobs import depth_blobs
from hand_pose_ros.estimators.landmark_stream import (
    HandLandmarks,
    LandmarkStream,
    LandmarkStreamConfig,
)
from hand_pose_ros.estimators.network_config import ModelConfig, NetworkConfig
from hand_pose_ros.estimators.networks import load_networks
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.skeleton import SIDES

if TYPE_CHECKING:
    from hand_pose_ros.estimators.therformer import TherFormerFinder

Array = NDArray[np.float64]

LOCATORS = ('therformer', 'track', 'landmarks', 'blobs')
_BEHIND = 0.012  # metres from the palm's surface to its middle
_SAME_PLACE = 0.10  # metres


@dataclass(frozen=True, kw_only=True, eq=False)
class HandPlace:
    """Where a hand is.

    Attributes:
        side: 0 left, 1 right, or None when only the place is known.
        joints: (N, 3) metres in the results' frame: the 21 joints, or one point in the middle;
            None when the distance is unknown.
        pixels: (21, 2) in the stream that was asked for, or None when they follow from ``joints``.
    """

    side: int | None
    joints: Array | None
    pixels: Array | None = None


class Locator(Protocol):
    """Something that says where hands are."""

    def locate(self, views: dict[str, View], expected: dict[int, Array]) -> list[HandPlace]:
        """Return the hands it knows of in a frame.

        Args:
            views: the calibrated streams.
            expected: joints (21, 3) of the tracked hands in the results' frame, by side.
        """
        ...

    def reset(self) -> None:
        """Forget earlier frames."""
        ...


class TherFormerLocator:
    """Places hands where TherFormer sees them."""

    def __init__(self, finder: 'TherFormerFinder') -> None:
        """Ask a finder, which may be shared."""
        self._finder = finder

    def locate(self, views: dict[str, View], expected: dict[int, Array]) -> list[HandPlace]:
        """Return the hands in the stream that TherFormer sees."""
        return [
            HandPlace(side=hand.side, joints=hand.joints_in(views[hand.stream]))
            for hand in self._finder.look(views)
        ]

    def reset(self) -> None:
        """Forget earlier images."""
        self._finder.reset()


class TrackLocator:
    """Places hands where their tracks expect them."""

    def locate(self, views: dict[str, View], expected: dict[int, Array]) -> list[HandPlace]:
        """Return the tracked hands."""
        return [HandPlace(side=side, joints=joints) for side, joints in expected.items()]

    def reset(self) -> None:
        """Nothing is kept."""


class BlobLocator:
    """Places hands on the near, hand-sized regions of a depth stream."""

    def __init__(self, stream: str) -> None:
        """Look at a depth stream."""
        self._stream = stream

    def locate(self, views: dict[str, View], expected: dict[int, Array]) -> list[HandPlace]:
        """Return hand-like blobs; their sides are guesses and left open."""
        view = views.get(self._stream)
        if view is None:
            return []
        return [
            HandPlace(
                side=None,
                joints=view.unproject(blob.center[None], np.array([blob.depth + _BEHIND])),
            )
            for blob in depth_blobs(view.stream)
            if blob.depth is not None
        ]

    def reset(self) -> None:
        """Nothing is kept."""


class LandmarkLocator:
    """Places hands where MediaPipe's networks see them, in pixels."""

    def __init__(self, stream: str, modality: Modality) -> None:
        """Load the networks for a stream.

        Raises:
            ModelError: they are not installed.
        """
        self._stream = stream
        self._follower = LandmarkStream(
            load_networks(), modality, LandmarkStreamConfig(search='quick')
        )

    def locate(self, views: dict[str, View], expected: dict[int, Array]) -> list[HandPlace]:
        """Return the hands in the stream; of two of one side the surer one keeps it."""
        view = views.get(self._stream)
        if view is None:
            return []
        hands = self._follower.update(view.stream)
        sides = _sides(hands)
        return [
            HandPlace(side=side, joints=None, pixels=hand.points)
            for hand, side in zip(hands, sides, strict=True)
        ]

    def reset(self) -> None:
        """Forget earlier images."""
        self._follower.reset()


class Locators:
    """Asks locators in turn until both hands are placed."""

    def __init__(
        self, locators: Sequence[Locator], stream: str, hold: float = float('inf')
    ) -> None:
        """Prepare.

        Args:
            locators: the best first.
            stream: where places are wanted.
            hold: how long a track may place its hand without anything else seeing it there,
                seconds. A network that always answers would never notice that the hand is gone.
        """
        self._locators, self._stream, self._hold = list(locators), stream, hold
        self._confirmed: dict[int, int] = {}

    def reset(self) -> None:
        """Forget earlier frames."""
        self._confirmed = {}
        for locator in self._locators:
            locator.reset()

    def locate(self, views: dict[str, View], expected: dict[int, Array]) -> list[HandPlace]:
        """Return at most two places that are not the same; two sides differ."""
        view = views[self._stream]
        stamp = view.stream.stamp
        tracked = self._believed(expected, stamp)
        places: list[HandPlace] = []
        for locator in self._locators:
            if len(places) == len(SIDES):
                break
            own = isinstance(locator, TrackLocator)
            for place in locator.locate(views, tracked):
                taken = place.side is not None and any(p.side == place.side for p in places)
                if not taken and not any(_same(place, other, view) for other in places):
                    places.append(place)
                    if not own and place.side is not None:
                        self._confirmed[place.side] = stamp
        return places[: len(SIDES)]

    def _believed(self, expected: dict[int, Array], stamp: int) -> dict[int, Array]:
        """Return the tracks whose hands something else has seen lately."""
        self._confirmed = {side: self._confirmed.get(side, stamp) for side in expected}
        return {
            side: joints
            for side, joints in expected.items()
            if (stamp - self._confirmed[side]) * 1e-9 <= self._hold
        }


def make_locators(
    config: NetworkConfig,
    stream: str,
    modalities: dict[str, Modality],
    names: Sequence[str],
    hold: float = float('inf'),
) -> Locators:
    """Return the locators an estimator uses.

    Args:
        config: names them, or leaves them to ``names``.
        stream: where the hands are wanted.
        modalities: modality of each stream by name.
        names: default locators; of these, those whose models or streams are missing are left out.
        hold: see ``Locators``.

    Raises:
        HandPoseError: a locator that was asked for does not exist or cannot be used.
    """
    made = []
    for name in config.locators or names:
        if name not in LOCATORS:
            raise HandPoseError(f'locator {name!r} does not exist: use {", ".join(LOCATORS)}')
        try:
            made.append(_make(name, config, stream, modalities))
        except ModelError:
            if config.locators:
                raise
    return Locators(made, stream, hold)


def pixels_of(place: HandPlace, view: View) -> Array | None:
    """Return the pixels (N, 2) of a place in a stream; None when it is behind the camera."""
    if place.pixels is not None:
        return place.pixels
    if place.joints is None:
        return None
    pixels = view.project(place.joints)
    return pixels if np.isfinite(pixels).all() else None


def _make(
    name: str, config: NetworkConfig, stream: str, modalities: dict[str, Modality]
) -> Locator:
    if name == 'therformer':
        from hand_pose_ros.estimators.therformer import TherFormerFinder

        options = ModelConfig(
            model=config.locator_model,
            device=config.device,
            runtime=config.runtime,
            confidence=config.confidence,
        )
        return TherFormerLocator(TherFormerFinder(options, modalities))
    if name == 'landmarks':
        return LandmarkLocator(stream, modalities[stream])
    if name == 'blobs':
        depth = [key for key, modality in modalities.items() if modality == 'depth']
        if not depth:
            raise ModelError("locator 'blobs' needs a depth stream: leave it out")
        return BlobLocator(depth[0])
    return TrackLocator()


def _same(place: HandPlace, other: HandPlace, view: View) -> bool:
    """Say whether two places are one hand."""
    if place.joints is not None and other.joints is not None:
        apart = place.joints.mean(axis=0) - other.joints.mean(axis=0)
        return float(np.linalg.norm(apart)) < _SAME_PLACE
    pixels = pixels_of(place, view), pixels_of(other, view)
    if pixels[0] is None or pixels[1] is None:
        return False
    reach = max(float(np.ptp(points, axis=0).max()) for points in pixels if points is not None)
    return float(np.linalg.norm(pixels[0].mean(axis=0) - pixels[1].mean(axis=0))) < 0.5 * reach


def _sides(hands: Sequence[HandLandmarks]) -> list[int]:
    """Return a side for each of at most two hands, the other one for the less sure of a pair."""
    sides = [int(hand.right_probability > 0.5) for hand in hands]
    if len(sides) == 2 and sides[0] == sides[1]:
        right = hands[0].right_probability > hands[1].right_probability
        sides = [int(right), int(not right)]
    return sides
