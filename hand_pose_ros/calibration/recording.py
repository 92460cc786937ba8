"""A recorded calibration: every stream's stamps and motion first, then the wanted images."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.images import image_array
from hand_pose_ros.bags.messages import IMAGE, deserialised
from hand_pose_ros.bags.reader import BagReader, header_stamp
from hand_pose_ros.calibration.detection import grey_image
from hand_pose_ros.errors import BagError, RigError
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.recorded_rig import image_topic, recorded_image, recorded_rig

Array = NDArray[np.float64]
Result = TypeVar('Result')

_THUMBNAIL = 64  # pixels wide
# Streams of one recording overlap by at least this share of the shorter one.
_OVERLAP = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """One camera's images in the order of their stamps.

    Attributes:
        stamps: (N,) int64 nanoseconds as recorded.
        motion: (N,) mean change of the normalised image against the one before, 0 for the first.
    """

    stamps: NDArray[np.int64]
    motion: Array

    @property
    def middles(self) -> Array:
        """(N - 1,) seconds, midway between the two images each change is taken from."""
        return np.asarray((self.stamps[1:] + self.stamps[:-1]) * 0.5e-9, np.float64)


class Recording:
    """A bag open for calibration; use as a context manager.

    Attributes:
        rig: what the bag, or the caller, says of the cameras; they need not be calibrated.
    """

    def __init__(self, path: Path, rig: RigDescription | Path | None = None) -> None:
        """Open a bag.

        Raises:
            BagError: if it is missing or damaged.
            RigError: if it holds no rig and none is given.
        """
        self.path = Path(path)
        self._reader = BagReader(self.path)
        try:
            self.rig = recorded_rig(self._reader, rig)
        except BaseException:
            self._reader.close()
            raise

    def survey(
        self, names: Iterable[str], progress: Callable[[int, int], None] = lambda *_: None
    ) -> dict[str, Stream]:
        """Read all images of some cameras once, keeping their stamps and how much they change.

        Args:
            names: cameras.
            progress: told the number of images read, and of all images.

        Raises:
            BagError: if a camera has no images.
            RigError: if the cameras' stamps are of different clocks.
        """
        topics = {image_topic(name): name for name in names}
        counts = self._reader.counts
        for topic, name in topics.items():
            if counts.get(topic, 0) < 2:
                raise BagError(
                    f'bag {self.path} has no images on {topic}: record {name} too, or leave it out '
                    f'with --cameras'
                )
        total = sum(counts[topic] for topic in topics)
        rows: dict[str, list[tuple[int, float]]] = {name: [] for name in topics.values()}
        last: dict[str, NDArray[np.float32]] = {}
        for number, message in enumerate(self._reader.messages(*topics), start=1):
            name = topics[message.topic]
            small = _thumbnail(grey_image(image_array(deserialised(message.data, IMAGE))))
            change = float(np.abs(small - last[name]).mean()) if name in last else 0.0
            last[name] = small
            rows[name].append((header_stamp(message.data), change))
            progress(number, total)
        streams = {name: _stream(pairs) for name, pairs in rows.items()}
        self._check_clocks(streams)
        return streams

    def images(self, wanted: dict[str, set[int]]) -> Iterator[tuple[str, int, NDArray[Any]]]:
        """Yield camera, stamp and image of the wanted stamps: depth in metres, the rest native."""
        topics = {image_topic(name): name for name in wanted}
        for message in self._reader.messages(*topics):
            name = topics[message.topic]
            stamp = header_stamp(message.data)
            if stamp in wanted[name]:
                yield name, stamp, recorded_image(message.data, self.rig.cameras[name]).image

    def stamps_of(self, name: str) -> NDArray[np.int64]:
        """Return the stamps of a camera in order, empty when it has no images."""
        stamps = [
            header_stamp(message.data) for message in self._reader.messages(image_topic(name))
        ]
        return np.unique(np.array(stamps, np.int64))

    def close(self) -> None:
        """Release the files."""
        self._reader.close()

    def __enter__(self) -> 'Recording':
        """Return the open recording."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release the files."""
        self.close()

    def _check_clocks(self, streams: dict[str, Stream]) -> None:
        spans = {n: (int(s.stamps[0]), int(s.stamps[-1])) for n, s in streams.items()}
        for first, (begin, end) in spans.items():
            for second, (start, stop) in spans.items():
                shorter = min(end - begin, stop - start)
                if min(end, stop) - max(begin, start) < _OVERLAP * shorter:
                    raise RigError(
                        f'{self.path}: the stamps of {first} ({begin / 1e9:.3f} to {end / 1e9:.3f} '
                        f's) and of {second} ({start / 1e9:.3f} to {stop / 1e9:.3f} s) are of '
                        'different clocks or times: let one computer stamp both, or use the '
                        "driver's option that maps its clock, and record again"
                    )


def each(
    work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]], threads: int = 0
) -> Iterator[Result]:
    """Yield ``work(*job)`` in order, computed by threads that never run far ahead."""
    threads = threads or min(8, cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        running: list[Future[Result]] = []
        for job in jobs:
            running.append(pool.submit(work, *job))
            if len(running) > 2 * threads:
                yield running.pop(0).result()
        for future in running:
            yield future.result()


def _thumbnail(grey: NDArray[Any]) -> NDArray[np.float32]:
    height = max(1, round(grey.shape[0] * _THUMBNAIL / grey.shape[1]))
    small = cv2.resize(grey, (_THUMBNAIL, height), interpolation=cv2.INTER_AREA)
    small = small.astype(np.float32)
    return (small - small.mean()) / (small.std() + 1e-6)


def _stream(pairs: list[tuple[int, float]]) -> Stream:
    order = sorted(range(len(pairs)), key=lambda k: pairs[k][0])
    stamps, first = np.unique(np.array([pairs[k][0] for k in order], np.int64), return_index=True)
    return Stream(stamps=stamps, motion=np.array([pairs[k][1] for k in order])[first])
