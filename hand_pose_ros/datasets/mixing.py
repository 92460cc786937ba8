"""Several data sets in one stream of batches, each with its weight.

What a step reads is a function of the seed and the step alone: a resumed run goes on exactly
where it was, and processes need not talk to each other.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Draws (source, clip) pairs.

    Attributes:
        counts: clips of each source.
        weights: how often each is drawn from, relative to the others.
        seed: another seed, another order.
    """

    counts: tuple[int, ...]
    weights: tuple[float, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what nothing can be drawn from."""
        if not self.counts or len(self.counts) != len(self.weights):
            raise DataError(
                f'{len(self.counts)} data sets have {len(self.weights)} weights: give each one'
            )
        if min(self.counts) < 1 or min(self.weights) <= 0:
            raise DataError(
                f'data sets of {self.counts} clips with weights {self.weights} cannot be mixed: '
                'all must be above 0'
            )

    def draw(
        self, step: int, batch: int, *, rank: int = 0, world: int = 1
    ) -> list[tuple[int, int]]:
        """Return the (source, clip) pairs of one process's share of a step.

        Within as many draws as a source has clips, none of its clips comes twice.

        Args:
            step: number of the batch, from 0.
            batch: clips of all processes together, a multiple of ``world``.
            rank: this process.
            world: number of processes.
        """
        if batch % world or not 0 <= rank < world:
            raise DataError(
                f'process {rank} of {world} cannot take its share of {batch} clips: make the batch '
                'a multiple of the number of processes'
            )
        shares = np.asarray(self.weights) / np.sum(self.weights)
        sources = np.random.default_rng([self.seed, 0, step]).choice(len(shares), batch, p=shares)
        positions = range(step * batch, (step + 1) * batch)
        mine = slice(rank * batch // world, (rank + 1) * batch // world)
        orders: dict[tuple[int, int], NDArray[np.int64]] = {}
        drawn = []
        for source, position in list(zip(sources.tolist(), positions, strict=True))[mine]:
            epoch, place = divmod(position, self.counts[source])
            if (source, epoch) not in orders:
                orders[source, epoch] = self._order(source, epoch)
            drawn.append((source, int(orders[source, epoch][place])))
        return drawn

    def _order(self, source: int, epoch: int) -> NDArray[np.int64]:
        """Return the clips of a source in the order of one round through them."""
        generator = np.random.default_rng([self.seed, 1, source, epoch])
        return generator.permutation(self.counts[source])
