"""Watching: follows the hands through a session and looks at them in every calibrated view."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.clouds import MaskedView, hand_cloud
from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.masks import Prompt, Segmenter, checked_masks, grab_cut
from hand_pose_ros.annotation.poses import Poses, carried_over_gaps
from hand_pose_ros.annotation.silhouettes import silhouette
from hand_pose_ros.estimators.base import Estimator
from hand_pose_ros.estimators.drawing import picture
from hand_pose_ros.estimators.landmark_model import load_landmark_model
from hand_pose_ros.estimators.landmark_stream import HandLandmarks
from hand_pose_ros.estimators.networks import HandNetworks
from hand_pose_ros.estimators.observations import Look, Observer
from hand_pose_ros.estimators.regions import region_from_landmarks
from hand_pose_ros.estimators.rig_views import View, views_of
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import Modality, RigFrame
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

PRESENCE = 0.5  # least probability of a hand for its landmarks to count
# A hand is looked for at its carried-over pose for so long without being tracked, seconds.
LONGEST_GAP = 0.7
_OUTSIDE = 4.0  # factor on the deviation of a landmark beyond the image's border
# Joints of a hand that must be in an image for it to be looked at there.
_LEAST_INSIDE = 11
# Where hands are masked, the modality in which they stand out best first.
_MASKED: tuple[Modality, ...] = ('thermal', 'rgb', 'nir')


@dataclass(frozen=True, kw_only=True)
class Watched:
    """The cameras of a session by their use.

    Attributes:
        looks: cameras landmarks are looked for in.
        depths: depth cameras.
        masks: cameras hands are masked in, one on each body.
    """

    looks: tuple[str, ...]
    depths: tuple[str, ...]
    masks: tuple[str, ...]


def watched(rig: RigDescription, streams: Iterable[str]) -> Watched:
    """Return which of the streams are used, and for what."""
    calibrated = [name for name in streams if rig.cameras[name].camera is not None]
    kinds = {name: rig.cameras[name].modality for name in calibrated}
    depths = tuple(name for name, kind in kinds.items() if kind == 'depth')
    masks = {}
    for body in {rig.cameras[name].body: None for name in calibrated}:
        own = [name for name, kind in kinds.items()
               if kind in _MASKED and rig.cameras[name].body == body]  # fmt: skip
        if own:
            masks[body] = min(own, key=lambda name: _MASKED.index(kinds[name]))
    return Watched(
        looks=tuple(name for name, kind in kinds.items() if kind != 'depth'),
        depths=depths,
        masks=tuple(masks.values()),
    )


def follow(estimator: Estimator, frames: Iterable[RigFrame]) -> Poses:
    """Run a live estimator over frames in time order and return the hands it tracked."""
    stamps, found = [], []
    for frame in frames:
        stamps.append(frame.stamp)
        found.append(_by_side(estimator.estimate(frame)))
    return Poses.of(np.array(stamps, np.int64), found)


def look(
    frames: Iterable[tuple[int, RigFrame]],
    poses: Poses,
    rig: RigDescription,
    networks: HandNetworks,
    cameras: Watched,
    segmenter: Segmenter = grab_cut,
) -> Evidence:
    """Look at tracked hands in every view, and at missing ones where they must have been.

    Args:
        frames: numbers of sets and their frames, one for each row of ``poses``.
        poses: tracked hands, NaN where there was none.
        rig: of the session.
        networks: the landmark networks.
        cameras: what to use.
        segmenter: masks hands, so that what they touch is not taken for them.
    """
    poses = carried_over_gaps(poses, LONGEST_GAP)
    joints = poses.joints()
    exo = [bool(rig.cameras[name].body) for name in cameras.looks]
    evidence = Evidence.empty(
        poses.stamps, np.zeros(len(poses.stamps), np.int64), cameras.looks, exo,
        len(cameras.depths),
    )  # fmt: skip
    for name in ('global_orient', 'hand_pose', 'betas', 'translation', 'tracked'):
        getattr(evidence, name)[:] = getattr(poses, name)
    evidence.focal[:] = [_focal(rig.cameras[name].camera) for name in cameras.looks]
    modalities = {name: rig.cameras[name].modality for name in cameras.looks}
    observer = Observer(networks, modalities)
    for row, (number, frame) in enumerate(frames):
        evidence.numbers[row] = number
        views = {name: view for name, view in views_of(frame).items() if _placed(view)}
        seen = _look_at_frame(evidence, row, views, joints[row], observer, cameras)
        masks = _masks(evidence, row, seen, views, modalities, cameras, segmenter)
        _gather_clouds(evidence, row, joints[row], views, cameras, masks)
    return evidence


def _by_side(hands: list[HandPose]) -> dict[int, HandPose]:
    """Return the most certain recognised hand of each side."""
    best: dict[int, HandPose] = {}
    for hand in hands:
        if hand.state != 'tracked' or hand.parameters is None or not hand.joints_2d:
            continue
        side = SIDES.index(hand.side)
        if side not in best or hand.score > best[side].score:
            best[side] = hand
    return best


def _look_at_frame(
    evidence: Evidence, row: int, views: dict[str, View], joints: Array, observer: Observer,
    cameras: Watched,
) -> dict[tuple[str, int], Array]:  # fmt: skip
    """Enter what the landmark network sees; return the pixels (21, 2) by camera and side."""
    observer.begin({name: view.stream for name, view in views.items()})
    places: list[tuple[int, int, Look]] = []
    for place, name in enumerate(cameras.looks):
        if name not in views:
            continue
        view = views[name]
        evidence.T_cam_world[place, row] = _matrix(view)
        evidence.lag[place, row] = view.lag
        for side in range(2):
            pixels = _visible_pixels(view, joints[side])
            if pixels is not None:
                look = Look(stream=name, region=region_from_landmarks(pixels))
                places.append((place, side, look))
    hands = observer.follow(look for _, _, look in places)
    seen = {}
    for (place, side, look), hand in zip(places, hands, strict=True):
        evidence.presence[place, row, side] = hand.presence
        if hand.presence >= PRESENCE:
            camera = views[look.stream].camera
            evidence.points[place, row, side] = camera.undistort(hand.points)
            evidence.sigma[place, row, side] = _sigma(hand, look, camera)
            seen[look.stream, side] = hand.points
    return seen


def _masks(
    evidence: Evidence, row: int, seen: dict[tuple[str, int], Array], views: dict[str, View],
    modalities: dict[str, Modality], cameras: Watched, segmenter: Segmenter,
) -> dict[int, list[MaskedView]]:  # fmt: skip
    """Enter the silhouettes; return each side's masks."""
    masks: dict[int, list[MaskedView]] = {0: [], 1: []}
    for name in cameras.masks:
        sides = [side for side in range(2) if (name, side) in seen]
        if not sides:
            continue
        prompts = [Prompt.of(seen[name, side]) for side in sides]
        shown = picture(views[name].stream, modalities[name])
        found = checked_masks(segmenter, shown, modalities[name], prompts)
        by_side = dict(zip(sides, found, strict=True))
        place, camera = cameras.looks.index(name), views[name].camera
        for side, mask in by_side.items():
            if mask is not None:
                masks[side].append(MaskedView(view=views[name], mask=mask))
                outline = silhouette(
                    mask, by_side.get(1 - side), camera, evidence.points[place, row, side]
                )
                evidence.enter_silhouette(place, row, side, outline)
    return masks


