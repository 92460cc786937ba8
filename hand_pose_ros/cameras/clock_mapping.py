"""From a device's clock to Unix time, by when its images arrive."""

from collections import deque

_WINDOW = 10_000_000_000
_TOLERANCE = 500_000_000


class ClockMapping:
    """Maps stamps of one device's clock to Unix time without the jitter of transport.

    An image arrives some time after it was stamped: never earlier, and now and then as early as
    can be. So the least difference between arrival and stamp over the last seconds is the offset
    of the clocks plus the least delay, which ``time_offset`` in the rig file may take off. Clocks
    that drift are followed as the window moves on: at 50 ppm by half a millisecond.
    """

    def __init__(self, *, window: int = _WINDOW, tolerance: int = _TOLERANCE) -> None:
        """Start without knowledge.

        Args:
            window: nanoseconds over which the least difference is taken.
            tolerance: delay in nanoseconds that is believed; with more, or when the device's clock
                runs back, the mapping starts afresh (device reset, host clock set).
        """
        self._window = window
        self._tolerance = tolerance
        self._newest: int | None = None
        # Differences that rise with the age of their stamps falling: the first is the least.
        self._least: deque[tuple[int, int]] = deque()

    def to_unix(self, device: int, arrival: int) -> int:
        """Return the Unix time of a stamp of the device; rising stamps give rising times.

        Args:
            device: stamp of the device's clock, nanoseconds.
            arrival: Unix time of its arrival, nanoseconds.
        """
        difference = arrival - device
        if self._newest is not None and not self._believable(device, difference):
            self._least.clear()
        self._newest = device
        while self._least and self._least[0][0] < device - self._window:
            self._least.popleft()
        while self._least and self._least[-1][1] >= difference:
            self._least.pop()
        self._least.append((device, difference))
        return device + self._least[0][1]

    def _believable(self, device: int, difference: int) -> bool:
        assert self._newest is not None
        if device <= self._newest or not self._least:
            return False
        return abs(difference - self._least[0][1]) <= self._tolerance
