"""Mixed precision: where 16 bits are too few, and where they are enough."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Precision = Literal['float32', 'bfloat16', 'auto']
"""``bfloat16`` is mixed precision; ``auto`` is that where the device has instructions for it."""


def computes_bfloat16(device: torch.device) -> bool:
    """Say whether a device has instructions for 16-bit products.

    Without them mixed precision is ten times slower than 32 bits. CPUs of unknown kinds are taken
    to have none.
    """
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return device.type == 'cpu' and any(known.get(name) for name in ('avx512_bf16', 'amx_bf16'))


def mixed_precision(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which networks compute with a precision, see ``Precision``."""
    mixed = computes_bfloat16(device) if precision == 'auto' else precision == 'bfloat16'
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed)


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Return a context without mixed precision: 16 bits are too few for millimetres and pixels."""
    kind = like.device.type
    # Not entered where it changes nothing, so that exporters do not see it.
    mixed = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if mixed else nullcontext()


class LayerNorm(nn.LayerNorm):
    """Layer normalisation whose result is as precise as its input.

    Mixed precision would write the result, and with it all that is added to it, in 32 bits. The
    statistics have 32 bits either way, which is not so for group normalisation on GPUs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (..., d)."""
        if x.dtype == self.weight.dtype:
            return super().forward(x)
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        with full_precision(x):
            return functional.layer_norm(x, self.normalized_shape, weight, bias, self.eps)
