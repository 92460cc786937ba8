"""Mask-guided deformable attention: tokens on a hand gather evidence from sampled places.

Works in plain torch. On CPUs only the tokens that sample anything are computed; the result is the
same as sampling for all of them.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

# Mask probability above which a token looks around, and below which it is not to be seen.
ANCHOR = 0.9
IGNORED = 0.1

_OUTSIDE = 2.0  # reference of tokens that do not look around, in image widths and heights
_MOST_SPARSE = 0.5  # share of sampling tokens from which sampling for all of them is faster


class MaskGuidedAttention(nn.Module):
    """Deformable self-attention over a feature map, guided by a hand mask.

    Source: methods specification, section 1.2, steps 1-7.
    """

    def __init__(self, width: int, heads: int, points: int) -> None:
        """Make the layer.

        Args:
            width: d, of the tokens.
            heads: H; divides ``width``.
            points: P, places that each head samples.
        """
        super().__init__()
        self.heads, self.points = heads, points
        self.value = nn.Linear(width, width)
        self.offsets = nn.Linear(width, heads * points * 2)
        self.weights = nn.Linear(width, heads * points)
        self.output = nn.Linear(width, width)
        self._initialise()

    def forward(
        self, tokens: Tensor, query: Tensor, mask: Tensor | None, size: tuple[int, int]
    ) -> Tensor:
        """Attend.

        Args:
            tokens: (N, L, d), row-major cells of a feature map.
            query: (N, L, d), tokens with their positional code.
            mask: (N, L) hand probability; None lets every token look around and be seen.
            size: rows h and columns w of the map, L = h w.

        Returns:
            (N, L, d), before the residual.
        """
        value = self.value(tokens)
        if mask is not None:
            value = value.masked_fill((mask < IGNORED)[..., None], 0.0)
        places = self._places(query, mask, size)  # (N, L, H, P, 2)
        if not _sparse_allowed(tokens, mask):
            return self._dense(value, query, places, size)
        h, w = size
        x, y = places.unbind(-1)
        inside = (x > -1) & (x < w) & (y > -1) & (y < h)
        active = inside.flatten(2).any(dim=2).flatten().nonzero()[:, 0]  # (M,)
        if len(active) > _MOST_SPARSE * inside.shape[0] * inside.shape[1]:
            return self._dense(value, query, places, size)
        return self._sparse(value, query, places, size, active)

    def _places(self, query: Tensor, mask: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Return where tokens sample, (N, L, H, P, 2) column and row; cell centres are integers."""
        h, w = size
        offsets = self.offsets(query).unflatten(2, (self.heads, self.points, 2)).float()
        rows, columns = torch.meshgrid(
            torch.arange(h, device=query.device, dtype=offsets.dtype),
            torch.arange(w, device=query.device, dtype=offsets.dtype),
            indexing='ij',
        )
        centres = torch.stack([columns, rows], dim=-1).reshape(1, h * w, 2)
        if mask is not None:
            away = offsets.new_tensor([_OUTSIDE * w - 0.5, _OUTSIDE * h - 0.5])
            centres = torch.where((mask > ANCHOR)[..., None], centres, away)
        return centres[:, :, None, None] + offsets

    def _shares(self, query: Tensor) -> Tensor:
        """Return the weights of the sampled points, (..., H, P)."""
        return self.weights(query).unflatten(-1, (self.heads, self.points)).float().softmax(dim=-1)

    def _dense(self, value: Tensor, query: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
        """Sample for every token."""
        (n, length, width), (h, w) = value.shape, size
        each = width // self.heads
        maps = value.float().transpose(1, 2).reshape(n * self.heads, each, h, w)
        scale = places.new_tensor([2.0 / w, 2.0 / h])
        grid = (places + 0.5) * scale - 1.0
        grid = grid.transpose(1, 2).reshape(n * self.heads, length, self.points, 2)
        sampled = functional.grid_sample(
            maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False
        )  # (N H, d / H, L, P)
        shares = self._shares(query).transpose(1, 2).reshape(n * self.heads, 1, length, self.points)
        gathered = (sampled * shares).sum(dim=3)  # (N H, d / H, L)
        return self.output(gathered.reshape(n, width, length).transpose(1, 2).to(value.dtype))

    def _sparse(
        self, value: Tensor, query: Tensor, places: Tensor, size: tuple[int, int], active: Tensor
    ) -> Tensor:
        """Sample for the tokens of flat index ``active`` (M,); all others sample zeros only."""
        (n, length, width), (h, w) = value.shape, size
        x, y = places.flatten(0, 1).index_select(0, active).unbind(-1)  # (M, H, P)
        shares = self._shares(query.flatten(0, 1).index_select(0, active))
        left, top = x.detach().floor(), y.detach().floor()
        steps = torch.arange(2, device=x.device)
        columns = left.long()[..., None] + steps  # (M, H, P, 2)
        rows = top.long()[..., None] + steps
        along = _hat(x - left, columns, w)  # (M, H, P, 2)
        down = _hat(y - top, rows, h)
        share = shares[..., None, None] * down[..., :, None] * along[..., None, :]
        cells = rows.clamp(0, h - 1)[..., :, None] * w + columns.clamp(0, w - 1)[..., None, :]
        first = torch.div(active, length, rounding_mode='floor') * length
        heads = torch.arange(self.heads, device=x.device)[:, None, None, None]
        index = (cells + first[:, None, None, None, None]) * self.heads + heads
        # One row of values per token and head.
        table = value.reshape(n * length * self.heads, width // self.heads).float()
        count = len(active)
        found = table.index_select(0, index.flatten())
        found = found.view(count * self.heads, self.points * 4, table.shape[1])
        gathered = torch.bmm(share.reshape(count * self.heads, 1, self.points * 4), found)
        answers = self.output(gathered.reshape(count, width).to(value.dtype))
        nothing = self.output.bias.to(answers.dtype).expand(n * length, width)
        return nothing.index_copy(0, active, answers).view(n, length, width)

    def _initialise(self) -> None:
        """Start with head h looking in direction 2 pi h / H, point k at k + 1 cells."""
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], dim=1)
        directions = directions / directions.abs().amax(dim=1, keepdim=True)
        steps = torch.arange(1, self.points + 1)[None, :, None]
        nn.init.zeros_(self.offsets.weight)
        with torch.no_grad():
            self.offsets.bias.copy_((directions[:, None] * steps).flatten())
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        for layer in (self.value, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)


