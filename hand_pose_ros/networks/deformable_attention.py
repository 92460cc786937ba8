"""Mask-guided deformable attention: tokens on a hand gather evidence from sampled places.

Works in plain torch, in three ways with one result. A GPU that only sees samples for all tokens,
which is the same work for every image. CPUs, and GPUs that train, compute the tokens that sample
anything: CPUs gather what they sample, GPUs multiply the values with a matrix of shares per image
and head, which their matrix units do faster than any memory could gather.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.networks.precision import LayerNorm

# Mask probability above which a token looks around, and below which it is not to be seen.
ANCHOR = 0.9
IGNORED = 0.1

_OUTSIDE = 2.0  # reference of tokens that do not look around, in image widths and heights
_MOST_SPARSE = 0.5  # share of sampling tokens from which sampling for all of them is faster
_ROUND = 64  # tokens: sizes of matrices are multiples of it


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
            value = value * (mask >= IGNORED)[..., None].to(value.dtype)
        places = self._places(query, mask, size)  # (N, L, H, P, 2)
        if _matrices_allowed(tokens):
            active = _equally_many(_reaching(places, size))
            return self._sparse(value, query, places, size, active, _multiplied)
        if not _sparse_allowed(tokens, mask):
            return self._dense(value, query, places, size)
        reaching = _reaching(places, size)
        active = reaching.flatten().nonzero()[:, 0]  # (M,)
        if len(active) > _MOST_SPARSE * reaching.numel():
            return self._dense(value, query, places, size)
        return self._sparse(value, query, places, size, active, _gathered)

    def _places(self, query: Tensor, mask: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Return where tokens sample, (N, L, H, P, 2) column and row; cell centres are integers."""
        h, w = size
        offsets = self.offsets(query).unflatten(2, (self.heads, self.points, 2)).float()
        like = {'device': query.device, 'dtype': offsets.dtype}
        column = torch.arange(w, **like).expand(h, w).flatten()
        row = torch.arange(h, **like)[:, None].expand(h, w).flatten()
        if mask is not None:
            column = torch.where(mask > ANCHOR, column, _OUTSIDE * w - 0.5)
            row = torch.where(mask > ANCHOR, row, _OUTSIDE * h - 0.5)
        return torch.stack([column, row], dim=-1)[..., None, None, :] + offsets

    def _shares(self, query: Tensor) -> Tensor:
        """Return the weights of the sampled points, (..., H, P)."""
        return self.weights(query).unflatten(-1, (self.heads, self.points)).float().softmax(dim=-1)

    def _dense(self, value: Tensor, query: Tensor, places: Tensor, size: tuple[int, int]) -> Tensor:
        """Sample for every token."""
        (n, length, width), (h, w) = value.shape, size
        each = width // self.heads
        maps = value.float().transpose(1, 2).reshape(n * self.heads, each, h, w)
        x, y = places.unbind(-1)
        grid = torch.stack([(x + 0.5) * (2.0 / w) - 1.0, (y + 0.5) * (2.0 / h) - 1.0], dim=-1)
        grid = grid.transpose(1, 2).reshape(n * self.heads, length, self.points, 2)
        sampled = functional.grid_sample(
            maps, grid, mode='bilinear', padding_mode='zeros', align_corners=False
        )  # (N H, d / H, L, P)
        shares = self._shares(query).transpose(1, 2).reshape(n * self.heads, 1, length, self.points)
        gathered = (sampled * shares).sum(dim=3)  # (N H, d / H, L)
        return self.output(gathered.reshape(n, width, length).transpose(1, 2).to(value.dtype))

    def _sparse(
        self, value: Tensor, query: Tensor, places: Tensor, size: tuple[int, int], active: Tensor,
        mixed: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    ) -> Tensor:  # fmt: skip
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
        answers = self.output(mixed(value, active, share.flatten(2), cells.flatten(2)))
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
        self.norm1 = LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm2 = LayerNorm(width)

    def forward(
        self, tokens: Tensor, position: Tensor, mask: Tensor | None, size: tuple[int, int]
    ) -> Tensor:
        """Map tokens (N, L, d) with positional codes (L, d); see ``MaskGuidedAttention``."""
        query = tokens + position.to(tokens.dtype)
        tokens = self.norm1(tokens + self.attention(tokens, query, mask, size))
        return self.norm2(tokens + self.linear2(functional.relu(self.linear1(tokens))))


def _hat(fraction: Tensor, cells: Tensor, count: int) -> Tensor:
    """Return the linear shares of two neighbouring cells (..., 2), zero outside the map."""
    shares = torch.stack([1 - fraction, fraction], dim=-1)
    return shares * ((cells >= 0) & (cells < count))


def _reaching(places: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which tokens (N, L) sample anything at places (N, L, H, P, 2)."""
    h, w = size
    x, y = places.detach().unbind(-1)
    return ((x > -1) & (x < w) & (y > -1) & (y < h)).flatten(2).any(dim=2)


def _equally_many(reaching: Tensor) -> Tensor:
    """Return flat indices (N m,) of all reaching (N, L) tokens and of others, m for every image.

    Finding m waits for the device.
    """
    n, length = reaching.shape
    most = int(reaching.sum(dim=1).max())
    most = min(length, _ROUND * max(1, -(-most // _ROUND)))
    chosen = reaching.float().topk(most, dim=1, sorted=False).indices
    return (chosen + torch.arange(n, device=chosen.device)[:, None] * length).flatten()


def _gathered(value: Tensor, active: Tensor, share: Tensor, cells: Tensor) -> Tensor:
    """Return the weighted sums (M, d) of the values of cells, by gathering them.

    Args:
        value: (N, L, d) of the cells.
        active: (M,) flat indices of the tokens.
        share: (M, H, K) weights.
        cells: (M, H, K) which of their own image.
    """
    (n, length, width), (count, heads, points) = value.shape, share.shape
    first = torch.div(active, length, rounding_mode='floor') * length
    head = torch.arange(heads, device=active.device)[:, None]
    index = (cells + first[:, None, None]) * heads + head
    # One row of values per token and head.
    table = value.reshape(n * length * heads, width // heads).float()
    found = table.index_select(0, index.flatten()).view(count * heads, points, table.shape[1])
    sums = torch.bmm(share.reshape(count * heads, 1, points), found)
    return sums.reshape(count, width).to(value.dtype)


def _multiplied(value: Tensor, active: Tensor, share: Tensor, cells: Tensor) -> Tensor:
    """Do the same with a matrix from cells to tokens per image and head.

    Every image has as many tokens, image after image. The matrix has the precision of the values;
    products are summed in 32 bits.
    """
    del active
    (n, length, width), (count, heads, _) = value.shape, share.shape
    share, cells = (part.unflatten(0, (n, -1)).transpose(1, 2) for part in (share, cells))
    matrix = value.new_zeros(n, heads, count // n, length)
    matrix = matrix.scatter_add(3, cells, share.to(value.dtype))
    values = value.unflatten(2, (heads, -1)).transpose(1, 2)  # (N, H, L, d / H)
    return (matrix @ values).transpose(1, 2).reshape(count, width)


def _matrices_allowed(tokens: Tensor) -> bool:
    """Return whether to multiply with matrices: the work depends on the mask, a GPU must wait."""
    return tokens.device.type == 'cuda' and torch.is_grad_enabled() and not _recorded()


def _sparse_allowed(tokens: Tensor, mask: Tensor | None) -> bool:
    """Return whether to gather: the work depends on the mask."""
    return mask is not None and tokens.device.type == 'cpu' and not _recorded()


def _recorded() -> bool:
    """Return whether this run is written down, to be repeated for other images."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
