"""TherFormer, trained on simulated images alone, on real thermal frames.

.venv/bin/python -m benchmarks.real_thermal [--checkpoint FILE] [--overlays FOLDER]

The frames have no 3D truth: what the landmark networks see in them stands in for it. Counted are
frames in which the mask covers both hands, and how far the 2D joints of the same side lie from the
landmarks, as a share of the longer side of the hand's box.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.real_images import DATA, thermal_frames
from hand_pose_ros.errors import ModelError
from hand_pose_ros.estimators.landmark_stream import LandmarkStream
from hand_pose_ros.estimators.network_images import PinholeImage, Rectifier
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.estimators.trained_models import find
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.networks.checkpoint import load_checkpoint
from hand_pose_ros.networks.therformer import (
    MASK,
    TherFormer,
    TherFormerOutput,
    TherFormerStream,
)
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.thermohands import read_calibration, rig_from_calibration

Array = NDArray[np.float64]

LEAST_COVERED = 0.80  # of the landmarks of both hands, in every frame
MOST_MARKED = 0.15  # of the image, in every frame
FARTHEST = 0.35  # of the hand's box, median


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """One frame.

    Attributes:
        covered: share of the landmarks that lie on the mask.
        marked: share of the image that the mask covers.
        distances: of the joints from the landmarks, as shares of the hands' boxes.
        image, mask, joints, landmarks: for the picture, all in the rectified image.
    """

    covered: float
    marked: float
    distances: Array
    image: PinholeImage
    mask: NDArray[np.bool_]
    joints: Array
    landmarks: dict[int, Array]


def thermal_camera(folder: Path, frame: StreamImage) -> Camera:
    """Return the recording camera's calibration at the size of a frame."""
    rig = rig_from_calibration(read_calibration(folder / 'ego_calib.json'))
    camera = rig.cameras['thermal'].camera
    assert camera is not None
    height, width = frame.image.shape
    return camera.scaled(width, height)


def landmarks_of(stream: LandmarkStream, frame: StreamImage) -> dict[int, Array]:
    """Return the landmarks (21, 2) in native pixels by side, 0 left, 1 right."""
    return {int(hand.right_probability > 0.5): hand.points for hand in stream.update(frame)}


def compare(
    seen: PinholeImage, output: TherFormerOutput, landmarks: dict[int, Array]
) -> Comparison:
    """Compare one frame's output with the landmarks, both in the rectified image."""
    size = seen.camera.width, seen.camera.height
    logits = output.mask_logits[0, 0].numpy()
    mask = cv2.resize(1.0 / (1.0 + np.exp(-logits)), size, interpolation=cv2.INTER_LINEAR) > MASK
    joints = output.pixels[0].numpy().astype(np.float64).reshape(2, 21, 2)
    points = np.concatenate(list(landmarks.values()))
    column, row = np.clip(np.rint(points).astype(int), 0, np.array(size) - 1).T
    distances = [
        np.linalg.norm(joints[side] - hand, axis=1) / np.ptp(hand, axis=0).max()
        for side, hand in landmarks.items()
    ]
    return Comparison(
        covered=float(mask[row, column].mean()), marked=float(mask.mean()),
        distances=np.concatenate(distances), image=seen, mask=mask, joints=joints,
        landmarks=landmarks,
    )  # fmt: skip


def comparisons(
    networks: HandNetworks, network: TherFormer, frames: list[StreamImage], camera: Camera
) -> list[Comparison]:
    """Run both over the frames; those in which the landmark networks miss a hand are left out."""
    rows, columns = network.config.image_size
    rectifier, stream = Rectifier((columns, rows)), LandmarkStream(networks, 'thermal')
    therformer = TherFormerStream(network)
    results = []
    for frame in frames:
        view = View(
            name='thermal', stream=frame, camera=camera, rotation=np.eye(3),
            translation=np.zeros(3), lag=0.0,
        )  # fmt: skip
        seen = rectifier.grey_values(view, 'thermal')
        image = torch.from_numpy(seen.pixels).expand(1, 3, -1, -1)
        intrinsics = torch.from_numpy(seen.camera.intrinsics.astype(np.float32))[None]
        output = therformer.push(image, intrinsics)
        landmarks = {
            side: seen.camera.distort(camera.undistort(points))
            for side, points in landmarks_of(stream, frame).items()
        }
        if len(landmarks) == 2:
            results.append(compare(seen, output, landmarks))
    return results


def draw(result: Comparison) -> NDArray[np.uint8]:
    """Return the image: mask red, landmarks white, joints in the colours of the sides."""
    grey = (result.image.pixels * 255).astype(np.uint8)
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    picture[result.mask, 2] = np.maximum(picture[result.mask, 2], 200)
    picture = cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    for hand in result.landmarks.values():
        for x, y in np.rint(2 * hand).astype(int):
            cv2.circle(picture, (int(x), int(y)), 2, (255, 255, 255), -1)
    for hand, colour in zip(result.joints, ((255, 160, 0), (0, 140, 255)), strict=True):
        for x, y in np.rint(2 * hand).astype(int):
            cv2.circle(picture, (int(x), int(y)), 3, colour, 1)
    return np.asarray(picture, np.uint8)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; the exit status is 1 when one is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('--data', type=Path, default=DATA, help='folder of the test data')
    parser.add_argument('--checkpoint', type=Path, help='default: the shipped thermal TherFormer')
    parser.add_argument('--overlays', type=Path, help='folder for pictures of the result')
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args(arguments)
    folder = options.data / 'thermal_egocentric'
    if not folder.is_dir():
        print(f'no test data in {options.data}: set HAND_POSE_TEST_DATA')
        return 2
    try:
        path = options.checkpoint or find('therformer', modality='thermal')
        network = load_checkpoint(path, expected='therformer').network
    except ModelError as error:
        print(error)
        return 2
    assert isinstance(network, TherFormer)
    frames = thermal_frames(folder / 'frames')
    camera = thermal_camera(folder / 'calibration', frames[0])
    results = comparisons(load_networks(), network, frames, camera)
    if options.overlays:
        options.overlays.mkdir(parents=True, exist_ok=True)
        for index, result in enumerate(results):
            cv2.imwrite(str(options.overlays / f'{index:04d}.png'), draw(result))
    covering = sum(result.covered >= LEAST_COVERED for result in results)
    lean = sum(result.marked <= MOST_MARKED for result in results)
    median = float(np.median(np.concatenate([result.distances for result in results])))
    figures = {
        'frames': len(frames),
        'frames with the mask on both hands': covering,
        'least share of landmarks on the mask': min(result.covered for result in results),
        'frames with little else marked': lean,
        'largest share of the image marked': max(result.marked for result in results),
        'median distance of 2D joints, hand boxes': median,
    }
    for name, value in figures.items():
        print(f'{name:44} {value:.3f}' if isinstance(value, float) else f'{name:44} {value}')
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2), encoding='utf-8')
    reached = covering == lean == len(frames) and median <= FARTHEST
    print('ok' if reached else 'MISSED')
    return 0 if reached else 1


if __name__ == '__main__':
    sys.exit(main())
