"""What the trainer asks of a system: its network, its loss, its predictions and its measure."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from hand_pose_ros.datasets.batch import ViewBatch

Arrays = dict[str, NDArray[np.float64]]


class Task(Protocol):
    """One system to train; holds configuration only, no state.

    Attributes:
        name: registered name of the network.
        network_config: its frozen configuration.
        metric: which of the measured numbers decides what is best; lower is better.
    """

    name: str
    network_config: Any
    metric: str

    def build_network(self) -> nn.Module:
        """Return the newly initialised network, as ``networks.registry`` makes it."""
        ...

    def augment(self, batch: ViewBatch, draws: Sequence[Generator]) -> ViewBatch:
        """Return the batch with random changes; K stays consistent with the pixels.

        Each clip draws from a generator of its own.
        """
        ...

    def loss(
        self, network: nn.Module, batch: ViewBatch, generator: Generator
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the total to minimise and its named terms."""
        ...

    def predict(self, network: nn.Module, batch: ViewBatch) -> Mapping[str, Tensor]:
        """Return ``joints`` (N, 2, 21, 3) in metres and whatever else is measured or drawn."""
        ...

    def measure(self, predicted: Arrays, truth: Arrays) -> dict[str, float]:
        """Return the errors of predictions over a whole validation set, millimetres or pixels.

        Both hold ``joints`` (N, 2, 21, 3) in metres; truth is NaN where there is no label.
        """
        ...
