"""From a device's clock to Unix time, by when its images arrive."""

from collections import deque

_WINDOW = 10_000_000_000
_TOLERANCE = 500_000_000


class RisingStamps:
    """Keeps the stamps of one stream rising where estimates of its clock are corrected."""

    def __init__(self) -> None:
        """Start without a stamp."""
        self._last: int | None = None

    def next(self, stamp: int) -> int:
        """Return the stamp, or just more than the last one when it lies a little behind that.

        A stamp that lies far behind is one of a clock that was set, and is taken as it is.
        """
        if self._last is not None and 0 <= self._last - stamp < _TOLERANCE:
            stamp = self._last + 1
        self._last = stamp
        return stamp


class ClockMapping:
    """Maps stamps of one device's clock to Unix time without the jitter of transport.

    An image arrives some time after it was stamped: never earlier, and now and then as early as
    can be. So the least difference between arrival and stamp over the last seconds is the offset
    of the clocks plus the least delay, which ``time_offset`` in the rig file may take off. Clocks
    that drift are followed as the window moves on: at 50 ppm by half a millisecond.

    Streams of one device share its mapping, so that images of one moment have one stamp however
    long each takes to arrive.
    """

    def __init__(self, *, window: int = _WINDOW, tolerance: int = _TOLERANCE) -> None:
        """Start without knowledge.

        Args:
            window: nanoseconds over which the least difference is taken.
            tolerance: delay in nanoseconds that is believed; with more, or when the clock of a
                stream does not go on, the mapping starts afresh (device reset, host clock set).
        """
        self._window = window
        self._tolerance = tolerance
        self._newest: dict[str, int] = {}
        # (stamp, difference) with rising differences: the first is the least of the window.
        self._least: deque[tuple[int, int]] = deque()

    def to_unix(self, device: int, arrival: int, stream: str = '') -> int:
        """Return the Unix time of a stamp of the device, nanoseconds.

        Args:
            device: stamp of the device's clock, nanoseconds, rising within a stream.
            arrival: Unix time of its arrival, nanoseconds.
            stream: which of the device's streams the image is of.
        """
        difference = arrival - device
        if not self._believable(device, difference, stream):
            self._least.clear()
            self._newest.clear()
        self._newest[stream] = device
        while self._least and self._least[0][0] < device - self._window:
            self._least.popleft()
        while self._least and self._least[-1][1] >= difference:
            self._least.pop()
        self._least.append((device, difference))
        return device + self._least[0][1]

    def _believable(self, device: int, difference: int, stream: str) -> bool:
        if not self._least or device <= self._newest.get(stream, device - 1):
            return False
        return abs(difference - self._least[0][1]) <= self._tolerance
