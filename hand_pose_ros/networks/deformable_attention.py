"""Mask-guided deformable self-attention of TherFormer's spatial encoder, by ``grid_sample``."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

ANCHOR = 0.9  # tokens with a larger hand probability look around
IGNORED = 0.1  # tokens with a smaller one are not read
_OUTSIDE = 2.0  # reference point of a token that does not look around


class DeformableAttention(nn.Module):
    """Every anchor token reads a few points around itself from the tokens that may be a hand."""

    def __init__(self, width: int, heads: int, points: int) -> None:
        """Make the four linear maps.

        Args:
            width: channels of a token, a multiple of ``heads``.
            heads: attention heads.
            points: places each head reads.
        """
        super().__init__()
        self.heads, self.points = heads, points
        self.sampling_offsets = nn.Linear(width, heads * points * 2)
        self.attention_weights = nn.Linear(width, heads * points)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(initial_offsets(self.heads, self.points).flatten())
        for linear in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(
        self, query: Tensor, values: Tensor, size: tuple[int, int], probability: Tensor | None
    ) -> Tensor:
        """Return what each token gathers, (N, L, C).

        Args:
            query: (N, L, C) tokens with positional encoding, row by row.
            values: (N, L, C) tokens.
            size: (rows, columns) of the token grid, L = rows * columns.
            probability: (N, L) that a token shows a hand; None = no guidance: every token looks
                around and may be read.
        """
        count, length, width = query.shape
        rows, columns = size
        heads, points = self.heads, self.points
        value = self.value_proj(values)
        reference = _cell_centres(rows, columns, query.device, query.dtype)  # (L, 2)
        reference = reference.expand(count, length, 2)
        if probability is not None:
            value = value.masked_fill((probability < IGNORED)[..., None], 0.0)
            reference = torch.where((probability > ANCHOR)[..., None], reference, _OUTSIDE)
        offsets = self.sampling_offsets(query).reshape(count, length, heads, points, 2)
        weights = self.attention_weights(query).reshape(count, length, heads, points).softmax(-1)
        scale = torch.tensor([columns, rows], device=query.device, dtype=query.dtype)
        places = reference[:, :, None, None] + offsets / scale
        grid = (2.0 * places - 1.0).permute(0, 2, 1, 3, 4).reshape(-1, length, points, 2)
        maps = value.transpose(1, 2).reshape(count * heads, width // heads, rows, columns)
        read = functional.grid_sample(maps, grid, align_corners=False)  # (N h, C / h, L, P)
        mixed = (read * weights.permute(0, 2, 1, 3).reshape(-1, 1, length, points)).sum(-1)
        return self.output_proj(mixed.reshape(count, width, length).transpose(1, 2))


def initial_offsets(heads: int, points: int) -> Tensor:
    """Return where heads look at first, (heads, points, 2) in cells: a star around the token."""
    angles = torch.arange(heads, dtype=torch.float32) * (2.0 * math.pi / heads)
    directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
    directions = directions / directions.abs().amax(dim=-1, keepdim=True)
    return directions[:, None] * torch.arange(1, points + 1, dtype=torch.float32)[:, None]


def _cell_centres(rows: int, columns: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the tokens' centres (L, 2) as (x, y) in 0..1."""
    y = (torch.arange(rows, device=device, dtype=dtype) + 0.5) / rows
    x = (torch.arange(columns, device=device, dtype=dtype) + 0.5) / columns
    return torch.stack(torch.meshgrid(y, x, indexing='ij')[::-1], dim=-1).reshape(-1, 2)


class SpatialLayer(nn.Module):
    """Deformable attention and a feed-forward network, each added and normalised (post-norm)."""

    def __init__(self, width: int, heads: int, points: int, hidden: int) -> None:
        """Make one layer; ``hidden`` is the width of the feed-forward network."""
        super().__init__()
        self.attention = DeformableAttention(width, heads, points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, position: Tensor, size: tuple[int, int], probability: Tensor | None
    ) -> Tensor:
        """Map tokens (N, L, C) to tokens (N, L, C); other arguments as in the attention."""
        read = self.attention(tokens + position, tokens, size, probability)
        tokens = self.norm1(tokens + read)
        return self.norm2(tokens + self.linear2(functional.relu(self.linear1(tokens))))


def sine_table(length: int, width: int) -> Tensor:
    """Return the classic positional encoding (length, width): even sine, odd cosine, base 1e4."""
    place = torch.arange(length, dtype=torch.float64)[:, None]
    rate = torch.exp(torch.arange(0, width, 2, dtype=torch.float64) * (-math.log(1e4) / width))
    table = torch.zeros(length, width, dtype=torch.float64)
    table[:, 0::2] = torch.sin(place * rate)
    table[:, 1::2] = torch.cos(place * rate)
    return table.float()
