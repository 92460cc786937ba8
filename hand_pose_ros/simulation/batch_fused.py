"""Fused: on GPUs, functions of whole images run as one kernel that TorchInductor generates."""

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec('P')
R = TypeVar('R')

# Switches it off, for debugging and where no compiler for GPU code works.
_SWITCH = 'HAND_POSE_FUSED'


def fused(function: Callable[P, R]) -> Callable[P, R]:
    """Fuse the element-wise steps of a function whose first argument is a tensor on a GPU.

    Step by step, each of them would read and write whole images. On CPUs, and with
    ``HAND_POSE_FUSED=0``, the function runs as it is written.
    """
    compiled: list[Callable[..., Any]] = []

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        first = args[0]
        if not isinstance(first, Tensor) or first.device.type != 'cuda':
            return function(*args, **kwargs)
        if os.environ.get(_SWITCH) == '0':
            return function(*args, **kwargs)
        if not compiled:
            compiled.append(torch.compile(function, dynamic=True))
        result: R = compiled[0](*args, **kwargs)
        return result

    return call
