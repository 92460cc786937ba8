"""Network measurements: what networks say about hands, in the form the hand fit takes."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.network_hands import NetworkHand
from hand_pose_ros.estimators.rig_views import View, camera_arrays
from hand_pose_ros.hand_model.residuals import JointMeasurements, PointMeasurements
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

Seen = Sequence[Sequence[NetworkHand]]

# What else is fitted (landmarks, maps, surface) errs more alike than a fit takes it to. Beside it a
# network that knows distances counts so many times, near enough to find what it shows.
_TRUST = 5.0


def joint_measurements(
    hands: Seen, views: dict[str, View], near: bool = False
) -> JointMeasurements | None:
    """Return the joints that networks saw in 3D.

    Args:
        hands: for each of B hands what networks say about it; None comes out if that is nothing.
        views: the streams by name.
        near: whether the fit starts near the hands: from far away it goes astray with networks that
            count for more than they state.
    """
    sources = _sources(hands, pixels=False)
    if not sources:
        return None
    count = len(sources), len(hands)
    joints = np.zeros((*count, JOINT_COUNT, 3))
    shape = np.zeros((*count, JOINT_COUNT, 3, 3))
    place = np.zeros((*count, 3, 3))
    trust = np.ones(len(sources))
    for row, column, seen in _entries(hands, sources):
        joints[row, column] = seen.joints
        shape[row, column] = np.eye(3) / seen.shape_sigma[:, None, None]
        place[row, column] = _place_root(seen)
        trust[row] = _TRUST if near and seen.knows_distance else 1.0
    chosen = [views[stream] for _, stream in sources]
    return JointMeasurements(
        **camera_arrays(chosen),
        joints=joints,
        shape=shape,
        place=place,
        trust=trust,
    )


def pixel_measurements(hands: Seen, views: dict[str, View]) -> PointMeasurements | None:
    """Return the joints whose pixels a network knows better than their place in 3D.

    Args:
        hands: for each of B hands what networks say about it; None comes out if that is nothing.
        views: the streams by name.
    """
    sources = _sources(hands, pixels=True)
    if not sources:
        return None
    count = len(sources), len(hands)
    points = np.zeros((*count, JOINT_COUNT, 2))
    sigma = np.full((*count, JOINT_COUNT), np.inf)
    for row, column, seen in _entries(hands, sources):
        if seen.mapped is not None and seen.noise.map_slope:
            points[row, column], deviation = seen.mapped.measured(seen.noise)
        else:
            points[row, column] = views[seen.stream].camera.undistort(seen.pixels)
            # The joints of one answer err alike: all together they count as much as one.
            deviation = np.sqrt(JOINT_COUNT) * seen.noise.pixel / seen.focal
        sigma[row, column] = deviation * seen.doubt
    chosen = [views[stream] for _, stream in sources]
    return PointMeasurements(
        **camera_arrays(chosen),
        points=points,
        sigma=sigma,
        relative_depth=np.zeros((*count, JOINT_COUNT)),
        hint_sigma=np.full(count, np.inf),
    )


def _sources(hands: Seen, pixels: bool) -> list[tuple[str, str]]:
    """Return (network, stream) of what there is, in order."""
    found = (
        (seen.source, seen.stream)
        for hand in hands
        for seen in hand
        if seen.noise.pixel > 0 or not pixels
    )
    return list(dict.fromkeys(found))


def _entries(hands: Seen, sources: list[tuple[str, str]]) -> list[tuple[int, int, NetworkHand]]:
    return [
        (sources.index((seen.source, seen.stream)), column, seen)
        for column, hand in enumerate(hands)
        for seen in hand
        if (seen.source, seen.stream) in sources
    ]


def _place_root(seen: NetworkHand) -> Array:
    """Return W (3, 3) with W^T W = inverse covariance of the place, 1/m."""
    if seen.noise.pixel > 0:
        # Its pixels say where the hand is across the view.
        ray = seen.joints.mean(axis=0)
        return np.outer([1.0, 0.0, 0.0], ray / np.linalg.norm(ray) / seen.along)
    return np.linalg.cholesky(np.linalg.inv(seen.place_covariance)).T
