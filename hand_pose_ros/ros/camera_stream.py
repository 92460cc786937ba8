"""A camera driver in a thread of its own that never gives up."""

import threading
import time
import traceback
from collections.abc import Callable

from hand_pose_ros.cameras.driver import CameraDriver, CameraSample
from hand_pose_ros.errors import HandPoseError

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 10.0
# A recording starts so much later than its first camera, so that the others can still join.
_LEAD = 500_000_000


class ReplayClock:
    """Maps stamps of a recording to now, the same for all cameras that share the clock."""

    def __init__(self, *, origin: int | None = None, start: int | None = None) -> None:
        """Choose what is known already.

        Args:
            origin: recorded stamp that is played first; that of the first sample by default.
            start: system time in nanoseconds when it is played; soon by default.
        """
        self._origin = origin
        self._start = start
        self._lock = threading.Lock()

    def shift(self, first_stamp: int) -> int:
        """Return what to add to recorded stamps to get system time, in nanoseconds."""
        with self._lock:
            if self._origin is None:
                self._origin = first_stamp
            if self._start is None:
                self._start = time.time_ns() + _LEAD
            return self._start - self._origin

    def now(self) -> int | None:
        """Return the time in the recording, nanoseconds; None before it is known."""
        with self._lock:
            if self._origin is None or self._start is None:
                return None
            return time.time_ns() - self._start + self._origin


class CameraStream:
    """Opens a driver, delivers its samples, and opens it again when it fails.

    Samples of recordings are delivered at the pace of their stamps.

    Attributes:
        opened: how often the driver was opened.
        finished: whether a recording has been delivered to its end.
        error: last error of the driver, empty while it delivers.
    """

    def __init__(
        self,
        make: Callable[[], CameraDriver],
        deliver: Callable[[CameraSample, int], None],
        *,
        complain: Callable[[str], None],
        name: str,
        replay: ReplayClock,
        restamp: bool = True,
    ) -> None:
        """Start the thread.

        Args:
            make: makes the driver, each time it is opened.
            deliver: called with every sample and its stamp in nanoseconds of system time.
            complain: called with one sentence for every failure.
            name: of the camera.
            replay: maps the stamps of recordings to system time.
            restamp: False leaves the stamps of recordings as they are.
        """
        self.opened = 0
        self.finished = False
        self.error = ''
        self._make = make
        self._deliver = deliver
        self._complain = complain
        self._name = name
        self._replay = replay
        self._restamp = restamp
        self._driver: CameraDriver | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f'{name} camera', daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """Close the driver and end the thread; returns whether it has ended in time."""
        self._stopping.set()
        driver = self._driver
        if driver is not None:
            driver.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopping.is_set() and not self.finished:
            try:
                if self._deliver_all():
                    wait = _FIRST_WAIT
            except HandPoseError as error:
                self._failed(str(error), wait)
            except Exception:
                self._failed(f'{self._name}: driver failed: {traceback.format_exc()}', wait)
            if not self.finished and not self._stopping.wait(wait):
                wait = min(2 * wait, _LONGEST_WAIT)

    def _failed(self, error: str, wait: float) -> None:
        self.error = error
        if not self._stopping.is_set():
            self._complain(f'{error} (opening the camera again in {wait:g} s)')

    def _deliver_all(self) -> bool:
        """Deliver until the driver ends; returns whether it delivered anything."""
        driver = self._driver = self._make()
        delivered = False
        shift = 0
        try:
            driver.open()
            self.opened += 1
            for sample in driver.samples():
                if not driver.live:
                    if not delivered:
                        shift = self._replay.shift(sample.stamp)
                    if self._wait_until(sample.stamp + shift):
                        return delivered
                if self._stopping.is_set():
                    return delivered
                delivered = True
                self.error = ''
                self._deliver(sample, sample.stamp + (shift if self._restamp else 0))
        finally:
            driver.close()
        if driver.live:
            self._failed(f'{self._name}: the camera stopped delivering images', _FIRST_WAIT)
        else:
            self.finished = True
        return delivered

    def _wait_until(self, system_time: int) -> bool:
        """Wait for a moment; returns whether the thread is to end."""
        return self._stopping.wait(max(0.0, (system_time - time.time_ns()) * 1e-9))
