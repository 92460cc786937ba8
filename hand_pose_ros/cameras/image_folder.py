"""The image_folder driver: recorded images or a video played as a camera."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hand_pose_ros.cameras.driver import CameraSample
from hand_pose_ros.cameras.image_files import (
    STAMP_SOURCES,
    ImageSource,
    RecordedImage,
    StampSource,
    open_images,
    read_images,
)
from hand_pose_ros.cameras.playback import PACES, Pace, Player
from hand_pose_ros.errors import CameraError, RigError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.parsing import Section

__all__ = [
    'ImageFolderCamera',
    'ImageFolderOptions',
    'ImageSource',
    'RecordedImage',
    'create',
    'open_images',
    'read_images',
]


@dataclass(frozen=True, kw_only=True)
class ImageFolderOptions:
    """Options of the driver, as in ``driver_options`` of a rig file.

    Attributes:
        path: folder of images, one image, or a video file.
        stamps: where stamps come from: ``auto``, ``file``, ``names`` or ``rate``.
        pace: ``recorded`` (by the stamps) or ``rate`` (stamps are replaced by even ones at the
            camera's rate).
        loop: whether to begin again at the end; stamps go on rising.
        live: whether samples get the time at which they are due instead of their recorded stamp.
            Looping live cameras choose their image by the wall clock, so that several cameras
            started at different moments play the same instant.
        preload: whether to decode everything in ``open``, which saves CPU while playing.
    """

    path: str
    stamps: StampSource = 'auto'
    pace: Pace = 'recorded'
    loop: bool = False
    live: bool = False
    preload: bool = False


def create(description: CameraDescription, rig: RigDescription) -> 'ImageFolderCamera':
    """Make the driver of one camera; raises CameraError naming an option that does not fit."""
    source = f'{rig.name}: cameras.{description.name}'
    try:
        section = Section(description.driver_options, source, 'driver_options')
        options = ImageFolderOptions(
            path=section.text('path'),
            stamps=section.text('stamps', 'auto', choices=STAMP_SOURCES),  # type: ignore[arg-type]
            pace=section.text('pace', 'recorded', choices=PACES),  # type: ignore[arg-type]
            loop=section.flag('loop', False),
            live=section.flag('live', False),
            preload=section.flag('preload', False),
        )
        section.finish()
    except RigError as error:
        raise CameraError(str(error)) from None
    return ImageFolderCamera(description, options)


class ImageFolderCamera:
    """Plays recorded images as the stream of one camera (see CameraDriver).

    Only live samples wait until they are due: recorded ones are paced by who takes them, which
    keeps the cameras of a recording in step, whenever each of them was started.
    """

    def __init__(self, description: CameraDescription, options: ImageFolderOptions) -> None:
        """Prepare without touching the disk."""
        self.camera: Camera | None = description.camera
        self.live = options.live
        self._description = description
        self._options = options
        self._path = Path(options.path).expanduser()
        self._closed = threading.Event()
        self._source: ImageSource | None = None
        self._preloaded: list[RecordedImage] | None = None
        self._size = description.size

    def open(self) -> None:
        """Check that there are images of the described kind; decode them when asked to."""
        self._closed.clear()
        self._source = ImageSource(
            self._path,
            modality=self._description.modality,
            encoding=self._description.encoding,
            rate=self._description.rate,
            stamps=self._options.stamps,
        )
        images = self._source.images()
        if self._options.preload:
            self._preloaded = [self._checked(image) for image in images]
        else:
            self._checked(next(images))

    def samples(self) -> Iterator[CameraSample]:
        """Yield the images when they are due; see CameraDriver."""
        period = round(1e9 / self._description.rate)
        player = Player(
            live=self._options.live,
            period=period,
            cycle=self._cycle_length(period),
            closed=self._closed,
        )
        for record, recorded in self._endless(period):
            stamp = player.wait(recorded)
            if self._closed.is_set():
                return
            if stamp is None:
                continue
            yield CameraSample(
                image=record.image,
                encoding=record.encoding,
                stamp=stamp,
                dropped=player.take_dropped(),
            )

    def close(self) -> None:
        """Stop ``samples``; may be called from any thread and more than once."""
        self._closed.set()

    def _checked(self, record: RecordedImage) -> RecordedImage:
        """Refuse an image of another size than described (or than the first one)."""
        height, width = record.image.shape[:2]
        if self._size == (0, 0):
            self._size = (width, height)
        if (width, height) != self._size:
            raise CameraError(
                f'{self._path}: {record.name} is {width}x{height} but {self._description.name} '
                f'has {self._size[0]}x{self._size[1]}, correct size in the rig file or take the '
                'image out'
            )
        return record

    def _endless(self, period: int) -> Iterator[tuple[RecordedImage, int]]:
        """Yield records with stamps that go on rising over the loops."""
        shift = 0
        while True:
            first = last = None
            for index, record in enumerate(self._preloaded or self._opened().images()):
                stamp = record.stamp if self._options.pace != 'rate' else (index + 1) * period
                first = stamp if first is None else first
                last = stamp + shift
                yield self._checked(record), last
            if not self._options.loop or first is None or last is None:
                return
            shift = last + period - first

    def _cycle_length(self, period: int) -> int:
        """Nanoseconds of one loop, 0 where that is not known without decoding."""
        if not (self._options.loop and self._options.live):
            return 0
        stamps = self._opened().stamps
        if self._preloaded is not None:
            stamps = [image.stamp for image in self._preloaded]
        if not stamps or self._options.pace == 'rate':
            return len(stamps) * period
        return stamps[-1] - stamps[0] + period

    def _opened(self) -> ImageSource:
        if self._source is None:
            raise CameraError(f'{self._path}: is not open, call open() before samples()')
        return self._source
