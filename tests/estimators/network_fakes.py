"""A recorded static scene, and networks that answer from its truth."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from hand_pose_ros.estimators.network_hands import NetworkHand, NetworkNoise, image_pixels
from hand_pose_ros.rig.assemble import rig_frame
from hand_pose_ros.rig.description import find_rig
from hand_pose_ros.rig.frame import RigFrame, StreamImage
from hand_pose_ros.rig.images import stream_image
from hand_pose_ros.simulation.rig import SimulatedRig
from hand_pose_ros.skeleton import SIDES

FRAME = 33_333_333
ALL = ('thermal', 'nir', 'depth', 'rgb')
RIG = find_rig('simulated_head_rig')
STILL = SimulatedRig(RIG, seed=51, scenario='static')
TRUTH = {SIDES.index(hand.side): hand for hand in STILL.truth(0)}


@lru_cache(maxsize=32)
def still_image(stream: str, number: int) -> StreamImage:
    camera = RIG.cameras[stream]
    image = STILL.render(stream, number * FRAME)
    return stream_image(image, camera.encoding, number * FRAME, camera)


def frame(number: int, streams=ALL, **changes) -> RigFrame:
    """A frame of two still hands; changes replace whole images by name, None leaves one out."""
    images = {name: still_image(name, number % 4) for name in streams} | changes
    images = {
        name: replace(image, stamp=number * FRAME)
        for name, image in images.items()
        if image is not None
    }
    return rig_frame(RIG, images)


def dark(stream: str) -> StreamImage:
    """An image of a stream in which there is nothing to see."""
    image = still_image(stream, 0)
    if stream == 'depth':
        return replace(image, image=np.full_like(image.image, np.nan))
    noise = np.random.default_rng(0).integers(20, 26, image.image.shape)
    return replace(image, image=noise.astype(image.image.dtype))


def without_hand(side: int) -> StreamImage:
    """The depth image with a wall two metres away where one of the hands is."""
    image = still_image('depth', 0)
    pixels = RIG.cameras['depth'].camera.project(camera_joints('depth', side))
    x0, y0 = np.floor(pixels.min(axis=0)).astype(int) - 20
    x1, y1 = np.ceil(pixels.max(axis=0)).astype(int) + 20
    metres = image.image.copy()
    metres[max(y0, 0) : y1, max(x0, 0) : x1] = 2.0
    return replace(image, image=metres)


def camera_joints(stream: str, side: int) -> np.ndarray:
    """True joints (21, 3) in a stream's camera."""
    camera = RIG.cameras[stream]
    T_cam_frame = np.linalg.inv(camera.T_rig_cam) @ RIG.reference_camera.T_rig_cam
    return TRUTH[side].joints @ T_cam_frame[:3, :3].T + T_cam_frame[:3, 3]


def error(pose) -> float:
    """Mean distance of a pose's joints from the truth, metres."""
    return float(np.linalg.norm(pose.joints - TRUTH[SIDES.index(pose.side)].joints, axis=1).mean())


class FakeFinder:
    """Sees the true hands in one stream, with errors as stated."""

    source = 'therformer'
    finds = True
    knows_distance = False

    def __init__(self, stream='thermal', noise=0.0, shift=(0.0, 0.0, 0.0), sides=(0, 1)):
        self.stream, self.noise, self.shift, self.sides = stream, noise, np.array(shift), sides
        self.confidence, self.along = 0.9, 0.03
        self.resets = 0
        self.generator = np.random.default_rng(0)

    def reset(self):
        self.resets += 1

    def hand(self, side, views):
        joints = camera_joints(self.stream, side) + self.shift
        joints = joints + self.generator.normal(0, self.noise, joints.shape)
        return NetworkHand(
            source=self.source, stream=self.stream, side=side, joints=joints,
            pixels=image_pixels(joints, views[self.stream]),
            confidence=np.full(21, self.confidence),
            noise=NetworkNoise(across=0.01, along=self.along, shape=max(self.noise, 0.004)),
            spread=np.zeros(21), finds=self.finds,
        )  # fmt: skip

    def look(self, views):
        if self.stream not in views:
            return []
        return [self.hand(side, views) for side in self.sides]


class FakeRefiner(FakeFinder):
    """Sees the true hand at every place near one, if its stream is there."""

    source = 'densereg'
    finds = False

    def refine(self, views, places):
        found = []
        for side, joints in places:
            seen = None
            if self.stream in views and side in self.sides:
                hand = self.hand(side, views)
                place = hand.joints_in(views[self.stream]).mean(axis=0)
                near = np.linalg.norm(place - np.mean(joints, axis=0)) < 0.1
                seen = hand if near else None
            found.append(seen)
        return found
