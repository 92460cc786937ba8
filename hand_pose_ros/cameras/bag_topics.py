"""What a bag holds of a camera: its images, their place in time, its intrinsics."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hand_pose_ros.bags.reader import BagMessage, BagReader
from hand_pose_ros.cameras.lens_models import made_camera
from hand_pose_ros.errors import CameraError
from hand_pose_ros.geometry.camera import Camera

StampSource = Literal['header', 'received']
STAMP_SOURCES: tuple[StampSource, ...] = ('header', 'received')

_IMAGES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_INFO = 'sensor_msgs/msg/CameraInfo'
# How librealsense names images and intrinsics of a stream in its own recordings.
_REALSENSE = ('/image/data', '/info/camera_info')


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Where in time the images of a bag lie, the same for all its cameras.

    Attributes:
        origin: the earliest stamp of any image, nanoseconds.
        length: from there to one period behind the latest stamp, nanoseconds.
    """

    origin: int
    length: int


def image_topics(reader: BagReader) -> list[str]:
    """Return the topics of images, raw and compressed, by name."""
    return sorted(topic for topic, kind in reader.topics.items() if kind in _IMAGES)


def choose_topic(reader: BagReader, camera: str, wanted: str) -> str:
    """Return the topic of a camera's images.

    Args:
        reader: the bag.
        camera: its name; ``/<camera>/image_raw`` is taken, or what is compressed of it.
        wanted: a topic to take instead; empty for none.

    Raises:
        CameraError: it is not there; the error lists what is.
    """
    known = image_topics(reader)
    usual = [f'/{camera}/image_raw', f'/{camera}/image_raw/compressed']
    usual.append(f'/{camera}/image_raw/compressedDepth')
    for topic in [wanted] if wanted else usual:
        if topic in known:
            return topic
    raise CameraError(
        f'{reader.folder}: has no images on {wanted or usual[0]}, set topic to one of '
        f'{", ".join(known) or "(the bag has no images)"}'
    )


def stamp_of(reader: BagReader, message: BagMessage, source: StampSource) -> int:
    """Return the stamp of an image message in nanoseconds; see ``decoded`` for errors."""
    if source == 'received':
        return message.stamp
    stamp = decoded(reader, message).header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def decoded(reader: BagReader, message: BagMessage) -> Any:
    """Return a message as an object with the fields of its type.

    Raises:
        CameraError: it is damaged.
    """
    try:
        return reader.decode(message)
    except Exception as error:
        # A damaged message fails in whatever way its bytes ask for.
        raise CameraError(
            f'{reader.folder}: {message.topic} holds a damaged message at {message.stamp} ns '
            f'({error})'
        ) from None


def timeline(reader: BagReader, source: StampSource) -> Timeline:
    """Find the first and last stamps of all images without reading the whole bag.

    Raises:
        CameraError: no image of the bag has a stamp that can be read.
    """
    first, last, periods = [], [], []
    counts = reader.counts
    for topic in image_topics(reader):
        begin = next(_stamps(reader, reader.messages(topic), source), None)
        if begin is None:
            continue
        end = max(_stamps(reader, _tail(reader, topic), source), default=begin)
        first.append(begin)
        last.append(end)
        if counts[topic] > 1:
            periods.append((end - begin) / (counts[topic] - 1))
    if not first:
        raise CameraError(f'{reader.folder}: holds no image that can be read, check the bag')
    period = round(max(periods, default=1e9 / 30))
    return Timeline(origin=min(first), length=max(last) - min(first) + period)


def recorded_camera(
    reader: BagReader, topic: str, info_topic: str, size: tuple[int, int]
) -> Camera | None:
    """Return the intrinsics that were recorded with images; None when there are none.

    Args:
        reader: the bag.
        topic: of the images.
        info_topic: of the camera_info; empty takes the one beside the images.
        size: (width, height) of the images.

    Raises:
        CameraError: the topic was asked for and is not there, or does not fit the images.
    """
    found = info_topic or _info_beside(reader, topic)
    if found is None:
        return None
    if reader.topics.get(found) != _INFO:
        infos = [name for name, kind in reader.topics.items() if kind == _INFO]
        raise CameraError(
            f'{reader.folder}: has no camera_info on {found}, set info_topic to one of '
            f'{", ".join(sorted(infos)) or "(the bag has none)"}'
        )
    message = next(reader.messages(found), None)
    if message is None:
        return None
    info = decoded(reader, message)
    if (info.width, info.height) != size:
        raise CameraError(
            f'{reader.folder}: {found} is for {info.width}x{info.height} but the images are '
            f'{size[0]}x{size[1]}, write intrinsics into the rig file'
        )
    return made_camera(size, _field(info, 'k'), info.distortion_model, _field(info, 'd'))


def _info_beside(reader: BagReader, topic: str) -> str | None:
    base = topic.removesuffix('/compressed').removesuffix('/compressedDepth')
    beside = [base.rpartition('/')[0] + '/camera_info', topic.replace(*_REALSENSE)]
    return next((name for name in beside if reader.topics.get(name) == _INFO), None)


def _field(info: Any, name: str) -> Any:
    """A field of camera_info, which ROS 1 writes in capitals."""
    value = getattr(info, name, None)
    return np.asarray(getattr(info, name.upper()) if value is None else value)


def _stamps(
    reader: BagReader, messages: Iterable[BagMessage], source: StampSource
) -> Iterator[int]:
    """The stamps of those messages that can be read."""
    for message in messages:
        with suppress(CameraError):
            yield stamp_of(reader, message, source)


def _tail(reader: BagReader, topic: str) -> Iterator[BagMessage]:
    """The last messages of a topic, at least one."""
    begin, end = reader.span
    reach = 250_000_000
    while True:
        start = max(begin, end - reach)
        messages = reader.messages(topic, start=start)
        message = next(messages, None)
        if message is not None:
            yield message
            yield from messages
        if message is not None or start == begin:
            return
        reach *= 4
