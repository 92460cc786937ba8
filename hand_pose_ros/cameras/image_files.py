"""Recorded images: a folder of pictures, one picture, or a video, read one by one."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
from numpy.typing import NDArray

from hand_pose_ros.cameras.image_pixels import convert
from hand_pose_ros.cameras.image_stamps import (
    stamps_from_file,
    stamps_from_names,
    stamps_from_rate,
)
from hand_pose_ros.errors import CameraError
from hand_pose_ros.rig.frame import Modality

StampSource = Literal['auto', 'file', 'names', 'rate']
STAMP_SOURCES: tuple[StampSource, ...] = ('auto', 'file', 'names', 'rate')

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.bmp', '.pgm', '.ppm')
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mkv', '.mov', '.webm', '.m4v')


class RecordedImage(NamedTuple):
    """One recorded image.

    Attributes:
        name: file name; for a video the file name and the frame number.
        stamp: acquisition stamp in nanoseconds.
        image: pixels as ``encoding`` says.
        encoding: ROS encoding name.
    """

    name: str
    stamp: int
    image: NDArray[Any]
    encoding: str


class ImageSource:
    """A folder of images, one image, or a video, that can be read more than once.

    Attributes:
        path: where it is.
        count: how many images there are; 0 when a video does not tell.
        stamps: their stamps in nanoseconds, rising; empty for a video.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        modality: Modality | None = None,
        encoding: str | None = None,
        rate: float = 30.0,
        stamps: StampSource = 'auto',
    ) -> None:
        """Find the images and their stamps; nothing is decoded yet.

        Args:
            path: folder, image file or video file.
            modality: what the images show, which decides how files are understood (a grey picture
                stored in colour, a 16-bit picture of depth); None takes each file as it is.
            encoding: encoding the images must have, for example that of the rig file.
            rate: images per second where nothing else tells the stamps.
            stamps: ``file`` (stamps.csv or timestamps.txt beside the images), ``names`` (Unix
                times in the file names), ``rate``, or ``auto`` for the first of these that is
                there. A video has its own rate.

        Raises:
            CameraError: when there is nothing to read.
        """
        self.path = Path(path)
        self._modality = modality
        self._encoding = encoding
        self._rate = rate
        self._files: list[tuple[Path, int]] = []
        if self.path.suffix.lower() in VIDEO_SUFFIXES and self.path.is_file():
            self.count = _video_length(self.path)
        else:
            self._files = list_images(self.path, rate=rate, stamps=stamps)
            self.count = len(self._files)
        self.stamps = [stamp for _, stamp in self._files]

    def images(self) -> Iterator[RecordedImage]:
        """Read the images in the order of their stamps.

        Raises:
            CameraError: when one is broken or does not fit what was asked for.
        """
        if not self._files:
            yield from self._video_frames()
        for path, stamp in self._files:
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if image is None:
                raise CameraError(f'{path}: cannot be decoded, the file is broken or no image')
            pixels = convert(image, str(path), self._modality, self._encoding)
            yield RecordedImage(path.name, stamp, *pixels)

    def _video_frames(self) -> Iterator[RecordedImage]:
        capture = _open_video(self.path)
        try:
            own_rate = capture.get(cv2.CAP_PROP_FPS)
            period = 1e9 / (own_rate if 0 < own_rate < 10_000 else self._rate)
            index = 0
            while True:
                decoded, image = capture.read()
                if not decoded:
                    break
                index += 1
                name = f'{self.path.name}#{index:06d}'
                pixels = convert(image, name, self._modality, self._encoding)
                yield RecordedImage(name, round(index * period), *pixels)
            if not index:
                raise CameraError(f'{self.path}: holds no frame that can be decoded, check it')
        finally:
            capture.release()


def open_images(path: str | Path, modality: Modality) -> ImageSource:
    """Open recorded images of one kind; see ImageSource."""
    return ImageSource(path, modality=modality)


def read_images(
    path: str | Path,
    *,
    modality: Modality | None = None,
    encoding: str | None = None,
    rate: float = 30.0,
    stamps: StampSource = 'auto',
) -> Iterator[RecordedImage]:
    """Read recorded images one by one; the arguments are those of ImageSource."""
    return ImageSource(
        path, modality=modality, encoding=encoding, rate=rate, stamps=stamps
    ).images()


def list_images(
    path: Path, *, rate: float = 30.0, stamps: StampSource = 'auto'
) -> list[tuple[Path, int]]:
    """Return the image files of a folder (or the one file) with their stamps, oldest first."""
    if path.is_file():
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            known = ', '.join(IMAGE_SUFFIXES + VIDEO_SUFFIXES)
            raise CameraError(f'{path}: is no image or video this reads, use one of {known}')
        paths, folder = [path], None
    elif path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
        paths, folder = sorted(found, key=_natural), path
    else:
        raise CameraError(f'{path}: no such folder, image or video, check the path')
    if not paths:
        raise CameraError(f'{path}: holds no images ({", ".join(IMAGE_SUFFIXES)}), check the path')
    listed = sorted(zip(paths, _stamps(paths, folder, rate, stamps), strict=True), key=_stamp)
    for (first, stamp), (second, next_stamp) in pairwise(listed):
        if stamp == next_stamp:
            raise CameraError(f'{second}: has the same stamp as {first.name} ({stamp} ns), fix one')
    return listed


def _open_video(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise CameraError(f'{path}: cannot be opened as a video, is the codec installed?')
    return capture


def _video_length(path: Path) -> int:
    capture = _open_video(path)
    length = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return max(0, round(length))


def _stamps(paths: list[Path], folder: Path | None, rate: float, source: StampSource) -> list[int]:
    if source not in STAMP_SOURCES:
        raise CameraError(f'stamps {source!r} is unknown: use {", ".join(STAMP_SOURCES)}')
    stamps = None
    if source in ('auto', 'file') and folder is not None:
        stamps = stamps_from_file(folder, paths)
    if stamps is None and source in ('auto', 'names'):
        stamps = stamps_from_names(paths)
    if stamps is None and source in ('auto', 'rate'):
        stamps = stamps_from_rate(len(paths), rate)
    if stamps is None:
        lack = 'no stamps.csv or timestamps.txt' if source == 'file' else 'names without Unix times'
        raise CameraError(f'{folder or paths[0]}: has {lack}, use stamps: rate instead')
    return stamps


def _natural(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    parts = re.split(r'(\d+)', path.name)
    key: list[tuple[int, int | str]] = [
        (0, int(part)) if part.isdecimal() else (1, part.lower()) for part in parts
    ]
    return key, path.name


def _stamp(item: tuple[Path, int]) -> int:
    return item[1]
