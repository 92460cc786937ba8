"""TherFormer's loss: pixels, depth, joints and the hand mask."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.networks.therformer import TherFormerOutput

_FLOOR = 1e-9


@dataclass(frozen=True, kw_only=True)
class TherFormerLossConfig:
    """Weights of the terms.

    Attributes:
        pixels: of the mean absolute error of the pixels.
        depth: of that of the depth, per metre.
        joints: of that of the joints in space, per metre.
        positive_weight: of a cell that shows a hand against one that does not.
        legacy_mask_loss: the published code's mask loss: it takes the probability for the logit,
            and its cap passes a gradient on to the pose.

    Source: methods specification, section 1.4.
    """

    pixels: float = 1.0
    depth: float = 100.0
    joints: float = 100.0
    positive_weight: float = 30.0
    legacy_mask_loss: bool = False


def therformer_loss(
    output: TherFormerOutput, batch: ViewBatch, config: TherFormerLossConfig
) -> dict[str, Tensor]:
    """Compare the output with the labels.

    Hands without label and padded frames take no part; a batch without any has a zero loss.

    Args:
        output: of all N frames.
        batch: the same frames.
        config: weights.

    Returns:
        ``pixels``, ``depth``, ``joints`` and ``mask`` as they enter ``total``.
    """
    real = batch.not_padding > 0.5
    known = batch.valid['joints_3d'] & real[:, None]  # (N, 2)
    labelled = torch.isfinite(batch.joints).all(dim=-1) & known[..., None]  # (N, 2, 21)
    labelled = labelled.flatten(1)[..., None]  # (N, 42, 1)
    joints, pixels = batch.joints.flatten(1, 2), batch.pixels.flatten(1, 2)
    terms = {
        'pixels': config.pixels * _mean_error(output.pixels, pixels, labelled),
        'depth': config.depth * _mean_error(output.depth, joints[..., 2:], labelled),
        'joints': config.joints * _mean_error(output.joints, joints, labelled),
    }
    pose = torch.stack(list(terms.values())).sum()
    terms['mask'] = _mask_loss(output.mask_logits, batch, real, pose, config)
    return {**terms, 'total': pose + terms['mask']}


def mask_target(hand_mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return hand masks (N, H, W) as 0 and 1 on the grid of the mask head, (N, 1, h, w)."""
    return functional.interpolate((hand_mask > 0).float()[:, None], size, mode='nearest')


def _mean_error(predicted: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
    """Return the mean absolute error over labelled joints and coordinates."""
    errors = (predicted - truth.nan_to_num(0.0)).abs() * labelled
    return errors.sum() / (labelled.sum() * predicted.shape[-1]).clamp(min=1)


def _mask_loss(
    logits: Tensor, batch: ViewBatch, real: Tensor, pose: Tensor, config: TherFormerLossConfig
) -> Tensor:
    """Return the mask loss, never more than a quarter of the pose loss."""
    if batch.hand_mask is None:
        return logits.sum() * 0.0
    known = (batch.valid['mask'].all(dim=1) & real).to(logits.dtype)
    target = mask_target(batch.hand_mask, (logits.shape[-2], logits.shape[-1]))
    weight = logits.new_tensor(config.positive_weight)
    taken = logits.sigmoid() if config.legacy_mask_loss else logits
    cells = functional.binary_cross_entropy_with_logits(
        taken, target, pos_weight=weight, reduction='none'
    )
    loss = (cells.mean(dim=(1, 2, 3)) * known).sum() / known.sum().clamp(min=1)
    if config.legacy_mask_loss:
        return torch.minimum(loss, pose / 4.0)
    cap = pose.detach() / (4.0 * loss.detach()).clamp(min=_FLOOR)
    # Without a labelled hand there is no pose loss to be capped by.
    return loss * torch.where(pose.detach() > 0, cap.clamp(max=1.0), 1.0)
