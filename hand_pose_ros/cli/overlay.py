"""Pictures of frames with the estimated hands drawn over them."""

from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.cli.common import CommandError
from hand_pose_ros.estimators.drawing import (
    DrawnHand,
    Rgb,
    draw_hands,
    enlarge,
    picture,
    scaled_points,
)
from hand_pose_ros.geometry.transforms import apply, inverse
from hand_pose_ros.hand_model.hand_pose import HandPose
from hand_pose_ros.rig.frame import Modality, RigFrame, StreamImage

_LEAST_WIDTH = 640


def points_in_stream(
    hand: HandPose, name: str, stream: StreamImage, frame: RigFrame
) -> np.ndarray | None:
    """Pixels (21, 2) of a hand in a stream: projected 3D joints, else the stream's own 2D joints.

    None when there is neither.
    """
    if hand.joints is not None and stream.camera is not None:
        T_cam_frame = inverse(stream.T_rig_cam) @ frame.T_rig_frame
        return stream.camera.project(apply(T_cam_frame, hand.joints))
    return hand.joints_2d.get(name)


def overlay(frame: RigFrame, name: str, modality: Modality, hands: list[HandPose]) -> Rgb:
    """Draw the hands of a frame over one of its streams; small images are enlarged."""
    stream = frame.streams[name]
    image, factor = enlarge(picture(stream, modality), _LEAST_WIDTH)
    drawn = []
    for hand in hands:
        points = points_in_stream(hand, name, stream, frame)
        if points is not None and hand.state != 'lost':
            drawn.append(
                DrawnHand(
                    side=hand.side,
                    points=scaled_points(points, factor),
                    confidence=hand.confidence,
                    label=label(hand),
                )
            )
    return draw_hands(image, drawn, scale=image.shape[1] / 640)


def label(hand: HandPose) -> str:
    """Side, score and, when the hand is not seen now, its state."""
    text = f'{hand.side} {hand.score:.2f}'
    return text if hand.state == 'tracked' else f'{text} {hand.state}'


def save_picture(path: Path, image: Rgb) -> None:
    """Write an RGB picture as PNG or JPEG by its suffix.

    Raises:
        CommandError: if the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except (OSError, cv2.error):
        written = False
    if not written:
        raise CommandError(f'picture {path} cannot be written: name another folder.')
