"""A moving average of a network's weights, which validates better than the newest ones."""

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """Keeps ``average = decay * average + (1 - decay) * weights``.

    The decay starts small, ``(1 + n) / (10 + n)`` after n updates, so that the average forgets
    the initial weights. Running statistics are copied, not averaged.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start with the network's present weights."""
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0
        self._pairs: tuple[list[Tensor], list[Tensor]] = (
            list(self.network.parameters()), list(network.parameters()),
        )  # fmt: skip
        self._buffers = list(zip(self.network.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's present weights into the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self._pairs[0], self._pairs[1], 1.0 - decay)
        for own, other in self._buffers:
            own.copy_(other)
