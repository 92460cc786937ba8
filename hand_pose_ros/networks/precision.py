"""Mixed precision: where 16 bits are too few, and where they are enough."""

import time
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Precision = Literal['float32', 'bfloat16', 'auto']
"""``bfloat16`` is mixed precision; ``auto`` is that where the device is faster with it."""

_SIZE, _REPEATS = 512, 5


def computes_bfloat16(device: torch.device) -> bool:
    """Say whether a device multiplies 16-bit numbers faster than those of 32 bits.

    CPUs without instructions for it, and those of unknown kinds, do not: ten times slower. Of those
    that have them some are twice as fast and some half, so that they are timed, once.
    """
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    has = any(known.get(name) for name in ('avx512_bf16', 'amx_bf16'))
    return device.type == 'cpu' and has and _product(torch.bfloat16) < _product(torch.float32)


@cache
def _product(kind: torch.dtype) -> float:
    """Return the seconds that the CPU takes for a matrix product, the least of some."""
    with torch.inference_mode(), torch.autocast('cpu', enabled=False):
        matrix = torch.ones(_SIZE, _SIZE, dtype=kind)
        times = []
        for _ in range(_REPEATS):
            start = time.perf_counter()
            torch.mm(matrix, matrix)
            times.append(time.perf_counter() - start)
    return min(times)


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
