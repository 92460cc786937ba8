"""Outline terms: E_sil as least squares, hands inside their masks and masks covered by hands."""

import torch
from torch import Tensor

from hand_pose_ros.annotation.chain_evidence import ChainEvidence
from hand_pose_ros.annotation.least_squares import Equations, along, robust_equations
from hand_pose_ros.annotation.silhouettes import GRID
from hand_pose_ros.annotation.views import Projected
from hand_pose_ros.annotation.weights import Weights

# Every point of a hand's outline is this near one of its surface points, metres.
COVERED = 0.012


def outline_equations(
    seen: Projected, evidence: ChainEvidence, view: int, weights: Weights
) -> tuple[Equations, Tensor]:
    """Return the share of a view's masks, and their mean distance (M,) from the hands at z = 1.

    Args:
        seen: the surfaces of the hands in that view.
        evidence: whose masks they are.
        view: its number.
        weights: of the terms.
    """
    inside, beyond = _inside(seen, evidence, view, weights)
    covered, bare = _covered(seen, evidence, view, weights)
    away = (beyond + bare) / 2.0 * evidence.step[view]
    return inside + covered, torch.where(evidence.masked[view], away, torch.nan)


def _inside(
    seen: Projected, evidence: ChainEvidence, view: int, weights: Weights
) -> tuple[Equations, Tensor]:
    """Draw surface points into the mask; also return how far they are from it (M,), cells."""
    step = evidence.step[view][:, None, None]
    cells = (seen.plane - evidence.corner[view][..., None]) / step  # (M, 2, S)
    distance, slope = _sampled(evidence.distance[view], cells)
    change = along(slope / step, seen.slope)
    used = evidence.masked[view][:, None].expand(distance.shape)
    return _equations(distance, change, used, weights), distance.mean(dim=1)


def _covered(
    seen: Projected, evidence: ChainEvidence, view: int, weights: Weights
) -> tuple[Equations, Tensor]:
    """Draw the nearest surface points to mask points; also return how far they are (M,), cells."""
    step = evidence.step[view][:, None]
    targets = evidence.inside[view]  # (M, T, 2)
    known = torch.isfinite(targets[..., 0])
    targets = targets.nan_to_num(nan=0.0)
    plane = seen.plane.mT  # (M, S, 2)
    place = torch.cdist(targets, plane).argmin(dim=2)  # (M, T)
    gap = plane.gather(1, place[..., None].expand(-1, -1, 2)) - targets
    depth = seen.depth.gather(1, place)
    length = gap.norm(dim=2)
    distance = (length - COVERED / depth).clamp(min=0.0) / step
    used = known & evidence.masked[view][:, None] & (distance > 0)
    size = seen.slope.shape[1]
    chosen = place[:, None, None].expand(-1, size, 2, -1)
    slope = seen.slope.gather(3, chosen)  # (M, P, 2, T)
    direction = gap / (length * step).clamp(min=1e-9)[..., None]
    change = along(direction.mT, slope)
    # The nearer the hand, the wider its surface points cover the mask.
    deeper = seen.depth_slope.gather(2, place[:, None].expand(-1, size, -1))
    change = change + deeper * (COVERED / depth**2 / step)[:, None]
    away = (distance * used).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    return _equations(distance, change, used, weights), away


def _equations(distance: Tensor, change: Tensor, used: Tensor, weights: Weights) -> Equations:
    """Return the share of distances (M, N) in cells and their slopes (M, P, N)."""
    equations, _ = robust_equations(
        (distance / weights.outline)[:, None], (change / weights.outline)[:, :, None], used,
        weights.outline_reach / weights.outline,
    )  # fmt: skip
    return equations


def _sampled(maps: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return values (M, S) of maps (M, GRID, GRID) between their cells, and slopes (M, 2, S).

    Places (M, 2, S) are (x, y) in cells; beyond the border its value holds.
    """
    held = places.clamp(0.0, GRID - 1.0)
    low = held.floor().clamp(max=GRID - 2.0)
    x, y = (held - low).unbind(dim=1)
    column, row = low.long().unbind(dim=1)
    flat = maps.flatten(1)
    first = row * GRID + column
    a, b, c, d = (
        flat.gather(1, first + offset).to(places.dtype) for offset in (0, 1, GRID, GRID + 1)
    )  # at (0, 0), (1, 0), (0, 1), (1, 1)
    value = (a * (1 - x) + b * x) * (1 - y) + (c * (1 - x) + d * x) * y
    slope = torch.stack([(b - a) * (1 - y) + (d - c) * y, (c - a) * (1 - x) + (d - b) * x], dim=1)
    return value, torch.where(held == places, slope, 0.0)
