"""TherFormer's loss: pixels, depths, points and the hand mask of labelled frames."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.networks.therformer import TherFormerOutput
from hand_pose_ros.networks.therformer_blocks import STRIDE
from hand_pose_ros.training.losses.cells import cell_entropy


@dataclass(frozen=True, kw_only=True)
class TherFormerLossConfig:
    """Weights of the terms.

    Attributes:
        pixel_weight: of the mean pixel error, per pixel.
        depth_weight: of the mean depth error, per metre.
        point_weight: of the mean coordinate error, per metre.
        cell_weight: of the cross-entropy of the cells that joints lie in, where the network has
            maps of them.
        relative_weight: of the mean coordinate error of points relative to the hand's wrist, per
            metre; 0 leaves the term out, as published. How far away a hand is, is uncertain for all
            of its joints at once, and drowns what depth says about its fingers.
        positive_weight: of hand cells in the mask's cross-entropy.
        mask_cap: most the mask may cost, in pose losses.
        legacy_mask_loss: the released form, which takes the probability for the logit and lets the
            cap pass its gradient to the pose.
    """

    pixel_weight: float = 1.0
    depth_weight: float = 100.0
    point_weight: float = 100.0
    cell_weight: float = 5.0
    relative_weight: float = 0.0
    positive_weight: float = 30.0
    mask_cap: float = 0.25
    legacy_mask_loss: bool = False


def therformer_loss(
    output: TherFormerOutput, batch: ViewBatch, config: TherFormerLossConfig | None = None
) -> dict[str, Tensor]:
    """Compare a network's output with the labels.

    Joints without label, frames that only fill a clip and frames without mask take no part.
    Source: methods specification, section 1.4.

    Args:
        output: of the N frames of the batch.
        batch: labels.
        config: weights.

    Returns:
        ``pixels`` (px), ``depth`` and ``points`` (m) as mean absolute errors, ``mask`` as it
        enters the total, ``relative`` (m) where it has a weight, ``cells`` where there are joint
        maps, and ``total``.
    """
    config = config or TherFormerLossConfig()
    kept = (batch.not_padding > 0.5)[:, None]  # (N, 1)
    points = batch.joints.float()  # (N, 2, 21, 3)
    in_space = (kept & batch.valid['joints_3d'])[..., None] & points.isfinite().all(dim=-1)
    in_image = (kept & batch.valid['joints_2d'])[..., None] & batch.pixels.isfinite().all(dim=-1)
    terms = {
        'pixels': _mean_error(output.pixels, batch.pixels.float(), in_image),
        'depth': _mean_error(output.depth, points[..., 2:], in_space),
        'points': _mean_error(output.joints, points, in_space),
    }
    pose = (
        config.pixel_weight * terms['pixels']
        + config.depth_weight * terms['depth']
        + config.point_weight * terms['points']
    )
    if config.relative_weight:
        terms['relative'] = _relative_error(output.joints, points, in_space)
        pose = pose + config.relative_weight * terms['relative']
    labelled = (in_space | in_image).any()
    terms['mask'] = _mask_loss(output.mask_logits, batch, pose, labelled, config)
    total = pose + terms['mask']
    if output.joint_logits is not None:
        cells = (batch.pixels.float() + 0.5) / STRIDE - 0.5
        terms['cells'] = cell_entropy(output.joint_logits, cells.flatten(1, 2), in_image.flatten(1))
        total = total + config.cell_weight * terms['cells']
    return {**terms, 'total': total}


def _mean_error(predicted: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Return the mean absolute error over coordinates of the known joints, 0 without any."""
    predicted = predicted.float().unflatten(1, (2, -1))  # (N, 2, 21, D)
    # Unknown joints are replaced before they are subtracted: NaN times zero is NaN.
    true = torch.where(known[..., None], true, predicted.detach())
    total = (predicted - true).abs().sum()
    return total / (known.sum() * predicted.shape[-1]).clamp(min=1)


def _relative_error(predicted: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Return the mean absolute error of joints relative to their wrists, where these are known."""
    predicted = predicted.unflatten(1, (2, -1))  # (N, 2, 21, 3)
    known = known & known[..., :1]
    relative = (predicted - predicted[:, :, :1]).flatten(1, 2)
    return _mean_error(relative, true - true[:, :, :1], known)


def _mask_loss(
    logits: Tensor, batch: ViewBatch, pose: Tensor, labelled: Tensor, config: TherFormerLossConfig
) -> Tensor:
    """Return the capped cross-entropy of the hand mask."""
    if batch.hand_mask is None:
        return logits.sum() * 0.0
    logits = logits.float()[:, 0]  # (N, h, w)
    hand = (batch.hand_mask > 0).float()[:, None]
    true = functional.interpolate(hand, logits.shape[-2:], mode='nearest-exact')[:, 0]
    known = ((batch.not_padding > 0.5) & batch.valid['mask'].all(dim=1)).float()  # (N,)
    given = logits.sigmoid() if config.legacy_mask_loss else logits
    weight = logits.new_tensor(config.positive_weight)
    costs = functional.binary_cross_entropy_with_logits(
        given, true, pos_weight=weight, reduction='none'
    ).mean(dim=(1, 2))  # fmt: skip
    mask = (costs * known).sum() / known.sum().clamp(min=1)
    cap = config.mask_cap * pose
    if config.legacy_mask_loss:
        return torch.minimum(mask, cap)
    # The mask's gradient is scaled down, never cut off; without pose labels there is no cap.
    with torch.no_grad():
        scale = torch.where(labelled, (cap / mask.clamp(min=1e-12)).clamp(max=1.0), 1.0)
    return mask * scale
