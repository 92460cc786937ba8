"""Statistics of features as LeRobot keeps them, of data sets of any length in bounded memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

QUANTILES = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
_STEP = 8  # of the pixels of an image, every so many in both directions are counted
_LEVELS = 256


def rows_statistics(rows: NDArray[Any]) -> dict[str, Any]:
    """Return min, max, mean, std, count and quantiles of rows (N, n) as lists of n."""
    values = np.asarray(rows, np.float64)
    found: dict[str, Any] = {
        'min': values.min(axis=0).tolist(),
        'max': values.max(axis=0).tolist(),
        'mean': values.mean(axis=0).tolist(),
        'std': values.std(axis=0).tolist(),
        'count': [len(values)],
    }
    quantiles = np.quantile(values, list(QUANTILES.values()), axis=0)
    found |= {name: row.tolist() for name, row in zip(QUANTILES, quantiles, strict=True)}
    return found


def together(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the statistics of all rows of a data set from those of its episodes.

    All are exact but the quantiles, which are the episodes' weighted by length, as LeRobot's.
    """
    counts = np.array([part['count'][0] for part in parts], np.float64)
    arrays = {name: np.array([part[name] for part in parts]) for name in parts[0]}
    weights = counts / counts.sum()
    mean = np.tensordot(weights, arrays['mean'], 1)
    square = np.tensordot(weights, arrays['std'] ** 2 + (arrays['mean'] - mean) ** 2, 1)
    found: dict[str, Any] = {
        'min': arrays['min'].min(axis=0).tolist(),
        'max': arrays['max'].max(axis=0).tolist(),
        'mean': mean.tolist(),
        'std': np.sqrt(square).tolist(),
        'count': [int(counts.sum())],
    }
    for name in QUANTILES:
        found[name] = np.tensordot(weights, arrays[name], 1).tolist()
    return found


class PixelStatistics:
    """Statistics of 8-bit images that come one after another; some pixels of each are counted."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._levels = np.zeros((3, _LEVELS), np.int64)
        self._images = 0

    def add(self, image: NDArray[np.uint8]) -> None:
        """Count an image (H, W, 3)."""
        for channel, pixels in enumerate(np.moveaxis(image[::_STEP, ::_STEP], 2, 0)):
            self._levels[channel] += np.bincount(pixels.ravel(), minlength=_LEVELS)
        self._images += 1

    def result(self) -> dict[str, Any]:
        """Return the statistics of the pixels, scaled to 0..1, as (3, 1, 1) nested lists."""
        values = np.arange(_LEVELS) / (_LEVELS - 1)
        shares = self._levels / self._levels.sum(axis=1, keepdims=True)
        ranks = np.cumsum(self._levels, axis=1)
        last = ranks[:, -1:]
        mean = shares @ values
        found = {
            'min': values[np.argmax(self._levels > 0, axis=1)],
            'max': values[_LEVELS - 1 - np.argmax(self._levels[:, ::-1] > 0, axis=1)],
            'mean': mean,
            'std': np.sqrt(np.sum(shares * (values - mean[:, None]) ** 2, axis=1)),
        }
        for name, share in QUANTILES.items():
            found[name] = values[np.argmax(ranks >= share * last, axis=1)]
        nested = {name: row[:, None, None].tolist() for name, row in found.items()}
        return nested | {'count': [self._images]}
