"""Muon for the kernels of convolutions and for matrices, AdamW for everything else."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hand_pose_ros.networks.precision import computes_bfloat16

_LEAST = 8  # rows and columns below which there is little to make orthogonal
_SCALE = 0.2  # of an element of AdamW's later steps, in learning rates
# Coefficients of an odd polynomial that brings singular values from (0, 1] to about 1.
_POLYNOMIAL = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Moves a matrix by its averaged gradient made orthogonal.

    All directions move alike, those as well in which the gradient is small. Steps are scaled to the
    size of AdamW's, so that rates carry over. A kernel (O, I, h, w) is a matrix of O rows.
    ``torch.optim.Muon`` takes matrices alone and always computes in 16 bits, which CPUs without
    instructions for them do 10 to 30 times more slowly than in 32.

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), with
    the scale of Liu et al., arXiv 2502.16982.
    """

    def __init__(
        self, kernels: Sequence[nn.Parameter], *, learning_rate: float, weight_decay: float,
        momentum: float = 0.95,
    ) -> None:  # fmt: skip
        """Take the weights to move."""
        defaults = {'lr': learning_rate, 'weight_decay': weight_decay, 'momentum': momentum}
        super().__init__([{'params': list(kernels)}], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Move the weights."""
        del closure
        for group in self.param_groups:
            rate, momentum = group['lr'], group['momentum']
            for kernel in group['params']:
                if kernel.grad is None:
                    continue
                state = self.state[kernel]
                if 'average' not in state:
                    state['average'] = torch.zeros_like(kernel)
                average = state['average']
                average.lerp_(kernel.grad, 1 - momentum)
                # Nesterov's form: the newest gradient counts once more.
                step = orthogonal(kernel.grad.lerp(average, momentum).flatten(1))
                kernel.mul_(1 - rate * group['weight_decay'])
                scale = _SCALE * max(step.shape) ** 0.5
                kernel.add_(step.view(kernel.shape), alpha=-rate * scale)


class MuonAndAdamW:
    """Two optimisers that a training loop uses as one."""

    def __init__(self, muon: Muon, others: torch.optim.AdamW) -> None:
        """Take both."""
        self._both = (muon, others)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both, whose ``lr`` may be set."""
        return [group for one in self._both for group in one.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for one in self._both:
            one.zero_grad(set_to_none)

    def step(self) -> None:
        """Move the weights."""
        for one in self._both:
            one.step()

    def state_dict(self) -> dict[str, Any]:
        """Return what both remember."""
        muon, others = self._both
        return {'muon': muon.state_dict(), 'others': others.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what both remembered."""
        muon, others = self._both
        muon.load_state_dict(state['muon'])
        others.load_state_dict(state['others'])


def is_kernel(weight: Tensor) -> bool:
    """Say whether a weight is a matrix, or a kernel, that is worth making orthogonal."""
    return weight.ndim > 1 and min(weight.flatten(1).shape) >= _LEAST


def orthogonal(matrix: Tensor) -> Tensor:
    """Return the orthogonal matrix nearest to one, its singular values within 0.7 and 1.2.

    By Newton and Schulz's iteration, in 16 bits where the device is faster with them.
    """
    a, b, c = _POLYNOMIAL
    x = matrix.to(torch.bfloat16 if computes_bfloat16(matrix.device) else torch.float32)
    upright = x.shape[0] > x.shape[1]
    x = (x.T if upright else x) / x.norm().clamp(min=_TINY)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.T if upright else x).to(matrix.dtype)
