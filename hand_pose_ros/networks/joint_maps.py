"""Maps that say of every cell which joints lie in it, and how far away they would be there."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.networks.normalisation import group_norm
from hand_pose_ros.networks.precision import full_precision


class MappedJoints(NamedTuple):
    """What maps say of J joints in N images.

    Attributes:
        places: (N, J, 3) x and y from pixel (W / 2, H / 2), in the maps' unit, and the depth.
        spread: (N, J) standard deviation of where a joint may lie, pixels; without gradient.
        logits: (N, J, h, w) of the joints' cells; empty from exported networks.
    """

    places: Tensor
    spread: Tensor
    logits: Tensor


class JointMaps(nn.Module):
    """First answer for an image: where each joint is seen, and how far away it is there.

    What is learnt of a hand in one place holds in all others, which a flattened map has to learn
    place by place. Coarse maps come back up to the finest, so that every cell knows its
    surroundings. Not in the papers; what reads these answers corrects them.
    """

    def __init__(
        self, channels: Sequence[int], hidden: int, joints: int, *,
        stride: int, unit: float, depth: float = 0.0,
    ) -> None:  # fmt: skip
        """Make maps of ``hidden`` channels.

        Args:
            channels: of the maps that are read, fine to coarse.
            hidden: channels of the merged map.
            joints: J.
            stride: pixels per cell of the finest map.
            unit: pixels that an answer of 1 stands for.
            depth: answered at first.
        """
        super().__init__()
        self._stride, self._unit, self._joints = stride, unit, joints
        self.lateral = nn.ModuleList(nn.Conv2d(one, hidden, 1) for one in channels)
        self.merge = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(hidden, hidden, 3, 1, 1, bias=False),
                group_norm(hidden),
                nn.ReLU(inplace=True),
            )
            for _ in channels[1:]
        )
        self.out = nn.Conv2d(hidden, 2 * joints, 1)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
            self.out.bias[joints:] = depth

    def forward(self, levels: Sequence[Tensor]) -> MappedJoints:
        """Read maps (N, channels, ...), fine to coarse; the first is (N, channels[0], h, w)."""
        maps = [layer(one) for layer, one in zip(self.lateral, levels, strict=True)]
        y = maps.pop()
        for layer in self.merge:
            finer = maps.pop()
            y = layer(functional.interpolate(y, finer.shape[-2:]) + finer)
        with full_precision(y):
            out = self.out(y.to(self.out.weight.dtype)).float()
            logits, depth = out.split(self._joints, dim=1)
            share = logits.flatten(2).softmax(dim=2)  # (N, J, h w)
            along_x, along_y = (
                (torch.arange(count, device=y.device) + 0.5 - count / 2) * self._stride - 0.5
                for count in (y.shape[3], y.shape[2])
            )
            shares = share.unflatten(2, y.shape[-2:])
            in_columns, in_rows = shares.sum(dim=2), shares.sum(dim=3)
            u = (in_columns * along_x).sum(dim=2)
            v = (in_rows * along_y).sum(dim=2)
            z = (share * depth.flatten(2)).sum(dim=2)
            squares = (in_columns * along_x**2).sum(dim=2) + (in_rows * along_y**2).sum(dim=2)
            spread = (squares - u**2 - v**2).clamp(min=0.0).detach().sqrt()
        places = torch.stack([u / self._unit, v / self._unit, z], dim=2)
        return MappedJoints(places=places, spread=spread, logits=logits)
