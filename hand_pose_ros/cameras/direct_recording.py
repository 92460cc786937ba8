"""DirectRecording: a rig's camera drivers written to a bag in this process, without ROS."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import merge

from hand_pose_ros.bags import messages
from hand_pose_ros.bags.queued_writer import QueuedWriter
from hand_pose_ros.bags.writer import BagWriter
from hand_pose_ros.cameras.driver import CameraDriver, CameraSample
from hand_pose_ros.cameras.registry import create
from hand_pose_ros.rig.model import CameraDescription, RigDescription
from hand_pose_ros.rig.rig_file import rig_text
from hand_pose_ros.sessions.hand_messages import hands_message
from hand_pose_ros.sessions.recorded_rig import RIG_TOPIC, image_topic, info_topic
from hand_pose_ros.sessions.truth import truth_topic

# Images of one camera that may wait for those of the others.
_AHEAD = 4


@dataclass
class StreamCount:
    """What became of one camera's images.

    Attributes:
        images: written.
        lost: dropped by the source before they reached us.
        dropped: by the recorder, because the disk was too slow.
        bytes: of pixels.
        first, last: stamps, nanoseconds.
    """

    images: int = 0
    lost: int = 0
    dropped: int = 0
    bytes: int = 0
    first: int = 0
    last: int = 0

    @property
    def rate(self) -> float:
        """Images per second between the first and the last; 0 with fewer than two."""
        span = self.last - self.first
        return (self.images - 1) * 1e9 / span if span > 0 else 0.0


@dataclass(kw_only=True)
class DirectRecording:
    """Records the cameras of a rig until they end, time is up or ``stop`` is called.

    Attributes:
        rig: with a driver for every camera.
        writer: the open bag; closing it is the caller's.
        duration: seconds of stamps to record; 0 = until the drivers end.
        counts: by camera, while recording and afterwards.
    """

    rig: RigDescription
    writer: BagWriter
    duration: float = 0.0
    counts: dict[str, StreamCount] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _sink: BagWriter | QueuedWriter = field(init=False)

    def run(self, progress: Callable[[float], None] = lambda _: None) -> None:
        """Record.

        Args:
            progress: told the seconds recorded so far.

        Raises:
            CameraError: if a driver does not exist or cannot open its source.
        """
        drivers = {name: create(camera, self.rig) for name, camera in self.rig.cameras.items()}
        self.counts.update({name: StreamCount() for name in drivers})
        feeds: list[_Feed] = []
        try:
            for driver in drivers.values():
                driver.open()
            self._announce(drivers)
            feeds = [_Feed(name, driver) for name, driver in drivers.items()]
            if any(driver.live for driver in drivers.values()):
                self._write_live(_as_they_come(feeds), progress)
            else:
                self._sink = self.writer
                self._write(_by_stamp(feeds), False, progress)
        finally:
            for driver in drivers.values():
                driver.close()
            for feed in feeds:
                feed.end()

    def stop(self) -> None:
        """End the recording after the image under way; may be called from a signal handler."""
        self._stopped.set()

    def _announce(self, drivers: dict[str, CameraDriver]) -> None:
        """Write what does not change: the rig and where its cameras are."""
        writer, rig = self.writer, self.rig
        for name in drivers:
            writer.add_topic(image_topic(name), messages.IMAGE)
            writer.add_topic(info_topic(name), messages.CAMERA_INFO, repeat='last')
        self._latched: dict[str, bytes] = {
            RIG_TOPIC: messages.serialised(messages.text(rig_text(rig)))
        }
        writer.add_topic(RIG_TOPIC, messages.STRING, repeat='all')
        writer.add_topic('/tf_static', messages.TRANSFORMS, repeat='all')
        writer.add_topic('/tf', messages.TRANSFORMS)
        writer.add_topic(truth_topic(rig), messages.HANDS)

    def _write_live(
        self, samples: Iterator[tuple[str, CameraSample]], progress: Callable[[float], None]
    ) -> None:
        """Write samples that do not wait for a disk: what its queue cannot take is lost."""
        queued = QueuedWriter(self.writer)
        self._sink = queued
        try:
            self._write(samples, True, progress)
        finally:
            queued.close()
            for name, count in self.counts.items():
                count.dropped = queued.dropped.get(image_topic(name), 0)
                count.images -= count.dropped

    def _write(
        self,
        samples: Iterator[tuple[str, CameraSample]],
        live: bool,
        progress: Callable[[float], None],
    ) -> None:
        start: int | None = None
        for name, sample in samples:
            if start is None:
                start = sample.stamp
                self._write_latched(sample.stamp)
            passed = (sample.stamp - start) * 1e-9
            over = self.duration and passed >= self.duration
            if over or self._stopped.is_set() or self.writer.ending is not None:
                return
            self._write_sample(name, sample, time.time_ns() if live else sample.stamp)
            progress(max(passed, 0.0))

    def _write_latched(self, stamp: int) -> None:
        rig = self.rig
        poses = [
            messages.transform(
                camera.T_rig_cam, camera.body or rig.rig_frame, camera.frame_id, stamp
            )
            for camera in rig.cameras.values()
        ]
        self._latched['/tf_static'] = messages.serialised(messages.transforms(poses))
        for topic, data in self._latched.items():
            self._sink.write(topic, data, stamp)

    def _write_sample(self, name: str, sample: CameraSample, received: int) -> None:
        camera = self.rig.cameras[name]
        image = messages.image(sample.image, sample.encoding, sample.stamp, camera.frame_id)
        self._sink.write(image_topic(name), messages.serialised(image), received)
        size = (sample.image.shape[1], sample.image.shape[0])
        info = messages.camera_info(camera.camera, size, sample.stamp, camera.frame_id)
        self._sink.write(info_topic(name), messages.serialised(info), received)
        self._write_extras(camera, sample, received)
        count = self.counts[name]
        count.first = count.first if count.images else sample.stamp
        count.images, count.lost = count.images + 1, count.lost + sample.dropped
        count.bytes, count.last = count.bytes + sample.image.nbytes, sample.stamp

    def _write_extras(self, camera: CameraDescription, sample: CameraSample, received: int) -> None:
        """Write the truth and the motion of other bodies that a simulated camera tells."""
        if 'truth' in sample.extras:
            hands = hands_message(
                sample.extras['truth'], sample.stamp, camera.frame_id, streams=[camera.name],
                estimator='ground_truth',
            )  # fmt: skip
            self._sink.write(truth_topic(self.rig), messages.serialised(hands), received)
        if 'T_rig_body' in sample.extras:
            pose = messages.transform(
                sample.extras['T_rig_body'], self.rig.rig_frame, camera.body,
                sample.stamp - camera.time_offset,
            )  # fmt: skip
            self._sink.write('/tf', messages.serialised(messages.transforms([pose])), received)


class _Feed:
    """The samples of one driver, taken from it by a thread of its own."""

    def __init__(self, name: str, driver: CameraDriver) -> None:
        self.name = name
        self._queue: queue.Queue[CameraSample | Exception | None] = queue.Queue(_AHEAD)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._fill, args=(driver,), name=f'{name} camera')
        self._thread.start()

    def _fill(self, driver: CameraDriver) -> None:
        last: CameraSample | Exception | None = None
        try:
            for sample in driver.samples():
                if not self._put(sample):
                    return
        except Exception as error:
            last = error
        self._put(last)

    def _put(self, entry: CameraSample | Exception | None) -> bool:
        while not self._ended.is_set():
            try:
                self._queue.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def take(self, timeout: float | None = None) -> CameraSample | None:
        """Return the next sample, or None at the end; raises queue.Empty after a timeout."""
        entry = self._queue.get(timeout=timeout)
        if isinstance(entry, Exception):
            raise entry
        return entry

    def end(self) -> None:
        """Stop the thread."""
        self._ended.set()
        self._thread.join()


def _by_stamp(feeds: list[_Feed]) -> Iterator[tuple[str, CameraSample]]:
    """Yield the samples of recordings and simulations in the order of their stamps."""

    def tagged(place: int, feed: _Feed) -> Iterator[tuple[int, int, CameraSample]]:
        while (sample := feed.take()) is not None:
            yield sample.stamp, place, sample

    streams = [tagged(place, feed) for place, feed in enumerate(feeds)]
    for _, place, sample in merge(*streams, key=lambda entry: entry[:2]):
        yield feeds[place].name, sample


def _as_they_come(feeds: list[_Feed]) -> Iterator[tuple[str, CameraSample]]:
    """Yield live samples as soon as they are there."""
    open_feeds = list(feeds)
    while open_feeds:
        for feed in list(open_feeds):
            try:
                sample = feed.take(timeout=0.002)
            except queue.Empty:
                continue
            if sample is None:
                open_feeds.remove(feed)
            else:
                yield feed.name, sample
