"""Views: posed hands on the lens-free image plane of a camera, with their derivatives."""

from dataclasses import dataclass

import torch
from torch import Tensor

from hand_pose_ros.annotation.chain_evidence import ChainEvidence
from hand_pose_ros.annotation.least_squares import along
from hand_pose_ros.annotation.posing import PosedHands

_NEAREST = 0.05  # metres; nothing nearer to a camera is projected


@dataclass(frozen=True, kw_only=True, eq=False)
class Projected:
    """Points of M hands in one view.

    Attributes:
        plane: (M, 2, N) at z = 1.
        slope: (M, P, 2, N) of them by the parameters.
        depth: (M, N) metres, at least 5 cm.
        depth_slope: (M, P, N) of it by the parameters.
    """

    plane: Tensor
    slope: Tensor
    depth: Tensor
    depth_slope: Tensor


def projected(
    posed: PosedHands, speed: Tensor, evidence: ChainEvidence, view: int, chosen: slice
) -> Projected:
    """Return points of the hands as a view had them at its own stamp.

    Args:
        posed: at the frames' stamps.
        speed: (M, 3, N) of the points, m/s.
        evidence: whose view it is.
        view: its number.
        chosen: points to project.
    """
    rotation = evidence.rotation[view]
    jacobian = posed.jacobian[..., chosen]
    moved = (posed.points + evidence.lag[view][:, None, None] * speed)[..., chosen]
    seen = rotation @ moved + evidence.translation[view][..., None]
    depth = seen[:, 2].clamp(min=_NEAREST)
    plane = seen[:, :2] / depth[:, None]
    rows = rotation[:, :2, :, None] - plane[:, :, None] * rotation[:, 2][:, None, :, None]
    rows = rows / depth[:, None, None]
    slope = torch.stack([along(row, jacobian) for row in rows.unbind(dim=1)], dim=2)
    deeper = along(rotation[:, 2][..., None], jacobian)
    return Projected(plane=plane, slope=slope, depth=depth, depth_slope=deeper)
