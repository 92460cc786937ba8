"""Silhouettes: the pixels of hand masks, thinned out evenly, as the energies compare them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MASK_PIXELS = 400  # kept of a mask at most


@dataclass(frozen=True, kw_only=True, eq=False)
class Silhouettes:
    """Masks of both hands in V views and N frames, on the lens-free image plane z = 1.

    Attributes:
        pixels: (V, N, 2, MASK_PIXELS, 2) spread evenly over each mask, NaN where there are fewer.
        spacing: (V, N, 2) distance of neighbouring ones.
    """

    pixels: Array
    spacing: Array

    @classmethod
    def empty(cls, views: int, frames: int) -> 'Silhouettes':
        """Return silhouettes of nothing; their arrays may be filled."""
        return cls(
            pixels=np.full((views, frames, 2, MASK_PIXELS, 2), np.nan),
            spacing=np.zeros((views, frames, 2)),
        )

    def seen_by(self, places: list[int]) -> 'Silhouettes':
        """Return the silhouettes of some of the views."""
        return Silhouettes(pixels=self.pixels[places], spacing=self.spacing[places])


def thinned(pixels: NDArray[np.int64]) -> tuple[Array, float]:
    """Return at most ``MASK_PIXELS`` of a mask's pixels (x, y) on a square grid, and its step."""
    step = max(int(np.sqrt(len(pixels) / MASK_PIXELS)), 1)
    while True:
        kept = pixels[(pixels % step == 0).all(axis=1)]
        if len(kept) <= MASK_PIXELS:
            return kept.astype(np.float64), float(step)
        step += 1
