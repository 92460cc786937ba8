"""Batch renormalisation: batch normalisation whose training output follows the running statistics.

Its state has the names of ``nn.BatchNorm2d``, so that the weights of either load into the other.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class BatchRenorm2d(nn.Module):
    """Batch renormalisation of (N, C, H, W) for small batches.

    The correction's limits grow from none to r in [1/3, 3] and |d| <= 5 as training goes on.
    Source: methods specification, section 3.4, with the missing bracket of d put in.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(
        self, channels: int, *, eps: float = 1e-3, momentum: float = 0.01,
        largest_r: float = 3.0, largest_d: float = 5.0, rate: float = 1e-5,
    ) -> None:  # fmt: skip
        """Make the layer.

        Args:
            channels: C.
            eps: added to the variance.
            momentum: share of the newest batch in the running statistics.
            largest_r: limit of the scale correction in the end.
            largest_d: limit of the shift correction in the end.
            rate: how much a batch advances the limits.
        """
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.largest_r, self.largest_d, self.rate = largest_r, largest_d, rate
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))
        self.register_buffer('num_batches_tracked', torch.tensor(0))

    def limits(self) -> tuple[float, float]:
        """Return the present limits of r and d."""
        t = self.rate * int(self.num_batches_tracked)
        r = self.largest_r / (1 + (self.largest_r - 1) * math.exp(-t))
        d = self.largest_d / (1 + (self.largest_d / 1e-3 - 1) * math.exp(-2 * t))
        return r, d

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W)."""
        if not self.training:
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        variance, mean = torch.var_mean(x.to(self.weight.dtype), dim=(0, 2, 3), correction=0)
        with torch.no_grad():
            deviation, expected = (variance + self.eps).sqrt(), (self.running_var + self.eps).sqrt()
            r_limit, d_limit = self.limits()
            r = (deviation / expected).clamp(1 / r_limit, r_limit)
            d = ((mean - self.running_mean) / expected).clamp(-d_limit, d_limit)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * r * (variance + self.eps).rsqrt()
        shift = self.bias + self.weight * d - mean * scale
        return (x * scale[:, None, None] + shift[:, None, None]).to(x.dtype)
