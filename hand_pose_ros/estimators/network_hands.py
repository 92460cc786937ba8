"""Network hands: what one of our networks says about one hand in one image, and how surely."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.hand_model.hand_pose import HandModelParameters
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

_LEAST_CONFIDENCE = 0.1  # sigmas grow no further below
_BLUR = 0.7, 4.0  # least and largest factor of how far a hand strays across the view
_VAGUE = 0.7, 3.0  # the same of how far its joints stray about their mean
_LEAST_KNOWN = 0.1  # share of a map's precision that is always taken for the image's
_LEAST_EXCESS = 2.0  # pixels of a map's spread over the least one that are always counted
_KNOWN = 0.03  # metres by which the mean of a hand strays along the view where distances are seen


@dataclass(frozen=True, kw_only=True)
class NetworkNoise:
    """Standard deviations of a network's joints, as its card has them from validation.

    Attributes:
        across: of the mean of a hand's joints across the view, metres.
        along: of that mean along the view, metres.
        shape: of a joint about the mean, metres.
        pixel: of a joint in the network's image, pixels; 0 when the joints' pixels say nothing
            that the joints in 3D do not say already.
        spread: how far the maps of a hand's joints usually spread, pixels; 0 without maps.
        map_slope: pixels that a joint strays per pixel by which its map spreads farther than
            ``map_rest``; 0 where that was not measured.
        map_rest: spread of the map of a joint that is seen for sure, pixels.
        map_prior: how far joints lie from the middle of their hand in the network's image, pixels;
            0 where that was not measured.
    """

    across: float
    along: float
    shape: float
    pixel: float = 0.0
    spread: float = 0.0
    map_slope: float = 0.0
    map_rest: float = 0.0
    map_prior: float = 0.0

    @property
    def knows_distance(self) -> bool:
        """Whether the network sees how far away hands are; others take it from their size."""
        return self.along < _KNOWN

    def from_card(self, card: Mapping[str, Any]) -> 'NetworkNoise':
        """Return the figures of a card's ``noise``, these where it has none.

        Raises:
            ModelError: a figure is no positive number.
        """
        given = card.get('noise') or {}
        changes = {entry.name: given[entry.name] for entry in fields(self) if entry.name in given}
        for name, value in changes.items():
            usable = isinstance(value, (int, float)) and 0 < value < 10_000
            if not usable:
                raise ModelError(
                    f'noise.{name} in a model card must be above 0, got {value!r}: measure it '
                    'again with scripts/calibrate_networks.py'
                )
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True, eq=False)
class MappedPoints:
    """Where a network's maps of joints place them across the view.

    Attributes:
        points: (21, 2) x / z and y / z in the stream's camera.
        spread: (21,) how far each map spreads, in its own pixels.
        step: radians per pixel of the maps.
    """

    points: Array
    spread: Array
    step: float

    def measured(self, noise: NetworkNoise) -> tuple[Array, Array]:
        """Return what the images alone say, points (21, 2) and their standard deviations (21,).

        The mean of a map that knows little lies near the hand's middle, where joints are before one
        looks: a hand of such means is too small and would be fitted too far away. Its Gaussian
        divided by that of joints nobody looked at leaves the measurement.
        """
        excess = np.maximum(self.spread - noise.map_rest, _LEAST_EXCESS)
        sigma = noise.map_slope * excess  # pixels
        if not noise.map_prior:
            return self.points, sigma * self.step
        # Share of a map's precision that comes from the image.
        known = np.maximum(1.0 - (sigma / noise.map_prior) ** 2, _LEAST_KNOWN)
        middle = np.average(self.points, axis=0, weights=sigma**-2.0)
        points = middle + (self.points - middle) / known[:, None]
        return points, sigma * self.step / np.sqrt(known)


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkHand:
    """One hand in one image.

    Attributes:
        source: name of the network.
        stream: name of the stream.
        side: 0 left, 1 right.
        joints: (21, 3) metres in the stream's camera.
        pixels: (21, 2) in the stream's own image.
        confidence: (21,) probability in 0..1 that the joint is there.
        noise: standard deviations, of a hand seen with full confidence.
        spread: (21,) further standard deviation of each joint, metres.
        blur: how many times as far as usual the maps of its joints spread: where they do not agree,
            the hand strays across the view, and joints about their mean.
        finds: whether the network looked for hands in the whole image; one that looks at a crop
            answers with a hand wherever it is asked.
        focal: of the image the network saw, pixels; turns ``noise.pixel`` into an angle.
        mapped: what the maps of its joints say; None without maps.
        parameters: fitted hand model in the stream's camera, or None.
        vertices: (V, 3) metres in the stream's camera, or None.
    """

    source: str
    stream: str
    side: int
    joints: Array
    pixels: Array
    confidence: Array
    noise: NetworkNoise
    spread: Array
    blur: float = 1.0
    finds: bool = False
    focal: float = 1.0
    mapped: MappedPoints | None = None
    parameters: HandModelParameters | None = None
    vertices: Array | None = None

    @property
    def presence(self) -> float:
        """Probability in 0..1 that the hand is there."""
        return float(self.confidence.mean())

    @property
    def knows_distance(self) -> bool:
        """Whether the network sees how far away hands are."""
        return self.noise.knows_distance

    @property
    def doubt(self) -> Array:
        """Factor (21,), at least 1, by which low confidence enlarges standard deviations."""
        return 1.0 / np.sqrt(np.clip(self.confidence, _LEAST_CONFIDENCE, 1.0))

    @property
    def shape_sigma(self) -> Array:
        """Standard deviation (21,) of each joint about their mean, metres."""
        return np.hypot(self.noise.shape * self.vague * self.doubt, self.spread)

    @property
    def vague(self) -> float:
        """Factor by which blur changes the standard deviation of joints about their mean."""
        return float(np.clip(self.blur, *_VAGUE))

    @property
    def stray(self) -> float:
        """Factor by which blur changes the standard deviation across the view."""
        return float(np.clip(self.blur**2, *_BLUR))

    @property
    def across(self) -> float:
        """Standard deviation of the joints' mean across the view, metres."""
        return self.noise.across * self.stray * float(self.doubt.mean())

    @property
    def along(self) -> float:
        """Standard deviation of the joints' mean along the view, metres."""
        return self.noise.along * float(self.doubt.mean())

    @property
    def place_covariance(self) -> Array:
        """Covariance (3, 3) of the joints' mean in the camera, square metres."""
        ray = self.joints.mean(axis=0)
        ray = ray / max(float(np.linalg.norm(ray)), 1e-9)
        along, across = self.along**2, self.across**2
        return across * np.eye(3) + (along - across) * np.outer(ray, ray)

    @property
    def covariance(self) -> Array:
        """Covariance (21, 3, 3) of the joints in the camera, square metres."""
        return self.place_covariance + self.shape_sigma[:, None, None] ** 2 * np.eye(3)

    def joints_in(self, view: View) -> Array:
        """Return the joints (21, 3) in the results' frame; ``view`` is the stream's."""
        return (self.joints - view.translation) @ view.rotation


def image_pixels(joints: Array, view: View) -> Array:
    """Return the pixels (21, 2) of joints (21, 3) in a stream's camera, always finite."""
    depth = np.maximum(joints[:, 2:], 0.05)
    return view.camera.distort(np.clip(joints[:, :2] / depth, -3.0, 3.0))


def usable(joints: Array) -> bool:
    """Say whether joints (21, 3) in a camera are finite and in front of it."""
    return joints.shape == (JOINT_COUNT, 3) and bool(
        np.isfinite(joints).all() and joints[:, 2].min() > 0.05 and joints[:, 2].max() < 5.0
    )
