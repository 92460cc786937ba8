"""Tokens that attend to each other: the frames of a clip, or the joints of a hand."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def positional_table(count: int, width: int) -> Tensor:
    """Return sine (even index) and cosine (odd index) codes of positions 0..count-1.

    Returns:
        (count, width).
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    angles = torch.arange(count)[:, None] * rates  # (count, width / 2)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[:, :width]


class TokenLayer(nn.Module):
    """Attention among tokens and a feed-forward network, LayerNorm before each."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        """Make the layer; ``hidden`` is the width inside the feed-forward network."""
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        for layer in (self.query, self.key, self.value):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, position: Tensor, seen: Tensor | None) -> Tensor:
        """Map tokens (B, T, d).

        Args:
            tokens: what attends and is attended to.
            position: (T, d), added to query and key only.
            seen: (B, 1, 1, T) bool, which tokens may be attended to; None for all.
        """
        x = self.norm1(tokens)
        where = x + position
        split = (self.heads, tokens.shape[2] // self.heads)
        query, key, value = (
            layer(of).unflatten(2, split).transpose(1, 2)
            for layer, of in ((self.query, where), (self.key, where), (self.value, x))
        )  # (B, H, T, d / H)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
        tokens = tokens + self.output(mixed.transpose(1, 2).flatten(2))
        return tokens + self.linear2(functional.relu(self.linear1(self.norm2(tokens))))


class TokenEncoder(nn.Module):
    """Token layers and a last LayerNorm; TherFormer's temporal encoder is one."""

    position: Tensor

    def __init__(self, width: int, heads: int, hidden: int, layers: int, longest: int) -> None:
        """Make the encoder for at most ``longest`` tokens."""
        super().__init__()
        self.layers = nn.ModuleList(TokenLayer(width, heads, hidden) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.register_buffer('position', positional_table(longest, width), persistent=False)

    def forward(self, tokens: Tensor, seen: Tensor | None) -> Tensor:
        """Map tokens (B, T, d); ``seen`` (B, T) bool, which ones may be attended to."""
        count = tokens.shape[1]
        mask = None if seen is None else seen[:, None, None]
        for layer in self.layers:
            tokens = layer(tokens, self.position[:count], mask)
        return self.norm(tokens)
