"""What joints that are known well say about the others of a hand."""

import torch
from torch import Tensor, nn

# A joint expected to be this far off is believed by half, normalised: 8 mm.
_HALF = 0.08
_LEAST = 0.01  # expected errors count no less, nor is a joint believed any further: 1 mm


class HandCompleter(nn.Module):
    """Moves joints to where hands have them, given how far off each is expected to be.

    Sees no image, so that poses alone teach it, see ``rehearsal``. Not in the paper; begins with no
    change.
    """

    def __init__(self, joints: int, width: int) -> None:
        """Make the layers for hands of ``joints`` joints."""
        super().__init__()
        self.joints = joints
        self.layers = nn.Sequential(
            nn.Linear(8 * joints, width), nn.GELU(),
            nn.Linear(width, width), nn.GELU(),
            nn.Linear(width, width), nn.GELU(),
            nn.Linear(width, 4 * joints),
        )  # fmt: skip

    def start(self) -> None:
        """Forget what was learnt: change nothing."""
        last = self.layers[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, joints: Tensor, log_error: Tensor) -> tuple[Tensor, Tensor]:
        """Complete hands.

        Args:
            joints: (N, J, 3) as found, normalised.
            log_error: (N, J) logarithm of how far off they are expected to be, normalised.

        Returns:
            the same of the completed hands.
        """
        error = log_error.exp().clamp(min=_LEAST)
        belief = _HALF**2 / (_HALF**2 + error.square())  # (N, J)
        weights = belief[..., None]
        middle = (joints * weights).sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True)
        about = joints - middle
        known = [about.flatten(1), (about * weights).flatten(1), belief, (error / _HALF).log()]
        change = self.layers(torch.cat(known, dim=1)).unflatten(1, (self.joints, 4))
        return joints + change[..., :3], log_error + change[..., 3]
