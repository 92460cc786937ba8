"""Optimisers and gradient clipping."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hand_pose_ros.training.config import OptimiserConfig
from hand_pose_ros.training.muon import Muon, MuonAndAdamW, is_kernel


def make_optimiser(
    network: nn.Module, config: OptimiserConfig
) -> torch.optim.Optimizer | MuonAndAdamW:
    """Return the optimiser of a network's weights.

    AdamW and Muon decay matrices and kernels but neither biases nor normalisations; Adam's L2
    term, which the papers use, applies to all of them.

    Source: methods specification, sections 1.5, 2.7 and 3.5.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if config.name == 'adam':
        return torch.optim.Adam(
            weights, config.learning_rate, config.betas, weight_decay=config.weight_decay,
            fused=True,
        )  # fmt: skip
    if config.name == 'adamw':
        return _adamw(weights, config)
    muon = Muon(
        [weight for weight in weights if is_kernel(weight)],
        learning_rate=config.learning_rate, weight_decay=config.weight_decay,
    )  # fmt: skip
    return MuonAndAdamW(muon, _adamw([one for one in weights if not is_kernel(one)], config))


def _adamw(weights: Sequence[nn.Parameter], config: OptimiserConfig) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = [
        {'params': [weight for weight in weights if weight.ndim > 1]},
        {'params': [weight for weight in weights if weight.ndim <= 1], 'weight_decay': 0.0},
    ]
    return torch.optim.AdamW(
        groups, config.learning_rate, config.betas, weight_decay=config.weight_decay, fused=True
    )


def clip_gradients(network: nn.Module, config: OptimiserConfig) -> Tensor | None:
    """Clip the gradient as configured; return its norm before that where the norm is clipped."""
    weights = [weight for weight in network.parameters() if weight.grad is not None]
    if config.clip_value:
        torch.nn.utils.clip_grad_value_(weights, config.clip_value)
    if config.clip_norm:
        return torch.nn.utils.clip_grad_norm_(weights, config.clip_norm)
    return None
