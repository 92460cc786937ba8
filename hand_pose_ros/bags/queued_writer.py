"""QueuedWriter: a bag written by a thread of its own, so that a slow disk delays nobody."""

import threading
import time
from collections import deque

from hand_pose_ros.bags.writer import CHUNK_SECONDS, BagWriter

# Bytes that may wait for the disk: more than a second of four full-size cameras.
CAPACITY = 256 * 1024 * 1024
# In custom_data of metadata.yaml, before the topic.
DROPPED = 'dropped:'


class QueuedWriter:
    """Takes messages without waiting for the disk; what finds the queue full is dropped, counted.

    Memory is bounded by the queue and one chunk. What was dropped is written into the bag's
    metadata when the queue is closed.

    Attributes:
        writer: the bag; closing it is the caller's, after ``close``.
        capacity: bytes that may wait.
        dropped: messages dropped so far, by topic.
    """

    def __init__(self, writer: BagWriter, capacity: int = CAPACITY) -> None:
        """Start the thread."""
        self.writer = writer
        self.dropped: dict[str, int] = {}
        self.capacity = capacity
        self._waiting = 0
        self._queue: deque[tuple[str, bytes, int]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name='bag writer', daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Bytes that wait for the disk."""
        return self._waiting

    def write(self, topic: str, data: bytes, stamp: int) -> None:
        """Queue one message of an announced topic, see ``BagWriter.write``.

        Raises what has stopped the writing: a recording that goes on would only seem to.
        """
        if self._error is not None:
            raise self._error
        with self._changed:
            if self._waiting + len(data) > self.capacity and self._queue:
                self.dropped[topic] = self.dropped.get(topic, 0) + 1
                return
            self._queue.append((topic, data, stamp))
            self._waiting += len(data)
            self._changed.notify()

    def close(self) -> None:
        """Write what waits, end the thread and note what was dropped; raises what stopped it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        for topic, count in self.dropped.items():
            self.writer.note(f'{DROPPED}{topic}', str(count))
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._write_all()
        except BaseException as error:
            # Told by close: nobody listens to this thread.
            self._error = error

    def _write_all(self) -> None:
        flushed = time.monotonic()
        while True:
            with self._changed:
                if not self._queue and not self._closing:
                    self._changed.wait(CHUNK_SECONDS / 2)
                entry = self._queue.popleft() if self._queue else None
                closing = self._closing
            if entry is not None:
                self.writer.write(*entry)
                with self._changed:
                    self._waiting -= len(entry[1])
            elif closing:
                return
            if time.monotonic() - flushed >= CHUNK_SECONDS:
                self.writer.flush()
                flushed = time.monotonic()
