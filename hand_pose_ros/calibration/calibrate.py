"""Calibrating a recorded rig: survey, detection, adjustment, checks, and the new rig."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.bundle import Sighting
from hand_pose_ros.calibration.depth_check import DepthScale, depth_scale, plane_depths
from hand_pose_ros.calibration.detection import Detection, detect, grey_image
from hand_pose_ros.calibration.intrinsics import Lens
from hand_pose_ros.calibration.recording import Recording, Stream, each
from hand_pose_ros.calibration.selection import Plan, plan
from hand_pose_ros.calibration.solve import Request, Solution, solve
from hand_pose_ros.calibration.time_offset import motion_offset
from hand_pose_ros.errors import RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import inverse
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Options:
    """What the user asked for.

    Attributes:
        target: the target that was recorded.
        cameras: to calibrate; all of the rig when empty.
        keep_intrinsics: cameras whose intrinsics stay as the rig has them.
        fisheye: cameras with the equidistant lens model.
        ties: depth camera -> camera on the same sensor, where the defaults are not right.
        moments: how many are looked at.
        timed: whether time offsets are estimated.
    """

    target: Target
    cameras: tuple[str, ...] = ()
    keep_intrinsics: tuple[str, ...] = ()
    fisheye: tuple[str, ...] = ()
    ties: Mapping[str, str] = field(default_factory=dict)
    moments: int = 60
    timed: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """The result.

    Attributes:
        rig: the calibrated rig.
        before: the rig as it was.
        solutions: by body ('' = the rig itself).
        ties: depth camera -> the camera whose calibration it shares.
        depth: by depth camera, how its distances compare with the target's.
        notes: what the user should know.
    """

    rig: RigDescription
    before: RigDescription
    solutions: dict[str, Solution]
    ties: dict[str, str]
    depth: dict[str, DepthScale]
    notes: list[str]


def calibrate(
    recording: Recording, options: Options, progress: Progress = lambda *_: None
) -> Calibration:
    """Calibrate the cameras of a recording.

    Args:
        recording: the open bag.
        options: what to calibrate.
        progress: told the step, what is done of it, and the whole.

    Raises:
        BagError: if a camera has no images.
        RigError: if the recording does not determine the calibration, with what to record next.
    """
    rig = recording.rig
    notes: list[str] = []
    ties = _ties(rig, options)
    seeing = [name for name in _chosen(rig, options) if rig.cameras[name].modality != 'depth']
    if not seeing:
        raise RigError(f'{recording.path}: no camera but depth is to be calibrated: add one')
    streams = recording.survey(seeing, lambda done, total: progress('reading', done, total))
    solutions: dict[str, Solution] = {}
    depth: dict[str, DepthScale] = {}
    for body in dict.fromkeys(rig.cameras[name].body for name in seeing):
        own = {name: streams[name] for name in seeing if rig.cameras[name].body == body}
        requested = _request(rig, options, own, notes)
        chosen = plan(own, requested.offsets, options.moments)
        found = list(_detections(recording, options.target, chosen, progress))
        looked = {name: len(images) for name, images in chosen.images.items()}
        progress('solving', 0, 1)
        solutions[body] = solve(requested, found, chosen.stamps, looked)
        own_ties = {d: c for d, c in ties.items() if c in own and d in _chosen(rig, options)}
        depth |= _depth_scales(recording, solutions[body], own_ties, chosen)
    for name in _chosen(rig, options):
        if rig.cameras[name].modality == 'depth' and name not in ties:
            notes.append(f'{name} shares no sensor with another camera (--tie): left as it was.')
    for name, scale in depth.items():
        notes += _depth_notes(name, scale)
    result = calibrated_rig(rig, solutions, ties)
    return Calibration(
        rig=result, before=rig, solutions=solutions, ties=ties, depth=depth, notes=notes
    )


def calibrated_rig(
    rig: RigDescription, solutions: Mapping[str, Solution], ties: Mapping[str, str]
) -> RigDescription:
    """Return the rig with the calibrated cameras; the pose of each reference camera stays."""
    cameras = dict(rig.cameras)
    for solution in solutions.values():
        base = rig.cameras[solution.request.reference]
        for name, eye in solution.bundle.eyes.items():
            offset = base.time_offset + round(1e9 * eye.offset)
            cameras[name] = replace(
                cameras[name], camera=eye.camera, size=solution.request.sizes[name],
                T_rig_cam=base.T_rig_cam @ inverse(eye.T_cam_ref), time_offset=offset,
                extrinsics_from_tf=False,
            )  # fmt: skip
    for depth, name in ties.items():
        if any(name in solution.bundle.eyes for solution in solutions.values()):
            twin = cameras[name]
            cameras[depth] = replace(
                cameras[depth], camera=twin.camera, size=twin.size, T_rig_cam=twin.T_rig_cam,
                time_offset=twin.time_offset, extrinsics_from_tf=False,
            )  # fmt: skip
    streams = rig.synchronizer.streams
    offsets = {n: cameras[n].time_offset for n in streams if cameras[n].time_offset}
    return replace(rig, cameras=cameras, synchronizer=replace(rig.synchronizer, offsets=offsets))


def _chosen(rig: RigDescription, options: Options) -> list[str]:
    named = (*options.cameras, *options.keep_intrinsics, *options.fisheye)
    for name in (*named, *options.ties, *options.ties.values()):
        if name not in rig.cameras:
            raise RigError(f'the rig has no camera {name!r}: use {", ".join(rig.cameras)}')
    return [n for n in rig.cameras if not options.cameras or n in options.cameras]


def _ties(rig: RigDescription, options: Options) -> dict[str, str]:
    """Return which camera each depth camera shares its sensor with.

    Without being told: one of the same body, size and calibration, NIR before RGB.
    """
    ties = dict(options.ties)
    for name, depth in rig.cameras.items():
        if depth.modality != 'depth' or name in ties:
            continue
        twins = [c for c in rig.cameras.values() if _may_share(depth, c)]
        twins.sort(key=lambda camera: ('nir', 'rgb', 'thermal').index(camera.modality))
        if twins:
            ties[name] = twins[0].name
    return ties


def _may_share(depth: CameraDescription, other: CameraDescription) -> bool:
    if other.modality in ('depth', 'thermal') or other.body != depth.body:
        return False
    if other.size != depth.size or not np.allclose(other.T_rig_cam, depth.T_rig_cam, atol=1e-9):
        return False
    if other.camera is None or depth.camera is None:
        return other.modality == 'nir' and other.camera is depth.camera
    return np.allclose(other.camera.intrinsics, depth.camera.intrinsics, rtol=1e-9)


def _request(
    rig: RigDescription, options: Options, streams: Mapping[str, Stream], notes: list[str]
) -> Request:
    """Say what is to be calibrated on one body, with first time offsets from motion."""
    reference = rig.reference if rig.reference in streams else next(iter(streams))
    offsets = dict.fromkeys(streams, 0.0)
    for name in streams:
        if name != reference and options.timed:
            offsets[name], correlation = motion_offset(streams[name], streams[reference])
            if offsets[name] == 0.0:
                notes.append(
                    f'{name}: its motion does not show a time offset against {reference} '
                    f'(correlation {correlation:.2f}): one below 30 ms is still found.'
                )
    kept: dict[str, Camera] = {}
    lenses: dict[str, Lens] = {}
    for name in streams:
        camera = rig.cameras[name].camera
        if name in options.keep_intrinsics:
            if camera is None:
                raise RigError(f'{name}: the rig has no intrinsics to keep, calibrate them')
            kept[name] = camera
        fisheye = name in options.fisheye or (
            camera is not None and camera.distortion_model == 'equidistant'
        )
        lenses[name] = 'equidistant' if fisheye else 'plumb_bob'
    return Request(
        target=options.target, reference=reference, lenses=lenses, kept=kept, offsets=offsets,
        sizes={name: rig.cameras[name].size for name in streams}, timed=options.timed,
    )  # fmt: skip


def _detections(
    recording: Recording, target: Target, chosen: Plan, progress: Progress
) -> Iterator[Sighting]:
    """Look for the target in the chosen images."""
    wanted = {name: set(images) for name, images in chosen.images.items()}
    total = sum(map(len, wanted.values()))

    def look(name: str, stamp: int, image: NDArray[Any]) -> tuple[int, Detection | None]:
        found = detect(grey_image(image), target, name, stamp)
        return chosen.images[name][stamp], found

    results = each(look, recording.images(wanted))
    for number, (moment, detection) in enumerate(results, start=1):
        progress('looking for the target', number, total)
        if detection is not None:
            yield Sighting(detection=detection, moment=moment)


def _depth_scales(
    recording: Recording, solution: Solution, ties: Mapping[str, str], chosen: Plan
) -> dict[str, DepthScale]:
    """Compare depth with the target in the still moments."""
    scales = {}
    moments = solution.bundle.moments
    still = {stamp for stamp, rests in zip(chosen.stamps, chosen.still, strict=True) if rests}
    for name, twin in ties.items():
        stamps = recording.stamps_of(name)
        if not len(stamps):
            continue
        sightings: dict[int, Sighting] = {}
        for sighting in solution.bundle.sightings:
            seen = sighting.detection
            nearest = int(stamps[np.argmin(np.abs(stamps - seen.stamp))])
            closer = sightings.get(sighting.moment)
            if abs(nearest - seen.stamp) > 0.5e9 / recording.rig.cameras[name].rate:
                continue
            rests = moments[sighting.moment].stamp in still
            if seen.camera == twin and closer is None and rests:
                sightings[sighting.moment] = replace(
                    sighting, detection=replace(seen, stamp=nearest)
                )
        views = {s.detection.stamp: s for s in sightings.values()}
        camera = solution.bundle.eyes[twin].camera
        pairs = []
        for _, stamp, image in recording.images({name: set(views)}):
            pose = solution.bundle.board_pose(views[stamp])
            pairs.append(plane_depths(image, camera, pose, solution.request.target))
        fitted = depth_scale([pair for pair in pairs if pair is not None])
        if fitted is not None:
            scales[name] = fitted
    return scales


def _depth_notes(name: str, scale: DepthScale) -> list[str]:
    middle = (scale.near + scale.far) / 2
    error = scale.scale - 1 + (scale.bias or 0.0) / middle
    if abs(error) <= 0.01:
        return []
    return [
        f'WARNING {name}: at {middle:.2f} m it measures {100 * error:+.1f} %: check the spacing of '
        "the target, values.scale of the depth camera, and its maker's calibration."
    ]
