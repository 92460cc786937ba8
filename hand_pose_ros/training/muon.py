"""Muon for the kernels of convolutions and for matrices, AdamW for everything else."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

_LEAST = 8  # rows and columns below which there is little to make orthogonal


class MuonAndAdamW:
    """Two optimisers that a training loop uses as one.

    Muon moves a matrix by its averaged gradient made orthogonal: all directions move alike, those
    as well in which the gradient is small. Steps are scaled to the size of AdamW's, so that rates
    carry over. A kernel (O, I, h, w) is a matrix of O rows.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with
    the scale of Liu et al., arXiv 2502.16982.
    """

    def __init__(
        self, kernels: Sequence[nn.Parameter], others: torch.optim.AdamW, *,
        learning_rate: float, weight_decay: float,
    ) -> None:  # fmt: skip
        """Take the weights that Muon moves and the optimiser of the others."""
        self._kernels = list(kernels)
        # The same numbers in memory, in the shape that torch's Muon takes.
        self._matrices = [
            nn.Parameter(_rows(kernel, kernel).view(len(kernel), -1)) for kernel in kernels
        ]
        self._muon = torch.optim.Muon(
            [{'params': self._matrices}], learning_rate, weight_decay,
            adjust_lr_fn='match_rms_adamw',
        )  # fmt: skip
        self._others = others

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, whose ``lr`` may be set."""
        return [*self._muon.param_groups, *self._others.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for kernel in self._kernels:
            kernel.grad = None
        self._muon.zero_grad(set_to_none)
        self._others.zero_grad(set_to_none)

    def step(self) -> None:
        """Move the weights."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else _rows(kernel.grad, kernel).flatten(1)
        self._muon.step()
        self._others.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what both remember."""
        return {'muon': self._muon.state_dict(), 'others': self._others.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what both remembered."""
        self._muon.load_state_dict(state['muon'])
        self._others.load_state_dict(state['others'])


def is_kernel(weight: Tensor) -> bool:
    """Say whether a weight is a matrix, or a kernel, that is worth making orthogonal."""
    return weight.ndim > 1 and min(weight.flatten(1).shape) >= _LEAST


def _rows(values: Tensor, kernel: Tensor) -> Tensor:
    """Return values of a kernel's shape so that their rows lie in memory as the kernel's do."""
    last = kernel.ndim == 4 and kernel.is_contiguous(memory_format=torch.channels_last)
    values = values.detach()
    return values.permute(0, 2, 3, 1) if last else values
