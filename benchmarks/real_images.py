"""Figure 1: hands found in real thermal frames, RGB photos and depth frames.

.venv/bin/python -m benchmarks.real_images [--overlays FOLDER]
.venv/bin/python -m benchmarks.real_images --thermal FOLDER   # further frames of that camera
"""

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.blobs import Blob, depth_blobs, thermal_blobs
from hand_pose_ros.estimators.drawing import (
    DrawnHand,
    Rgb,
    draw_hands,
    enlarge,
    picture,
    scaled_points,
)
from hand_pose_ros.estimators.landmark_stream import HandLandmarks, LandmarkStream
from hand_pose_ros.estimators.networks import HandNetworks, load_networks
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.frame import Modality, StreamImage

DATA = Path(os.environ.get('HAND_POSE_TEST_DATA', Path(__file__).parents[2] / 'shared' / 'data'))
FRAME_INTERVAL = 33_333_333
# RealSense SR305 of the depth frames: raw unit in metres, focal length and principal point.
DEPTH_UNIT, DEPTH_FOCAL, DEPTH_CENTER = 0.125e-3, 476.007, (313.683, 242.755)
# The palm's centre in each depth frame, read off the image by eye, and how far a hit may be.
PALMS = {
    '30': (286, 320), '50': (299, 287), '70': (304, 251), '90': (317, 238),
    '110': (286, 245), '130': (250, 217), '150': (300, 237), '170': (276, 245),
}  # fmt: skip
PALM_TOLERANCE = 60.0


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the result."""

    name: str
    found: int
    of: int
    target: int

    @property
    def is_reached(self) -> bool:
        """Whether the target is met."""
        return self.found >= self.target


def thermal_frames(folder: Path) -> list[StreamImage]:
    """Read the frames of a folder in the order of their names, as 30 Hz thermal images."""
    frames = []
    for index, path in enumerate(sorted(folder.glob('*.png'))):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        grey = np.ascontiguousarray(image if image.ndim == 2 else image[..., 0])
        frames.append(StreamImage(image=grey, stamp=index * FRAME_INTERVAL))
    return frames


def thermal_figures(networks: HandNetworks, frames: list[StreamImage]) -> list[Figure]:
    """Count the hands of the right side, followed and frame by frame, and their warm blobs.

    The left hand of these recordings is in the left half of the image.
    """
    figures = []
    for name, follows in (('followed', True), ('each frame alone', False)):
        stream = LandmarkStream(networks, 'thermal')
        found = right_side = 0
        for frame in frames:
            if not follows:
                stream.reset()
            hands = stream.update(frame)
            sides = {half(hand.points, frame) for hand in hands}
            found += len(sides)
            right_side += sum(
                (hand.right_probability > 0.5) == half(hand.points, frame) for hand in hands
            )
        total = 2 * len(frames)
        figures.append(figure(f'thermal, {name}: hands', found, total, total))
        figures.append(figure(f'thermal, {name}: with the right side', right_side, total, total))
    return [*figures, blob_figure(networks, frames)]


def blob_figure(networks: HandNetworks, frames: list[StreamImage]) -> Figure:
    """Count the landmark hands whose box holds the centre of a warm blob."""
    stream = LandmarkStream(networks, 'thermal')
    hits = 0
    for frame in frames:
        blobs = thermal_blobs(frame)
        for hand in stream.update(frame):
            low, high = hand.points.min(axis=0), hand.points.max(axis=0)
            hits += any(
                (low <= blob.center).all() and (blob.center <= high).all() for blob in blobs
            )
    total = 2 * len(frames)
    return figure('thermal: warm blob on the hand', hits, total, total)


def rgb_hands(networks: HandNetworks, path: Path) -> tuple[StreamImage, list[HandLandmarks]]:
    """Find the hands of one photo."""
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    stream = StreamImage(image=np.asarray(image), stamp=0)
    return stream, LandmarkStream(networks, 'rgb').update(stream)


def depth_frame(path: Path) -> StreamImage:
    """Read one SR305 frame as metres with its camera."""
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    metres = np.where(raw > 0, raw * DEPTH_UNIT, np.nan).astype(np.float32)
    K = np.array([[DEPTH_FOCAL, 0, DEPTH_CENTER[0]], [0, DEPTH_FOCAL, DEPTH_CENTER[1]], [0, 0, 1]])
    height, width = metres.shape
    camera = Camera(width=width, height=height, intrinsics=K, distortion=np.zeros(0))
    return StreamImage(image=metres, stamp=0, camera=camera)


def is_on_palm(blobs: list[Blob], name: str) -> bool:
    """Whether the best blob lies on the palm that was marked by eye."""
    if not blobs:
        return False
    palm = np.array(PALMS[name], dtype=np.float64)
    box = blobs[0].box
    inside = (box[:2] <= palm).all() and (palm <= box[2:]).all()
    return bool(inside and np.linalg.norm(blobs[0].center - palm) <= PALM_TOLERANCE)


def half(points: NDArray[np.float64], frame: StreamImage) -> bool:
    """Whether points lie in the right half of the image."""
    return bool(points[:, 0].mean() > frame.image.shape[1] / 2)


def figure(name: str, found: int, of: int, target: int) -> Figure:
    """Make one line."""
    return Figure(name=name, found=found, of=of, target=target)


def overlay(stream: StreamImage, modality: Modality, hands: list[HandLandmarks]) -> Rgb:
    """Draw the hands into an enlarged picture."""
    image, factor = enlarge(picture(stream, modality), 640)
    drawn = [
        DrawnHand(
            side='right' if hand.right_probability > 0.5 else 'left',
            points=scaled_points(hand.points, factor),
            label=f'{hand.presence:.2f}',
        )
        for hand in hands
    ]
    return draw_hands(image, drawn)


def save(folder: Path | None, name: str, image: Rgb) -> None:
    """Write a picture when a folder is given."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))


