"""Optimisers and gradient clipping."""

from typing import Any

import torch
from torch import Tensor, nn

from hand_pose_ros.training.config import OptimiserConfig


def make_optimiser(network: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Return the optimiser of a network's weights.

    AdamW decays matrices and kernels but neither biases nor normalisations; Adam's L2 term, which
    the papers use, applies to all of them.

    Source: methods specification, sections 1.5, 2.7 and 3.5.
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if config.name == 'adam':
        return torch.optim.Adam(
            weights, config.learning_rate, config.betas, weight_decay=config.weight_decay,
            fused=True,
        )  # fmt: skip
    groups: list[dict[str, Any]] = [
        {'params': [weight for weight in weights if weight.ndim > 1]},
        {'params': [weight for weight in weights if weight.ndim <= 1], 'weight_decay': 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group['params']],
        config.learning_rate, config.betas, weight_decay=config.weight_decay, fused=True,
    )  # fmt: skip


def clip_gradients(network: nn.Module, config: OptimiserConfig) -> Tensor | None:
    """Clip the gradient as configured; return its norm before that where the norm is clipped."""
    weights = [weight for weight in network.parameters() if weight.grad is not None]
    if config.clip_value:
        torch.nn.utils.clip_grad_value_(weights, config.clip_value)
    if config.clip_norm:
        return torch.nn.utils.clip_grad_norm_(weights, config.clip_norm)
    return None