class SpatialLayer(nn.Module):
    """Mask-guided attention and a feed-forward network, each with residual and LayerNorm after."""

    def __init__(self, width: int, heads: int, points: int, hidden: int) -> None:
        """Make the layer; ``hidden`` is the width inside the feed-forward network."""
        super().__init__()
        self.attention = MaskGuidedAttention(width, heads, points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = nn.LayerNorm(width)

    def forward(
        self, tokens: Tensor, position: Tensor, mask: Tensor | None, size: tuple[int, int]
    ) -> Tensor:
        """Map tokens (N, L, d) with positional codes (L, d); see ``MaskGuidedAttention``."""
        tokens = self.norm1(tokens + self.attention(tokens, tokens + position, mask, size))
        return self.norm2(tokens + self.linear2(functional.relu(self.linear1(tokens))))


def _hat(fraction: Tensor, cells: Tensor, count: int) -> Tensor:
    """Return the linear shares of two neighbouring cells (..., 2), zero outside the map."""
    shares = torch.stack([1 - fraction, fraction], dim=-1)
    return shares * ((cells >= 0) & (cells < count))


def _sparse_allowed(tokens: Tensor, mask: Tensor | None) -> bool:
    """Return whether the amount of work may depend on the mask: on GPUs it would mean waiting."""
    recorded = torch.compiler.is_compiling() or torch.jit.is_tracing()
    return mask is not None and tokens.device.type == 'cpu' and not recorded
