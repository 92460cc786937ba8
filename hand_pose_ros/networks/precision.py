"""Where 16 bits are too few: parts of a network that keep 32 under mixed precision."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Return a context without mixed precision: 16 bits are too few for millimetres and pixels."""
    kind = like.device.type
    # Not entered where it changes nothing, so that exporters do not see it.
    mixed = torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if mixed else nullcontext()
