"""Statistics of features as LeRobot keeps them: extremes, moments and quantiles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

QUANTILES = {'q01': 0.01, 'q10': 0.10, 'q50': 0.50, 'q90': 0.90, 'q99': 0.99}
_STEP = 8  # of the pixels of an image, every so many in both directions are counted
_SCALE = 1.0 / 255.0


class Running:
    """Statistics of rows or images that come one after another."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: list[NDArray[np.float32]] = []
        self._count = 0
        self._is_image = False

    def add_rows(self, rows: NDArray[Any]) -> None:
        """Count rows (N, n)."""
        self._rows.append(np.asarray(rows, np.float32))
        self._count += len(rows)

    def add_image(self, image: NDArray[np.uint8]) -> None:
        """Count some pixels of an image (H, W, 3), scaled to 0..1."""
        pixels = image[::_STEP, ::_STEP].reshape(-1, 3)
        self._rows.append(pixels.astype(np.float32) * np.float32(_SCALE))
        self._count += 1
        self._is_image = True

    def merge(self, other: 'Running') -> None:
        """Count what another one has counted."""
        self._rows += other._rows
        self._count += other._count
        self._is_image |= other._is_image

    def result(self) -> dict[str, Any]:
        """Return the statistics; of images as (3, 1, 1) nested lists."""
        if not self._rows:
            return {}
        found = rows_statistics(np.concatenate(self._rows))
        found['count'] = [self._count]
        if self._is_image:
            for name in ('min', 'max', 'mean', 'std', *QUANTILES):
                found[name] = [[[value]] for value in found[name]]
        return found


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
