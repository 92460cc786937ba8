"""Normalisation that needs neither statistics nor other images."""

from torch import nn


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a GroupNorm of at most 32 groups with 8 channels or more each.

    It has as many parameters as batch normalisation.
    """
    groups = max(g for g in range(1, 33) if channels % g == 0 and (channels // g >= 8 or g == 1))
    return nn.GroupNorm(groups, channels)
