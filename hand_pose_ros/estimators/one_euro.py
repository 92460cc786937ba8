"""One-euro filter: smooths slow motion and follows fast motion, on real stamps."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.fitting import rotation_vectors
from hand_pose_ros.hand_model.hand import rotation_matrices

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OneEuroConfig:
    """Strength of the filter.

    Attributes:
        cutoff: cut-off frequency at rest, Hz; lower is smoother.
        slope: rise of the cut-off with speed, Hz per (unit/s); higher lags less.
        speed_cutoff: cut-off frequency of the speed estimate, Hz.
        rest: speed up to which a value counts as being at rest, unit/s: what noise alone makes.
    """

    cutoff: float
    slope: float
    speed_cutoff: float = 2.0
    rest: float = 0.0


class OneEuro:
    """Filters a vector; every component of it shares the speed of the whole.

    Source: Casiez, Roussel, Vogel, 1 Euro Filter, CHI 2012; here for vectors and uneven stamps.
    """

    def __init__(self, config: OneEuroConfig) -> None:
        """Start without a value."""
        self._config = config
        self._value: Array | None = None
        self._raw: Array | None = None
        self._speed: Array | None = None
        self._stamp = 0

    def __call__(self, value: Array, stamp: int, trust: Array | float = 1.0) -> Array:
        """Return the filtered value; a stamp that does not advance leaves the filter as it is.

        Args:
            value: any shape, the same every time.
            stamp: nanoseconds.
            trust: factor on the cut-off frequency, for each component: less smooths more.
        """
        value = np.asarray(value, dtype=np.float64)
        if self._value is None or self._raw is None or self._speed is None:
            self._value = self._raw = value.copy()
            self._speed, self._stamp = np.zeros_like(value), stamp
            return value.copy()
        interval = (stamp - self._stamp) * 1e-9
        if interval <= 0.0:
            return self._value.copy()
        speed = (value - self._raw) / interval
        self._speed = self._speed + _gain(self._config.speed_cutoff, interval) * (
            speed - self._speed
        )
        speed_now = float(np.linalg.norm(self._speed))
        gain = adaptive_gain(self._config, speed_now, interval, trust)
        self._value = self._value + gain * (value - self._value)
        self._raw, self._stamp = value.copy(), stamp
        return self._value.copy()


class OneEuroRotation:
    """Filters a rotation matrix along the shortest turn."""

    def __init__(self, config: OneEuroConfig) -> None:
        """Start without a value."""
        self._config = config
        self._value: Array | None = None
        self._raw: Array | None = None
        self._speed = np.zeros(3)
        self._stamp = 0

    def __call__(self, rotation: Array, stamp: int) -> Array:
        """Return the filtered rotation (3, 3); stamp in nanoseconds."""
        if self._value is None or self._raw is None:
            self._value, self._raw, self._stamp = rotation.copy(), rotation.copy(), stamp
            return rotation.copy()
        interval = (stamp - self._stamp) * 1e-9
        if interval <= 0.0:
            return self._value.copy()
        speed = _turn(rotation, self._raw) / interval
        self._speed = self._speed + _gain(self._config.speed_cutoff, interval) * (
            speed - self._speed
        )
        gain = adaptive_gain(self._config, float(np.linalg.norm(self._speed)), interval)
        turn = gain * _turn(rotation, self._value)
        self._value = rotation_matrices(turn) @ self._value
        self._raw, self._stamp = rotation.copy(), stamp
        return self._value.copy()


def adaptive_gain(
    config: OneEuroConfig, speed: float, interval: float, trust: Array | float = 1.0
) -> Array | float:
    """Return how much of a new value to take in 0..1 at a speed after an interval in seconds."""
    cutoff = config.cutoff + config.slope * max(speed - config.rest, 0.0)
    return _gain(cutoff * trust, interval)


def _gain(cutoff: Array | float, interval: float) -> Array | float:
    rate = 2.0 * np.pi * cutoff * interval
    return rate / (rate + 1.0)


def _turn(to: Array, start: Array) -> Array:
    return rotation_vectors((to @ start.T)[None])[0]
