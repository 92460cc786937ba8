"""Driver `bag`: one image topic of a rosbag2 or ROS 1 bag, played as a camera."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.images import compressed_array, image_array
from hand_pose_ros.bags.reader import BagMessage, BagReader
from hand_pose_ros.cameras.bag_topics import (
    STAMP_SOURCES,
    StampSource,
    Timeline,
    choose_topic,
    decoded,
    recorded_camera,
    stamp_of,
    timeline,
)
from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cameras.image_pixels import convert
from hand_pose_ros.cameras.playback import Player
from hand_pose_ros.errors import BagError, CameraError, RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import ENCODINGS, CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import Section

Pace = Literal['recorded', 'rate']
PACES: tuple[Pace, ...] = ('recorded', 'rate')

# Names of the same pixels, as drivers of depth and of the other cameras write them.
_DEPTH_NAMES = {'mono16': '16UC1'}
_OTHER_NAMES = {'8UC1': 'mono8', '16UC1': 'mono16', '8UC3': 'bgr8', '8UC4': 'bgra8'}


@dataclass(frozen=True, kw_only=True)
class BagOptions:
    """Options of the driver, as in ``driver_options`` of a rig file.

    Attributes:
        path: rosbag2 folder, or ROS 1 ``.bag`` file.
        topic: of the images; empty takes ``/<camera>/image_raw``, raw or compressed.
        info_topic: of the intrinsics, for a camera without any in the rig file; empty takes the
            ``camera_info`` beside the images.
        stamps: ``header`` (acquisition) or ``received`` (for bags whose headers have no time).
        pace: ``recorded`` (by the stamps) or ``rate`` (stamps are replaced by even ones at the
            camera's rate).
        loop: whether to begin again at the end. Stamps go on rising.
        pause: nanoseconds without images between the loops, so long that trackers start afresh.
        live: whether samples get the time at which they are due instead of their recorded stamp.
            Looping live cameras choose their image by the wall clock, so that several cameras
            started at different moments play the same instant.
    """

    path: str
    topic: str = ''
    info_topic: str = ''
    stamps: StampSource = 'header'
    pace: Pace = 'recorded'
    loop: bool = False
    pause: int = 1_500_000_000
    live: bool = False


def create(description: CameraDescription, rig: RigDescription) -> 'BagCamera':
    """Make the driver of one camera; raises CameraError naming an option that does not fit."""
    source = f'{rig.name}: cameras.{description.name}'
    try:
        section = Section(description.driver_options, source, 'driver_options')
        options = BagOptions(
            path=section.text('path'),
            topic=section.text('topic', ''),
            info_topic=section.text('info_topic', ''),
            stamps=section.text('stamps', 'header', choices=STAMP_SOURCES),  # type: ignore[arg-type]
            pace=section.text('pace', 'recorded', choices=PACES),  # type: ignore[arg-type]
            loop=section.flag('loop', False),
            pause=section.nanoseconds('pause', BagOptions.pause, minimum=0),
            live=section.flag('live', False),
        )
        section.finish()
    except RigError as error:
        raise CameraError(str(error)) from None
    return BagCamera(description, options)


class BagCamera:
    """Plays one image topic of a bag as the stream of one camera (see CameraDriver).

    Only live samples wait until they are due: recorded ones are paced by who takes them, which
    keeps the cameras of a bag in step, whenever each of them was started.

    Messages that cannot be read, and those that run back in time, are left out and counted in the
    next sample's ``dropped``. The first sample of each further loop has ``extras['restart']``.
    """

    def __init__(self, description: CameraDescription, options: BagOptions) -> None:
        """Prepare without touching the disk."""
        self.camera: Camera | None = description.camera
        self.live = options.live
        self._description = description
        self._options = options
        self._path = Path(options.path).expanduser()
        self._closed = threading.Event()
        self._topic = ''
        self._timeline: Timeline | None = None

    def open(self) -> None:
        """Check that the bag has images of the described kind, and take its intrinsics."""
        self._closed.clear()
        with self._reader() as reader:
            topic = choose_topic(reader, self._description.name, self._options.topic)
            message = next(reader.messages(topic), None)
            if message is None:
                raise CameraError(f'{self._path}: {topic} holds no message, choose another topic')
            height, width = self._pixels(reader, message)[0].shape[:2]
            if self._options.stamps == 'header' and not stamp_of(reader, message, 'header'):
                raise CameraError(
                    f'{self._path}: {topic} has no stamps in its headers, set stamps: received'
                )
            if self.camera is None:
                info = self._options.info_topic
                self.camera = recorded_camera(reader, topic, info, (width, height))
            self._timeline = timeline(reader, self._options.stamps)
            self._topic = topic

    def samples(self) -> Iterator[CameraSample]:
        """Yield the images when they are due; see CameraDriver."""
        if self._timeline is None:
            raise CameraError(f'{self._path}: is not open, call open() before samples()')
        with self._reader() as reader:
            yield from self._played(reader, self._timeline)

    def close(self) -> None:
        """Stop ``samples``; may be called from any thread and more than once."""
        self._closed.set()

    @contextmanager
    def _reader(self) -> Iterator[BagReader]:
        """The open bag, whose errors become those of this camera."""
        try:
            with BagReader(self._path) as reader:
                yield reader
        except BagError as error:
            raise CameraError(f'{self._description.name}: {error}') from None

    def _played(self, reader: BagReader, place: Timeline) -> Iterator[CameraSample]:
        period = round(1e9 / self._description.rate)
        if self._options.pace == 'rate':
            place = Timeline(origin=period, length=reader.counts[self._topic] * period)
        cycle = place.length + self._options.pause if self._options.loop else 0
        player = Player(
            live=self.live, period=period,
            closed=self._closed, cycle=cycle if self.live else 0, origin=place.origin,
        )  # fmt: skip
        last, lost, loop = 0, 0, 0
        for message, number, within in self._endless(reader):
            try:
                recorded = self._stamp(reader, message, within, period) + number * cycle
                if recorded <= last:
                    raise CameraError('the stamp runs back')
                stamp = player.wait(recorded)
                if self._closed.is_set():
                    return
                if stamp is None:
                    continue
                pixels, encoding = self._pixels(reader, message)
            except CameraError:
                lost += 1
                continue
            yield CameraSample(
                image=pixels,
                encoding=encoding,
                stamp=stamp,
                dropped=player.take_dropped() + lost,
                extras={'restart': True} if number > loop else {},
            )
            last, lost, loop = recorded, 0, number

    def _endless(self, reader: BagReader) -> Iterator[tuple[BagMessage, int, int]]:
        """Yield messages with the number of their loop, and their number in it."""
        for loop in itertools.count() if self._options.loop else range(1):
            for index, message in enumerate(reader.messages(self._topic)):
                yield message, loop, index

    def _stamp(self, reader: BagReader, message: BagMessage, index: int, period: int) -> int:
        """The stamp of a message within its loop, nanoseconds."""
        if self._options.pace == 'rate':
            return (index + 1) * period
        return stamp_of(reader, message, self._options.stamps)

    def _pixels(self, reader: BagReader, message: BagMessage) -> tuple[NDArray[Any], str]:
        """Decode one image; raises CameraError when it is not as the rig file says."""
        source = f'{self._path}: {message.topic}'
        content = decoded(reader, message)
        try:
            if message.type_name.endswith('CompressedImage'):
                pixels, encoding = self._picture(compressed_array(content), source)
            else:
                pixels, encoding = image_array(content), content.encoding
        except BagError as error:
            raise CameraError(f'{source}: {error}') from None
        names = _DEPTH_NAMES if self._description.modality == 'depth' else _OTHER_NAMES
        encoding = names.get(encoding, encoding)
        known = ENCODINGS[self._description.modality]
        if encoding not in known:
            raise CameraError(
                f'{source} holds {encoding} images, but a {self._description.modality} camera '
                f'gives {" or ".join(known)}: set topic to the one of this camera'
            )
        if encoding != self._description.encoding and self._description.modality != 'rgb':
            raise CameraError(
                f'{source} holds {encoding} images but the rig file says '
                f'{self._description.encoding}, correct encoding there'
            )
        height, width = pixels.shape[:2]
        if self._description.size not in ((0, 0), (width, height)):
            described = 'x'.join(map(str, self._description.size))
            raise CameraError(
                f'{source} holds images of {width}x{height} but {self._description.name} has '
                f'{described}, correct size in the rig file'
            )
        return pixels, encoding

    def _picture(self, image: NDArray[Any], source: str) -> tuple[NDArray[Any], str]:
        if image.dtype == np.float32:
            return image, '32FC1'
        return convert(image, source, self._description.modality)
