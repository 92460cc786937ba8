"""What the batched renderer does differently where waiting for the device would cost time."""

from typing import Any

import torch
from torch import Tensor


def put(values: Any, device: torch.device | str) -> Tensor:
    """Copy numbers to a device without waiting for the work that it still has.

    The values may be changed or freed at once: they are staged before this returns.
    """
    return torch.as_tensor(values).to(device, non_blocking=True)


def worth_while(values: Tensor) -> bool:
    """Return whether any value counts; on GPUs always, since looking would mean waiting."""
    return values.device.type != 'cpu' or bool(values.any())
