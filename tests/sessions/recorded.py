"""Small sessions written for tests."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic

START = 1_700_000_000_000_000_000
PERIOD = 33_333_333


def pinhole(width=32, height=24):
    return Camera(
        width=width,
        height=height,
        intrinsics=np.array([[30.0, 0, width / 2], [0, 30.0, height / 2], [0, 0, 1]]),
        distortion=np.zeros(5),
    )


def rig(**changes):
    cameras = {
        'thermal': CameraDescription(name='thermal', modality='thermal', camera=pinhole()),
        'depth': CameraDescription(name='depth', modality='depth', camera=pinhole(40, 30)),
    }
    return replace(RigDescription(name='small', cameras=cameras), **changes)


def exo_camera(**changes):
    camera = CameraDescription(
        name='exo_rgb', modality='rgb', camera=pinhole(48, 36), body='exo', rate=30.0
    )
    return replace(camera, **changes)


def pixels(camera, number):
    """An image whose first pixel tells its number."""
    width, height = camera.size
    kind = {'mono16': np.uint16, '16UC1': np.uint16, 'rgb8': np.uint8}[camera.encoding]
    shape = (height, width, 3) if camera.encoding == 'rgb8' else (height, width)
    image = np.full(shape, 7, kind)
    image[0, 0] = 200 + number if image.dtype == np.uint16 else number
    return image


def write_session(
    folder: Path, description=None, frames=6, late=None, skip=(), rig_inside=True, period=PERIOD,
    body_poses=(),
):  # fmt: skip
    """Write a session; camera i is i ms late, plus ``late[name]`` ns; ``skip`` = (name, number).

    ``body_poses`` are told on /tf at the stamps of the cameras on another body.
    """
    description = description or rig()
    late = late or {}
    with BagWriter(folder) as bag:
        if rig_inside:
            bag.add_topic(RIG_TOPIC, messages.STRING)
            text = messages.serialised(messages.text(rig_text(description)))
            bag.write(RIG_TOPIC, text, START - 1)
        for name in description.cameras:
            bag.add_topic(image_topic(name), messages.IMAGE)
        for number in range(frames):
            for place, (name, camera) in enumerate(description.cameras.items()):
                if (name, number) in skip:
                    continue
                stamp = START + number * period + place * 1_000_000 + late.get(name, 0)
                image = messages.image(
                    pixels(camera, number), camera.encoding, stamp, camera.frame_id
                )
                bag.write(image_topic(name), messages.serialised(image), stamp + 5_000_000)
                if camera.body and number < len(body_poses):
                    pose = messages.transform(
                        body_poses[number], description.rig_frame, camera.body, stamp
                    )
                    bag.add_topic('/tf', messages.TRANSFORMS)
                    bag.write('/tf', messages.serialised(messages.transforms([pose])), stamp)
    return folder
