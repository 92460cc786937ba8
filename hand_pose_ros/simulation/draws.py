"""Draws: short names for the random numbers that clips are made of."""

from typing import Any

import numpy as np

from hand_pose_ros.simulation.settings import Range


class Draws:
    """Short names for what is drawn from a clip's generator."""

    def __init__(self, generator: np.random.Generator) -> None:
        """Take the generator."""
        self.generator = generator

    def between(self, low: float, high: float, *shape: int) -> Any:
        """Uniform numbers."""
        return self.generator.uniform(low, high, shape or None)

    def logarithmic(self, low: float, high: float, *shape: int) -> Any:
        """Numbers even in their logarithm."""
        return np.exp(self.generator.uniform(np.log(low), np.log(high), shape or None))

    def normal(self, sigma: float, *shape: int) -> Any:
        """Normal numbers of zero mean."""
        return self.generator.normal(0, sigma, shape or None)

    def chance(self, share: float) -> float:
        """1.0 in a share of the calls, else 0.0."""
        return float(self.generator.uniform() < share)

    def within(self, limits: Range) -> float:
        """A uniform number of a range."""
        return float(self.generator.uniform(*limits))

    def one_of(self, choices: tuple[int, ...]) -> int:
        """One of some numbers."""
        return choices[int(self.generator.integers(len(choices)))]
