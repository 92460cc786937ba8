"""Checks a bag in one pass over it, with memory that does not depend on its size."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.bags.messages import IMAGE, deserialised
from hand_pose_ros.bags.metadata import read_metadata
from hand_pose_ros.bags.queued_writer import DROPPED
from hand_pose_ros.bags.reader import BagMessage, BagReader, header_stamp
from hand_pose_ros.errors import BagError, RigError
from hand_pose_ros.rig.frame import MODALITIES, Modality
from hand_pose_ros.rig.model import RigDescription
from hand_pose_ros.sessions.checks.calibration import calibration_findings
from hand_pose_ros.sessions.checks.findings import SEVERITIES, Finding
from hand_pose_ros.sessions.checks.stream_images import (
    ImagesReport,
    StreamImages,
    images_findings,
)
from hand_pose_ros.sessions.checks.stream_times import (
    StreamTimes,
    TimesReport,
    clock_findings,
    times_findings,
    times_report,
)
from hand_pose_ros.sessions.recorded_rig import image_topic, recorded_rig
from hand_pose_ros.sessions.sets import synchronised

_COMPRESSED = 'sensor_msgs/msg/CompressedImage'
_IMAGES = (IMAGE, _COMPRESSED)
_TOLD_EVERY = 20


@dataclass(kw_only=True)
class StreamCheck:
    """One stream of images.

    Attributes:
        topic: its topic.
        modality: of its camera.
        times: what its stamps say.
        images: what its pixels say.
        stamps, received: (N,) int64 nanoseconds.
        levels: stamps and median counts of a thermal camera's images.
    """

    topic: str
    modality: Modality
    times: TimesReport
    images: ImagesReport
    stamps: NDArray[np.int64] = field(repr=False)
    received: NDArray[np.int64] = field(repr=False)
    levels: tuple[NDArray[np.int64], NDArray[np.float64]] = field(repr=False)


@dataclass(kw_only=True)
class Synchronisation:
    """How well the rig's streams go together.

    Attributes:
        sets: that the rig's synchroniser makes of them.
        partial: of them, sets that lack a stream.
        spread_ms: median, 95th percentile and largest difference of stamps in a set.
        spreads: (N,) of each set, milliseconds.
        stamps: (N,) of each set, nanoseconds.
    """

    sets: int
    partial: int
    spread_ms: tuple[float, float, float]
    spreads: NDArray[np.float64] = field(repr=False)
    stamps: NDArray[np.int64] = field(repr=False)


@dataclass(kw_only=True)
class BagCheck:
    """All that is known of a bag.

    Attributes:
        path: the bag.
        rig: name of the rig recorded in it, or empty.
        seconds: from the first to the last message received.
        topics: messages by topic.
        streams: checks of the streams of images, by camera or topic.
        synchronisation: None without a rig or with one stream only.
        damaged: whether not all of it could be read.
        findings: what is not as it should be, worst first.
    """

    path: Path
    rig: str = ''
    seconds: float = 0.0
    topics: dict[str, int] = field(default_factory=dict)
    streams: dict[str, StreamCheck] = field(default_factory=dict)
    synchronisation: Synchronisation | None = None
    damaged: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 = good, 3 = something is missing, 1 = unusable."""
        severities = {finding.severity for finding in self.findings}
        return 1 if 'unusable' in severities else 3 if 'lossy' in severities else 0

    @property
    def verdict(self) -> str:
        """The exit status in a word."""
        return {0: 'good', 1: 'unusable', 3: 'lossy'}[self.exit_status]

    def as_dict(self) -> dict[str, Any]:
        """Return all figures for a JSON file."""
        sync = self.synchronisation
        return {
            'bag': str(self.path),
            'rig': self.rig,
            'verdict': self.verdict,
            'seconds': self.seconds,
            'topics': self.topics,
            'streams': {
                name: {
                    'topic': stream.topic,
                    'modality': stream.modality,
                    **asdict(stream.times),
                    **asdict(stream.images),
                }
                for name, stream in self.streams.items()
            },
            'synchronisation': None
            if sync is None
            else {'sets': sync.sets, 'partial': sync.partial, 'spread_ms': list(sync.spread_ms)},
            'findings': [asdict(finding) for finding in self.findings],
        }


class _Stream:
    """One stream while the bag is read."""

    def __init__(self, topic: str, modality: Modality, rate: float) -> None:
        self.topic, self.modality, self.rate = topic, modality, rate
        self.times = StreamTimes()
        self.images = StreamImages(modality)

    def add(self, message: BagMessage) -> None:
        stamp = header_stamp(message.data)
        self.times.add(stamp, message.stamp, len(message.data))
        if message.type_name == IMAGE:
            self.images.add(deserialised(message.data, IMAGE), stamp)

    def result(self) -> StreamCheck:
        stamps, received = self.times.arrays
        return StreamCheck(
            topic=self.topic, modality=self.modality, times=times_report(self.times, self.rate),
            images=self.images.report(), stamps=stamps, received=received,
            levels=self.images.levels,
        )  # fmt: skip


