"""Writes rosbag2 folders (mcap) from messages that are already serialised."""

import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import yaml
from mcap.writer import CompressionType, Writer

from hand_pose_ros.bags.schemas import message_text, type_hash
from hand_pose_ros.errors import BagError

_CHUNK_SIZE = 4 * 1024 * 1024


@dataclass(kw_only=True)
class _Topic:
    """What metadata.yaml says about one topic."""

    channel: int
    type_name: str
    count: int = 0


class BagWriter:
    """A rosbag2 folder with one mcap file, open for writing; use as a context manager.

    ``ros2 bag play`` and other readers need the summary and metadata.yaml that ``close`` writes;
    the messages of a recording that was killed stay recoverable from the mcap file. Writing from
    several threads is safe.
    """

    def __init__(self, folder: Path, *, compress: bool = False, ros_distro: str = '') -> None:
        """Create the folder and open its file.

        Args:
            folder: the bag, which must not exist yet.
            compress: zstd chunks: about half the size at a third of the speed.
            ros_distro: name of the ROS distribution recorded from, kept in the metadata.

        Raises:
            BagError: if the folder exists already or cannot be made.
        """
        self.folder = Path(folder)
        self._distro = ros_distro
        self._file_name = f'{self.folder.name}_0.mcap'
        try:
            self.folder.mkdir(parents=True)
        except FileExistsError:
            raise BagError(
                f'bag folder {self.folder} exists already: remove it or name another.'
            ) from None
        except OSError as error:
            raise BagError(
                f'bag folder {self.folder} cannot be made ({error.strerror}): name another.'
            ) from None
        self._stream = (self.folder / self._file_name).open('wb')
        compression = CompressionType.ZSTD if compress else CompressionType.NONE
        self._writer = Writer(self._stream, chunk_size=_CHUNK_SIZE, compression=compression)
        self._writer.start(profile='ros2', library='hand_pose_ros')
        self._schemas: dict[str, int] = {}
        self._topics: dict[str, _Topic] = {}
        self._first: int | None = None
        self._last = 0
        self._lock = threading.Lock()
        self._closed = False

    def add_topic(self, topic: str, type_name: str) -> None:
        """Announce a topic, for example ``/thermal/image_raw`` of ``sensor_msgs/msg/Image``.

        Raises:
            BagError: if the topic has another type already or the type is not installed.
        """
        known = self._topics.get(topic)
        if known is not None:
            if known.type_name != type_name:
                raise BagError(f'topic {topic} is {known.type_name} already, not {type_name}.')
            return
        with self._lock:
            if type_name not in self._schemas:
                text = message_text(type_name).encode()
                self._schemas[type_name] = self._writer.register_schema(type_name, 'ros2msg', text)
            channel = self._writer.register_channel(
                topic,
                'cdr',
                self._schemas[type_name],
                {'offered_qos_profiles': '', 'topic_type_hash': type_hash(type_name)},
            )
            self._topics[topic] = _Topic(channel=channel, type_name=type_name)

    def write(self, topic: str, data: bytes, stamp: int) -> None:
        """Append one message; after ``close`` it is dropped silently, as a late callback's.

        Args:
            topic: an announced topic.
            data: the serialised message with its four-byte header, as a raw subscription gives it.
            stamp: time of reception, integer nanoseconds.
        """
        entry = self._topics.get(topic)
        if entry is None:
            raise BagError(f'topic {topic} was not announced: call add_topic first.')
        with self._lock:
            if self._closed:
                return
            self._writer.add_message(entry.channel, stamp, data, stamp, entry.count)
            entry.count += 1
            self._first = stamp if self._first is None else min(self._first, stamp)
            self._last = max(self._last, stamp)

    @property
    def counts(self) -> dict[str, int]:
        """Messages written so far by topic."""
        return {topic: entry.count for topic, entry in self._topics.items()}

    def close(self) -> None:
        """Finish the file and write metadata.yaml; may be called more than once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._writer.finish()
            self._stream.close()
            text = yaml.safe_dump(self._metadata(), sort_keys=False)
            (self.folder / 'metadata.yaml').write_text(text, encoding='utf-8')

    def _metadata(self) -> dict[str, object]:
        """The content of metadata.yaml, version 9."""
        start = self._first or 0
        span: dict[str, object] = {
            'duration': {'nanoseconds': max(0, self._last - start)},
            'starting_time': {'nanoseconds_since_epoch': start},
            'message_count': sum(self.counts.values()),
        }
        topics = [
            {
                'topic_metadata': {
                    'name': topic,
                    'type': entry.type_name,
                    'serialization_format': 'cdr',
                    'offered_qos_profiles': [],
                    'type_description_hash': type_hash(entry.type_name),
                },
                'message_count': entry.count,
            }
            for topic, entry in self._topics.items()
        ]
        information = {
            'version': 9,
            'storage_identifier': 'mcap',
            **span,
            'topics_with_message_count': topics,
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [self._file_name],
            'files': [{'path': self._file_name, **span}],
            'custom_data': None,
            'ros_distro': self._distro,
        }
        return {'rosbag2_bagfile_information': information}

    def __enter__(self) -> 'BagWriter':
        """Return the open writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the bag, also after an error: what was recorded stays readable."""
        self.close()
