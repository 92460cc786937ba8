"""Cross-entropy of the cells that joints lie in, for maps of joints."""

import torch
from torch import Tensor

_SPREAD = 0.75


def cell_entropy(logits: Tensor, places: Tensor, known: Tensor) -> Tensor:
    """Return the mean cross-entropy of the cells of the known joints in the map, 0 without any.

    A joint belongs to the cells around it by a Gaussian of 0.75 cells.

    Args:
        logits: (N, J, h, w).
        places: (N, J, 2) column and row of the joints; cell centres are whole numbers.
        known: (N, J) bool; places that are not may hold anything.
    """
    rows, columns = logits.shape[-2:]
    limits = places.new_tensor([columns, rows]) - 0.5
    known = known & (places > -0.5).all(dim=-1) & (places < limits).all(dim=-1)
    x, y = torch.where(known[..., None], places, 0.0).unbind(-1)  # (N, J)
    shares = [
        torch.softmax(
            -0.5 * ((torch.arange(count, device=x.device) - at[..., None]) / _SPREAD).square(), -1
        )
        for count, at in ((rows, y), (columns, x))
    ]
    true = shares[0][..., :, None] * shares[1][..., None, :]  # (N, J, h, w)
    costs = -(true * logits.float().flatten(2).log_softmax(dim=2).view_as(true)).sum(dim=(2, 3))
    return (costs * known).sum() / known.sum().clamp(min=1)
