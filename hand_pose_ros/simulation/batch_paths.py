"""Paths: smooth random motion through key values, drawn key by key for as long as it is needed."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def wander(
    generator: np.random.Generator,
    times: Array,
    draw: Callable[[], Array],
    gap: tuple[float, float],
) -> Array:
    """Move through drawn key values with the minimum-jerk profile.

    Keys are drawn one after the other, so a longer clip begins like a shorter one.

    Args:
        generator: draws the times of the keys; ``draw`` should use it too.
        times: (T,) seconds from 0, in any order.
        draw: returns the next key value, any shape.
        gap: shortest and longest time between keys, seconds.

    Returns:
        (T, ...) values; between two keys they never leave the range of the two.
    """
    keys = [-generator.uniform(0, gap[1])]
    values = [np.asarray(draw(), dtype=np.float64)]
    last = times.max()
    while keys[-1] <= last:
        keys.append(keys[-1] + generator.uniform(*gap))
        values.append(np.asarray(draw(), dtype=np.float64))
    moments, stack = np.array(keys), np.array(values)
    after = np.clip(np.searchsorted(moments, times, side='right'), 1, len(moments) - 1)
    share = (times - moments[after - 1]) / (moments[after] - moments[after - 1])
    blend = smooth_step(share).reshape(-1, *(1,) * (stack.ndim - 1))
    return stack[after - 1] + blend * (stack[after] - stack[after - 1])


def smooth_step(share: Array) -> Array:
    """Return the minimum-jerk profile of a share of the way (0..1, clipped)."""
    share = np.clip(share, 0, 1)
    return share**3 * (10 + share * (6 * share - 15))
