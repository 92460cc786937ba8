"""One moment of a recorded run: the four camera images with the estimated hands over them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_pose_ros.bags.reader import BagReader, header_stamp
from hand_pose_ros.estimators.drawing import (
    DrawnHand,
    Rgb,
    draw_hands,
    draw_truth,
    enlarge,
    picture,
    scaled_points,
)
from hand_pose_ros.evaluation.live_run import LiveRun
from hand_pose_ros.evaluation.matching import JointTrack
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.rig.description import CameraDescription, RigDescription
from hand_pose_ros.sessions.recorded_rig import image_topic, recorded_image
from hand_pose_ros.skeleton import SIDES, Side

_LEAST_WIDTH = 640
# A recorded image belongs to a moment when it is at most this many nanoseconds away.
_NEAR = 25_000_000
# Results are drawn between two that are at most this many nanoseconds apart.
_LONGEST_GAP = 300_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """One camera's picture of a moment."""

    camera: str
    image: Rgb


def views_of(bag_folder: Path, rig: RigDescription, run: LiveRun) -> list[View]:
    """Draw the recorded moment with the most and best seen hands, in every camera.

    Returns:
        One view for each camera with an image at that moment; empty when no images were recorded.
    """
    with BagReader(bag_folder) as bag:
        stamps = {
            name: [header_stamp(m.data) for m in bag.messages(image_topic(name))]
            for name in rig.cameras
        }
        moment = best_moment(run, stamps, rig.reference)
        views = []
        for name, camera in rig.cameras.items():
            wanted = None if moment is None else nearest(stamps[name], moment)
            for message in bag.messages(image_topic(name)):
                if header_stamp(message.data) == wanted:
                    stream = recorded_image(message.data, camera)
                    image = draw_view(rig, camera, picture(stream, camera.modality), wanted, run)
                    views.append(View(camera=name, image=image))
                    break
    return views


def best_moment(run: LiveRun, stamps: dict[str, list[int]], reference: str) -> int | None:
    """The stamp of the reference image that shows most: cameras, hands, and hands spread wide.

    Args:
        run: the results.
        stamps: stamps of the recorded images by camera.
        reference: the camera to choose an image of.

    Returns:
        None when no image of that camera was recorded.
    """
    tracks = [_estimates(run, side) for side in SIDES]

    def worth(stamp: int) -> tuple[int, int, float]:
        cameras = sum(nearest(known, stamp) is not None for known in stamps.values())
        hands = [track.at(np.array([stamp]), max_gap=_LONGEST_GAP)[0] for track in tracks]
        found = [joints for joints in hands if np.isfinite(joints).all()]
        return cameras, len(found), float(sum(np.ptp(joints[:, :2]) for joints in found))

    return max(stamps[reference], key=worth, default=None)


def _estimates(run: LiveRun, side: Side) -> JointTrack:
    return JointTrack.of(zip(run.stamps.tolist(), run.joints(side), strict=True))


def nearest(stamps: list[int], stamp: int) -> int | None:
    """The stamp closest to another, None when all are too far away to show the same moment."""
    closest = min(stamps, key=lambda other: abs(other - stamp), default=None)
    return closest if closest is not None and abs(closest - stamp) <= _NEAR else None


def draw_view(
    rig: RigDescription, camera: CameraDescription, image: Rgb, stamp: int, run: LiveRun
) -> Rgb:
    """Draw truth (thin, pale) and estimate over a picture, both at the picture's own stamp."""
    image, factor = enlarge(image, _LEAST_WIDTH)
    if camera.camera is None:
        return image
    T_cam_reference = inverse(camera.T_rig_cam) @ rig.reference_camera.T_rig_cam
    scale = image.shape[1] / 640
    true_stamp = np.array([stamp - camera.time_offset], dtype=np.int64)
    for side in SIDES:
        truth = JointTrack.of((e.stamp, e.hands[side].joints) for e in run.truth if side in e.hands)
        true_joints, joints = (
            truth.at(true_stamp)[0],
            _estimates(run, side).at(true_stamp, max_gap=_LONGEST_GAP)[0],
        )
        projected = camera.camera.project(apply(T_cam_reference, joints))
        drawn = DrawnHand(side=side, points=scaled_points(projected, factor), label=side)
        draw_hands(image, [drawn], scale=scale)
        pixels = camera.camera.project(apply(T_cam_reference, true_joints))
        draw_truth(image, scaled_points(pixels, factor), scale=scale)
    return image