def save_thermal(networks: HandNetworks, frames: list[StreamImage], folder: Path | None) -> None:
    """Write the overlays of followed thermal frames."""
    stream = LandmarkStream(networks, 'thermal')
    for index, frame in enumerate(frames):
        save(folder, f'thermal_{index:04d}.png', overlay(frame, 'thermal', stream.update(frame)))


def rgb_figure(networks: HandNetworks, folder: Path, overlays: Path | None) -> Figure:
    """Count the photos in which a hand was found."""
    paths = sorted(folder.glob('*.jpg'))
    found = 0
    for path in paths:
        stream, hands = rgb_hands(networks, path)
        found += bool(hands)
        save(overlays, f'rgb_{path.stem[:12]}.png', overlay(stream, 'rgb', hands))
    # MediaPipe 0.10.21 finds a hand in 18 of the 20.
    return figure('rgb: photos with a hand', found, len(paths), 19)


def depth_figure(folder: Path, overlays: Path | None) -> Figure:
    """Count the depth frames whose best blob is on the hand."""
    paths = sorted(folder.glob('*/*.png'))
    hits = 0
    for path in paths:
        frame = depth_frame(path)
        blobs = depth_blobs(frame)
        hits += is_on_palm(blobs, path.stem)
        image = picture(frame, 'depth').copy()
        for blob in blobs:
            x0, y0, x1, y1 = (int(value) for value in blob.box)
            cv2.rectangle(image, (x0, y0), (x1, y1), (255, 255, 255), 3)
        save(overlays, f'depth_{path.stem}.png', image)
    return figure('depth: hand blob on the palm', hits, len(paths), len(paths))


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; the exit status is 1 when one is missed."""
    parser = argparse.ArgumentParser(description='Hands found in real images.')
    parser.add_argument('--data', type=Path, default=DATA, help='folder of the test data')
    parser.add_argument('--thermal', type=Path, help='only these thermal frames, two hands each')
    parser.add_argument('--overlays', type=Path, help='folder for pictures of the result')
    parser.add_argument('--json', type=Path, help='file for the figures')
    options = parser.parse_args(arguments)
    if not options.data.is_dir() and options.thermal is None:
        print(f'no test data in {options.data}: set HAND_POSE_TEST_DATA')
        return 2
    networks = load_networks()
    frames = thermal_frames(options.thermal or options.data / 'thermal_egocentric' / 'frames')
    if not frames:
        print(f'no PNG frames in {options.thermal}: give the folder that holds them')
        return 2
    figures = thermal_figures(networks, frames)
    save_thermal(networks, frames, options.overlays)
    if options.thermal is None:
        figures.append(rgb_figure(networks, options.data / 'hands_rgb', options.overlays))
        figures.append(depth_figure(options.data / 'depth_hands', options.overlays))
    for line in figures:
        state = 'ok' if line.is_reached else f'MISSED (target {line.target})'
        print(f'{line.name:48} {line.found:4d} / {line.of:<4d} {state}')
    if options.json:
        options.json.write_text(json.dumps([asdict(line) for line in figures], indent=2))
    return 0 if all(line.is_reached for line in figures) else 1


if __name__ == '__main__':
    sys.exit(main())
