"""What joints found one by one know about each other: corrections, and how far off they may be."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.networks.dense_crop import GRID_SIZE
from hand_pose_ros.networks.dense_votes import AggregationConfig, DenseFields, cast_votes, voters
from hand_pose_ros.networks.token_encoder import TokenEncoder

TOKEN_HEADS = 4
_LAYERS = 2
# How much more a cell counts where R is 1 than where it is 0: exp of this.
_SHARPNESS = 20.0
_USUAL_ERROR = 0.12  # normalised
_AROUND = 5  # cells of the fine map along a side, about where R sees a joint
# Columns, rows and depths of a crop in the unit of votes, for cubes of 28 cm.
_SCALE = (1.4, 1.4, 3.0)


class JointRefiner(nn.Module):
    """A token per joint, of its votes and what maps show about it; tokens attend to each other.

    Votes for a joint that no pixel shows come from afar and do not know where the others went.
    Not in the paper; begins with no correction.
    """

    scale: Tensor
    around: Tensor

    def __init__(self, joints: int, channels: int, fine_channels: int, width: int) -> None:
        """Make the layers.

        Args:
            joints: J.
            channels: of the maps that are read.
            fine_channels: of the map at twice their size.
            width: of the tokens.
        """
        super().__init__()
        self._config = AggregationConfig()
        count = self._config.votes
        known = channels + 3 + 1 + 4 * count + 3
        self.norm = nn.BatchNorm1d(known)
        self.read = nn.Linear(known, width)
        self.fine_norm = nn.BatchNorm2d(fine_channels)
        self.look = nn.Sequential(
            nn.Linear(fine_channels * _AROUND**2, width), nn.ReLU(), nn.Linear(width, width)
        )
        self.joint = nn.Parameter(torch.empty(joints, width))
        self.encoder = TokenEncoder(width, TOKEN_HEADS, 2 * width, _LAYERS, joints)
        self.out = nn.Linear(width, 4)
        nn.init.normal_(self.joint, std=0.02)
        along = (torch.arange(_AROUND) - _AROUND // 2) / GRID_SIZE
        around = torch.stack(torch.meshgrid(along, along, indexing='xy'), dim=-1)
        self.register_buffer('around', around.flatten(0, 1), persistent=False)
        self.register_buffer('scale', torch.tensor(_SCALE)[:, None, None], persistent=False)

    def start(self) -> None:
        """Forget what was learnt: correct nothing, and expect every joint to be off alike."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[3] = math.log(_USUAL_ERROR)

    def forward(
        self, fields: DenseFields, maps: Tensor, fine: Tensor, position: Tensor, shown: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Look at the joints that the votes lead to.

        Args:
            fields: predicted.
            maps: (N, channels, 32, 32) that they were predicted from.
            fine: (N, fine_channels, 64, 64) features of single surfaces.
            position: (N, 3, 32, 32) column, row and depth of every pixel.
            shown: (N, 32, 32) bool, pixels of a hand.

        Returns:
            what to add to these joints, (N, J, 3), and the logarithm of how far from the true ones
            they are then expected to be, (N, J); both normalised.
        """
        index = voters(fields, shown, self._config)  # (N, J, K)
        votes = cast_votes(fields, position * self.scale, index)  # (N, J, K, 3)
        middle = votes.mean(dim=2)
        heat_2d = fields.heat_2d.flatten(2)
        share = (_SHARPNESS * heat_2d).softmax(dim=2)  # (N, J, 1024)
        seen = share @ torch.cat([maps, position], dim=1).flatten(2).transpose(1, 2)
        peak = (share * heat_2d).sum(dim=2, keepdim=True)
        apart = (votes - middle[:, :, None]).flatten(2)
        near = fields.heat_3d.flatten(2).gather(2, index)
        known = torch.cat([seen, peak, middle, apart, near], dim=2)
        tokens = self.read(self.norm(known.transpose(1, 2)).transpose(1, 2)) + self.joint
        tokens = tokens + self.look(self._patches(fine, seen[..., -3:-1]))
        out = self.out(self.encoder(tokens, None))
        return out[..., :3], out[..., 3]

    def _patches(self, fine: Tensor, places: Tensor) -> Tensor:
        """Return the fine map around places (N, J, 2), columns and rows: (N, J, channels * 25)."""
        centres = places.detach().float() + 1 / GRID_SIZE  # -1 and 1 are the map's borders now
        grid = centres[:, :, None] + self.around
        patches = functional.grid_sample(self.fine_norm(fine).float(), grid, align_corners=False)
        return patches.transpose(1, 2).flatten(2)