def _gather_clouds(
    evidence: Evidence, row: int, joints: Array, views: dict[str, View], cameras: Watched,
    masks: dict[int, list[MaskedView]],
) -> None:  # fmt: skip
    for place, name in enumerate(cameras.depths):
        if name in views:
            view = views[name]
            evidence.depth_eyes[place, row] = -view.rotation.T @ view.translation
    depths = [views[name] for name in cameras.depths if name in views]
    for side in range(2):
        if np.isfinite(joints[side]).all():
            other = joints[1 - side] if np.isfinite(joints[1 - side]).all() else None
            evidence.cloud[row, side] = hand_cloud(depths, joints[side], other, masks[side])


def _sigma(hand: HandLandmarks, look: Look, camera: Camera) -> Array:
    """Return the deviation (21,) of landmarks on the plane z = 1."""
    scale = look.region.size / _focal(camera)
    return (
        load_landmark_model().sigma * scale * np.where(camera.contains(hand.points), 1.0, _OUTSIDE)
    )


def _focal(camera: Camera | None) -> float:
    return np.nan if camera is None else float(np.trace(camera.intrinsics[:2, :2]) / 2)


def _visible_pixels(view: View, joints: Array) -> Array | None:
    """Return the pixels (21, 2) of a hand that is in a view, else None."""
    if not np.isfinite(joints).all():
        return None
    pixels = view.project(joints)
    if not np.isfinite(pixels).all():
        return None
    return pixels if view.camera.contains(pixels).sum() >= _LEAST_INSIDE else None


def _placed(view: View) -> bool:
    """Whether it is known where a view's camera was."""
    return bool(np.isfinite(view.rotation).all() and np.isfinite(view.translation).all())


def _matrix(view: View) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = view.rotation, view.translation
    return matrix
