"""Tracks: values that move from key to key with minimum jerk, for ever round a period."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Track:
    """A periodic, twice continuously differentiable path through key values.

    Between two keys it follows the minimum-jerk profile of human reaching (Flash and Hogan 1985):
    it rests at every key and never leaves the range of the two keys it joins.
    """

    def __init__(self, times: list[float], values: list[Array], period: float) -> None:
        """Join keys.

        Args:
            times: ascending seconds in ``[0, period)``.
            values: one array a key, all of one shape.
            period: seconds after which the path repeats; the last key leads back to the first.
        """
        self.period = period
        self._times = np.array([*times, times[0] + period])
        self._values = np.array([*values, values[0]], dtype=np.float64)
        if np.any(np.diff(self._times) <= 0):
            raise ValueError('track keys must have ascending times within one period')

    def at(self, time: float) -> Array:
        """Return the value at a time in seconds; any time is valid."""
        start = self._times[0]
        time = start + (time - start) % self.period
        key = int(np.searchsorted(self._times, time, side='right')) - 1
        key = min(max(key, 0), len(self._times) - 2)
        duration = self._times[key + 1] - self._times[key]
        s = min(max((time - self._times[key]) / duration, 0.0), 1.0)
        blend = s * s * s * (10 + s * (6 * s - 15))
        return self._values[key] + blend * (self._values[key + 1] - self._values[key])