def check_bag(
    path: Path,
    rig: RigDescription | Path | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> BagCheck:
    """Check a bag: read every message once, look at stamps, images, calibration and clocks.

    Args:
        path: the bag.
        rig: a rig, or its file, to use instead of the recorded one.
        progress: told the share read so far, 0 to 1.

    Raises:
        BagError: if it cannot be opened at all.
        RigError: if the rig given does not fit.
    """
    check = BagCheck(path=Path(path))
    with BagReader(path) as reader:
        check.topics = reader.counts
        described = _rig(reader, rig, check)
        streams = _streams(reader, described)
        if not sum(check.topics.values()):
            check.findings.append(
                Finding(severity='unusable', subject='', text='the bag is empty.')
            )
        else:
            first, last = reader.span
            check.seconds = (last - first) * 1e-9
            _read(reader, streams, check, progress)
        check.findings += calibration_findings(reader, described, list(streams))
    check.streams = {name: stream.result() for name, stream in streams.items()}
    check.synchronisation = _synchronisation(check.streams, described)
    check.findings += _findings(check, described)
    check.findings += _recorder_findings(check.path)
    check.findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return check


def _rig(
    reader: BagReader, rig: RigDescription | Path | None, check: BagCheck
) -> RigDescription | None:
    try:
        described = recorded_rig(reader, rig)
    except (BagError, RigError) as error:
        if rig is not None:
            raise
        check.findings.append(Finding(severity='warning', subject='', text=str(error)))
        return None
    check.rig = described.name
    return described


def _streams(reader: BagReader, rig: RigDescription | None) -> dict[str, _Stream]:
    """The streams to look at, by camera of the rig, else by topic."""
    topics = {topic: kind for topic, kind in reader.topics.items() if kind in _IMAGES}
    found = {}
    if rig is not None:
        for name, camera in rig.cameras.items():
            if image_topic(name) in topics:
                topics.pop(image_topic(name))
                found[name] = _Stream(image_topic(name), camera.modality, camera.rate)
    for topic in topics:
        guess = [modality for modality in MODALITIES if modality in topic]
        found[topic] = _Stream(topic, guess[0] if guess else 'rgb', 0.0)
    return found


def _read(
    reader: BagReader,
    streams: dict[str, _Stream],
    check: BagCheck,
    progress: Callable[[float], None],
) -> None:
    by_topic = {stream.topic: stream for stream in streams.values()}
    total = sum(check.topics.get(topic, 0) for topic in by_topic)
    broken: dict[str, int] = {}
    count = 0
    try:
        for count, message in enumerate(reader.messages(*by_topic) if by_topic else ()):
            try:
                by_topic[message.topic].add(message)
            except BagError:
                broken[message.topic] = broken.get(message.topic, 0) + 1
            if count % _TOLD_EVERY == 0:
                progress(count / max(total, 1))
    except BagError as error:
        check.damaged = True
        check.findings.append(
            Finding(
                severity='lossy',
                subject='',
                text=f'reading ended after {count} of {total} images: {error}',
            )
        )
    for topic, number in broken.items():
        check.findings.append(
            Finding(severity='lossy', subject=topic, text=f'{number} messages are damaged.')
        )


def _synchronisation(
    streams: dict[str, StreamCheck], rig: RigDescription | None
) -> Synchronisation | None:
    if rig is None:
        return None
    names = [name for name in rig.synchronizer.streams if name in streams]
    names = [name for name in names if len(streams[name].stamps)]
    if len(names) < 2:
        return None
    sets = synchronised(rig, {name: streams[name].stamps for name in names})
    spreads = np.array([entry.spread for entry in sets], np.float64) * 1e-6
    if not spreads.size:
        return Synchronisation(
            sets=0, partial=0, spread_ms=(0.0, 0.0, 0.0), spreads=spreads, stamps=np.zeros(0, int)
        )
    middle, high, most = np.percentile(spreads, (50, 95, 100))
    return Synchronisation(
        sets=len(sets), partial=sum(entry.partial for entry in sets),
        spread_ms=(float(middle), float(high), float(most)), spreads=spreads,
        stamps=np.array([min(entry.stamps.values()) for entry in sets], np.int64),
    )  # fmt: skip


def _findings(check: BagCheck, rig: RigDescription | None) -> Iterator[Finding]:
    if check.topics and not any(len(stream.stamps) for stream in check.streams.values()):
        yield Finding(severity='unusable', subject='', text='the bag has no image.')
    for name, stream in check.streams.items():
        if not len(stream.stamps):
            yield Finding(
                severity='lossy', subject=name, text=f'there is no image on {stream.topic}.'
            )
            continue
        yield from times_findings(name, stream.times)
        yield from images_findings(name, stream.images, stream.modality)
    yield from clock_findings(
        {name: entry.times for name, entry in check.streams.items() if len(entry.stamps)}
    )
    if rig is not None:
        for name in rig.cameras:
            if name not in check.streams:
                yield Finding(
                    severity='lossy', subject=name, text=f'the bag has no {image_topic(name)}.'
                )
    sync = check.synchronisation
    if sync is not None and sync.partial > 0.02 * max(sync.sets, 1):
        yield Finding(
            severity='warning', subject='',
            text=f'{sync.partial} of {sync.sets} sets lack a stream: see the losses, or raise '
            'max_spread of the synchronizer in the rig file.',
        )  # fmt: skip


def _recorder_findings(path: Path) -> Iterator[Finding]:
    """Yield what the recorder itself noted."""
    if not path.is_dir():
        return
    custom = read_metadata(path).get('custom_data')
    for name, value in (custom or {}).items() if isinstance(custom, dict) else ():
        if str(name).startswith(DROPPED):
            yield Finding(
                severity='lossy', subject=str(name).removeprefix(DROPPED),
                text=f'the recorder dropped {value} messages: its disk was too slow.',
            )  # fmt: skip
        elif name == 'ended':
            yield Finding(
                severity='lossy', subject='', text=f'the recording was cut short: {value}.'
            )
        elif name == 'repaired':
            yield Finding(
                severity='warning', subject='',
                text=f'{value} was repaired after an interruption; what came last may be missing.',
            )  # fmt: skip
