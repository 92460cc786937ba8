"""Randomness as a function of seed and step: a resumed run draws what a straight one draws."""

import random

import numpy as np
import torch


def generator(seed: int, *numbers: int) -> torch.Generator:
    """Return a CPU generator that the seed and the numbers determine."""
    return torch.Generator().manual_seed(_mixed(seed, *numbers))


def seed_step(seed: int, step: int, rank: int) -> None:
    """Seed everything that draws without a generator of its own, such as dropout."""
    value = _mixed(seed, 1, step, rank)
    torch.manual_seed(value)
    random.seed(value)
    np.random.seed(value % 2**32)


def _mixed(seed: int, *numbers: int) -> int:
    """Hash of the numbers, below 2^63."""
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> 1)
