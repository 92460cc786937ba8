"""From sightings of a target to the calibration of all cameras of one body."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.board_pose import board_pose
from hand_pose_ros.calibration.bundle import Bundle, Eye, Sighting, rms, sigmas
from hand_pose_ros.calibration.coverage import (
    FEWEST_VIEWS,
    Coverage,
    coverage,
    degenerate,
    too_few,
    uncertain,
)
from hand_pose_ros.calibration.detection import Detection
from hand_pose_ros.calibration.initial import Start, first_moment, relative_poses
from hand_pose_ros.calibration.intrinsics import Lens, MonoCalibration, calibrate_camera
from hand_pose_ros.calibration.moments import Moment
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]

_MOST_VIEWS = 45  # of one camera alone; more cost time and change little
_ROUNDS = 4
# An image is left out when its error is this many times what the camera's corners have, and more
# than a fifth of a pixel.
_BAD, _TINY = 3.5, 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """What is to be calibrated on one body.

    Attributes:
        target: the target.
        reference: camera whose frame and clock the others are related to.
        sizes: (width, height) by camera.
        lenses: distortion models by camera; ``plumb_bob`` where not given.
        kept: intrinsics that are not estimated, by camera.
        offsets: first estimates of the time offsets, seconds.
        timed: whether time offsets are estimated.
    """

    target: Target
    reference: str
    sizes: dict[str, tuple[int, int]]
    lenses: dict[str, Lens] = field(default_factory=dict)
    kept: dict[str, Camera] = field(default_factory=dict)
    offsets: dict[str, float] = field(default_factory=dict)
    timed: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """The calibration of one body's cameras.

    Attributes:
        request: what was asked.
        bundle: the adjusted state; its ``eyes`` are the calibration.
        deviations: standard deviations of each camera's parameters: those that are free of fx, fy,
            cx, cy, distortion; then turn (rad), translation (m) and offset (s).
        coverage: by camera.
        rms: reprojection error by camera, pixels.
        rejected: by camera, stamps of images left out and their error in pixels.
        turned: cameras that see dark and bright exchanged.
        stamps: of the moments.
    """

    request: Request
    bundle: Bundle
    deviations: dict[str, Array]
    coverage: dict[str, Coverage]
    rms: dict[str, float]
    rejected: dict[str, dict[int, float]]
    turned: frozenset[str]


def solve(
    request: Request, found: Sequence[Sighting], stamps: Sequence[int], looked: dict[str, int]
) -> Solution:
    """Calibrate the cameras of one body.

    Args:
        request: what to calibrate.
        found: where the target was found; moments are numbers of ``stamps``.
        stamps: nanoseconds of the moments on the reference camera's clock.
        looked: number of images looked at, by camera.

    Raises:
        RigError: with what to record next, when the recording does not determine the calibration.
    """
    target = request.target
    views = {name: _views(found, name) for name in request.sizes}
    problems = [
        too_few(name, len(own), looked.get(name, 0), str(target)) for name, own in views.items()
    ]
    _refuse(problems)
    alone = {name: _alone(request, name, own) for name, own in views.items()}
    cameras = {name: mono.camera for name, mono in alone.items()}
    covered = {
        name: coverage(
            own, [board_pose(v, cameras[name], target) for v in own], request.sizes[name]
        )
        for name, own in views.items()
    }
    _refuse([degenerate(name, c) for name, c in covered.items() if name not in request.kept])
    start = relative_poses(found, cameras, request.reference, target)
    sightings = [
        replace(s, detection=s.detection.turned(target))
        if s.detection.camera in start.turned
        else s
        for s in found
    ]
    bundle, rejected = _adjusted(_bundle(request, alone, start, sightings, stamps))
    errors: dict[str, list[Array]] = {name: [] for name in views}
    for sighting, away in zip(bundle.sightings, bundle.residuals(), strict=True):
        errors[sighting.detection.camera].append(away)
    for name, own in errors.items():
        if len({s.moment for s in bundle.sightings if s.detection.camera == name}) < FEWEST_VIEWS:
            raise RigError(
                f'{name}: {len(rejected.get(name, {}))} of {looked.get(name, 0)} images contradict '
                f'the others, {len(own)} are left: is the target flat and stiff, and is its '
                'description right?'
            )
    deviations = {n: np.sqrt(np.diag(c)) for n, c in bundle.covariance().items()}
    _refuse(
        [
            uncertain(n, eye.camera.intrinsics[0, 0], deviations[n][0], rms(errors[n]))
            for n, eye in bundle.eyes.items()
            if eye.free
        ]
    )
    return Solution(
        request=request, bundle=bundle,
        deviations=deviations,
        coverage=covered, rms={name: rms(own) for name, own in errors.items()},
        rejected=rejected, turned=start.turned,
    )  # fmt: skip


def _refuse(problems: Sequence[str | None]) -> None:
    told = [problem for problem in problems if problem]
    if told:
        raise RigError('; '.join(told))


def _views(found: Sequence[Sighting], name: str) -> list[Detection]:
    """Return the middle detection of every moment in which a camera found the target."""
    moments: dict[int, list[Detection]] = {}
    for sighting in found:
        if sighting.detection.camera == name:
            moments.setdefault(sighting.moment, []).append(sighting.detection)
    return [own[len(own) // 2] for own in moments.values()]


def _alone(request: Request, name: str, views: list[Detection]) -> MonoCalibration:
    """Calibrate one camera alone, from at most some tens of views."""
    if name in request.kept:
        everything = tuple(range(len(views)))
        return MonoCalibration(
            camera=request.kept[name], free=(), kept=everything, rejected={}, rms=0.3
        )
    step = -(-len(views) // _MOST_VIEWS)
    lens = request.lenses.get(name, 'plumb_bob')
    return calibrate_camera(views[::step], request.sizes[name], request.target, lens)


def _bundle(
    request: Request,
    alone: dict[str, MonoCalibration],
    start: Start,
    sightings: Sequence[Sighting],
    stamps: Sequence[int],
) -> Bundle:
    """Put the adjustment together; moments nobody saw are left out."""
    eyes = {
        name: Eye(
            camera=mono.camera, free=mono.free, T_cam_ref=start.T_cam_ref[name],
            offset=request.offsets.get(name, 0.0), sigma=max(mono.rms / np.sqrt(2), 0.01),
            placed=name != request.reference, timed=request.timed,
        )
        for name, mono in alone.items()
    }  # fmt: skip
    used = sorted({sighting.moment for sighting in sightings})
    numbers = {moment: number for number, moment in enumerate(used)}
    kept = [replace(s, moment=numbers[s.moment]) for s in sightings]
    moments = [
        _moment(stamps[moment], [s.detection for s in sightings if s.moment == moment], eyes,
                request.target)
        for moment in used
    ]  # fmt: skip
    return Bundle(target=request.target, eyes=eyes, moments=moments, sightings=kept)


def _moment(stamp: int, seen: list[Detection], eyes: dict[str, Eye], target: Target) -> Moment:
    """Begin a moment with the poses that the camera with most images saw."""
    names = [detection.camera for detection in seen]
    name = max(eyes, key=names.count)
    eye = eyes[name]
    poses = [
        (
            (detection.stamp - stamp) * 1e-9 - eye.offset,
            inverse(eye.T_cam_ref) @ board_pose(detection, eye.camera, target),
        )
        for detection in seen
        if detection.camera == name
    ]
    return first_moment(stamp, sorted(poses, key=lambda pair: pair[0]))


def _adjusted(bundle: Bundle) -> tuple[Bundle, dict[str, dict[int, float]]]:
    """Adjust, leave out images that contradict the rest, and adjust again until none does."""
    rejected: dict[str, dict[int, float]] = {}
    for _ in range(_ROUNDS):
        bundle = bundle.solved()
        spread = sigmas(bundle)
        eyes = {name: replace(eye, sigma=spread[name]) for name, eye in bundle.eyes.items()}
        good = []
        for sighting, errors in zip(bundle.sightings, bundle.residuals(), strict=True):
            name, error = sighting.detection.camera, rms([errors])
            if error > max(_BAD * spread[name] * np.sqrt(2), _TINY):
                rejected.setdefault(name, {})[sighting.detection.stamp] = error
            else:
                good.append(sighting)
        changed = len(good) < len(bundle.sightings)
        bundle = replace(bundle, eyes=eyes).with_sightings(good)
        if not changed:
            break
    # With the final weights.
    return bundle.solved(), rejected
