"""Dense votes: the fields a hand's joints leave on a depth crop, and the joints they vote for.

On the 32 x 32 grid of a crop, per joint: a 2D heat map R around its projection, a 3D heat map S
that falls with the distance of a pixel's point from the joint, and the unit direction V from that
point to it. A pixel's vote is its point plus the distance that S states along V. Coordinates are
normalised: relative to the centre of mass, in units of 100 mm.
Source: methods specification, sections 3.3 and 3.6.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from hand_pose_ros.networks.dense_crop import GRID_SIZE, UNIT, DenseCrop

THETA = 0.8
"""Distance at which the 3D heat map ends, normalised."""
_DIRECTION_MARGIN = 0.01
_HEAT_RADIUS = 4.0
_CELLS = 4
_LEAST_WEIGHT = 1e-6

Selection = Literal['product', 'heat_3d', 'heat_2d']


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseFields:
    """What one stack of the network predicts, or should.

    Attributes:
        heat_2d: R, (N, J, 32, 32).
        heat_3d: S, (N, J, 32, 32).
        direction: V, (N, 3J, 32, 32): x, y and z of joint 0, then of joint 1, and so on.
        coordinates: (N, J, 3) normalised joints from a network that regresses them; its maps are
            empty.
        correction: (N, J, 3) normalised, what a network adds to the joints that votes lead to.
        log_error: (N, J) logarithm of how far it expects the joints to be from the true ones then,
            normalised.
    """

    heat_2d: Tensor
    heat_3d: Tensor
    direction: Tensor
    coordinates: Tensor | None = None
    correction: Tensor | None = None
    log_error: Tensor | None = None

    def offsets(self) -> Tensor:
        """Return the vectors from every pixel's point to its votes, (N, J, 3, 32, 32)."""
        direction = self.direction.unflatten(1, (-1, 3))
        return THETA * (1 - self.heat_3d[:, :, None]) * direction


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseTargets:
    """What the network should predict for a crop.

    Attributes:
        fields: R, S and V; the offsets of pixels beyond 79 mm from a joint are not defined by them.
        joints: (N, J, 3) normalised, 0 where not labelled.
        labelled: (N, J) bool; fields of other joints are 0 and must not be learnt.
        offsets: (N, J, 3, 32, 32) from the points of the pixels to the joints.
        foreground: (N, 32, 32) bool.
    """

    fields: DenseFields
    joints: Tensor
    labelled: Tensor
    offsets: Tensor
    foreground: Tensor


@dataclass(frozen=True, kw_only=True)
class AggregationConfig:
    """How votes become joints; the defaults are the published method.

    Attributes:
        votes: K, pixels that vote for a joint; 1 takes the single best one.
        sigma: of the mean shift's Gaussian, normalised.
        steps: of the mean shift.
        weighted: weigh votes by R at their projections; else all alike.
        unit_directions: bring predicted V to unit length; the original leaves it.
        select: which pixels vote: those with the largest (R + 1) * S (the published code), S (the
            paper's algorithm 1) or R.
    """

    votes: int = 5
    sigma: float = 0.4
    steps: int = 10
    weighted: bool = True
    unit_directions: bool = False
    select: Selection = 'product'


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseJoints:
    """The joints of N crops.

    Attributes:
        joints: (N, J, 3) metres in the camera's frame; NaN where fewer pixels than votes show a
            hand.
        spread: (N, J) metres, root mean square distance of the votes from the joint: small where
            they agree. NaN as joints.
        error: (N, J) metres, how far off the network expects each joint to be; None if it does not
            say so. NaN as joints.
    """

    joints: Tensor
    spread: Tensor
    error: Tensor | None = None


def dense_targets(crop: DenseCrop, joints: Tensor, reach: float = 1.0) -> DenseTargets:
    """Encode joints as the fields of the crop's 32 x 32 grid.

    Args:
        crop: of N hands.
        joints: (N, J, 3) metres in the camera's frame; NaN where not labelled.
        reach: how far S falls and V is defined, in units of theta. At 1, as published, nothing
            votes for a joint that is 80 mm from all surface that the camera sees; beyond, S is
            negative.
    """
    labelled = torch.isfinite(joints).all(dim=-1)
    normalised = crop.normalise(joints.masked_fill(~labelled[..., None], 0.0))
    normalised = normalised * labelled[..., None]
    points, foreground = crop.grid()
    offsets = normalised[..., None, None] - points[:, None]
    distance = offsets.norm(dim=2)
    known = labelled[..., None, None]
    heat_3d = ((THETA - distance) / THETA).clamp(min=1.0 - reach) * known
    near = (distance < reach * THETA - _DIRECTION_MARGIN) & known
    direction = offsets / distance.clamp(min=1e-6)[:, :, None] * near[:, :, None]
    fields = DenseFields(
        heat_2d=_heat_2d(crop, normalised) * known,
        heat_3d=heat_3d,
        direction=direction.flatten(1, 2),
    )
    return DenseTargets(
        fields=fields,
        joints=normalised,
        labelled=labelled,
        offsets=offsets,
        foreground=foreground,
    )


def aggregate(
    fields: DenseFields, crop: DenseCrop, config: AggregationConfig | None = None
) -> DenseJoints:
    """Find the joints that the fields of the last stack vote for, all hands and joints at once.

    Args:
        fields: predicted.
        crop: they belong to.
        config: the published method if None.
    """
    config = config or AggregationConfig()
    if fields.coordinates is not None:
        joints = crop.to_camera(fields.coordinates)
        return DenseJoints(joints=joints, spread=torch.zeros_like(joints[..., 0]))
    points, foreground = crop.grid()
    index = voters(fields, foreground, config)
    votes = cast_votes(fields, points, index, unit=config.unit_directions)
    weights = (
        vote_weights(fields, crop, votes) if config.weighted else torch.ones_like(votes[..., 0])
    )
    centre = mean_shift(votes, weights, start_cell(votes, weights), config.sigma, config.steps)
    squares = (votes - centre[..., None, :]).square().sum(dim=-1)
    spread = ((weights * squares).sum(dim=-1) / weights.sum(dim=-1)).sqrt() * UNIT
    blind = foreground.sum(dim=(1, 2)) < config.votes
    if fields.correction is not None:
        centre = centre + fields.correction
    error = None
    if fields.log_error is not None:
        error = (fields.log_error.exp() * UNIT).masked_fill(blind[:, None], torch.nan)
    return DenseJoints(
        joints=crop.to_camera(centre).masked_fill(blind[:, None, None], torch.nan),
        spread=spread.masked_fill(blind[:, None], torch.nan),
        error=error,
    )


def vote_weights(fields: DenseFields, crop: DenseCrop, votes: Tensor) -> Tensor:
    """Return R at the rounded projections of votes (N, J, K, 3), within [1e-6, 1]: (N, J, K).

    Votes beyond the grid take its border: the original reads out of range there.
    """
    count, joints, voters = votes.shape[:3]
    pixels = crop.grid_pixels(votes.flatten(1, 2)).round().clamp(0, GRID_SIZE - 1).long()
    index = (pixels[..., 1] * GRID_SIZE + pixels[..., 0]).reshape(count, joints, voters)
    return fields.heat_2d.flatten(2).gather(2, index).clamp(_LEAST_WEIGHT, 1.0)


def start_cell(votes: Tensor, weights: Tensor) -> Tensor:
    """Return the centre (..., 3) of the heaviest cell of a 4 x 4 x 4 histogram over [-1, 1]^3.

    Args:
        votes: (..., K, 3) normalised; those outside count in the border cells.
        weights: (..., K).
    """
    cells = ((votes + 1) * (_CELLS / 2)).clamp(0, _CELLS - 0.1).floor()
    number = (cells[..., 0] * _CELLS + cells[..., 1]) * _CELLS + cells[..., 2]
    # A cell's weight, known to each vote in it: K is small, so that pairs beat a histogram.
    shared = (number[..., :, None] == number[..., None, :]).to(weights.dtype)
    heaviest = (shared @ weights[..., None])[..., 0].argmax(dim=-1)
    chosen = cells.gather(-2, heaviest[..., None, None].expand(*heaviest.shape, 1, 3))[..., 0, :]
    return chosen * (2 / _CELLS) - (1 - 1 / _CELLS)


def mean_shift(
    votes: Tensor, weights: Tensor, start: Tensor, sigma: float = 0.4, steps: int = 10
) -> Tensor:
    """Return where the weighted mean shift from ``start`` ends, (..., 3).

    ``c <- sum w_i g_i p_i / sum w_i g_i`` with ``g_i = exp(-|p_i - c|^2 / (2 sigma^2))``. The
    shares are a softmax of ``log w_i + (p_i . c - |p_i|^2 / 2) / sigma^2``, which never divides
    by zero, however far the votes are.

    Args:
        votes: p, (..., K, 3).
        weights: w, (..., K), positive.
        start: (..., 3).
        sigma: width of the Gaussian, in the votes' unit.
        steps: iterations.
    """
    p = votes.flatten(0, -3)
    sharpness = 1.0 / sigma**2
    base = weights.flatten(0, -2).log() - p.square().sum(dim=-1) * (sharpness / 2)
    base, turned = base[..., None], p.mT
    centre = start.flatten(0, -2)[..., None]
    for _ in range(steps):
        share = torch.baddbmm(base, p, centre, alpha=sharpness).softmax(dim=1)
        centre = turned @ share
    return centre[..., 0].reshape(start.shape)


def voters(fields: DenseFields, foreground: Tensor, config: AggregationConfig) -> Tensor:
    """Return the flat grid indices (N, J, K) of the pixels that vote, best first; never background.

    ``foreground`` (N, 32, 32) bool says which pixels show a hand.
    """
    if config.select == 'product':
        score = (fields.heat_2d + 1) * fields.heat_3d
    else:
        score = fields.heat_3d if config.select == 'heat_3d' else fields.heat_2d
    score = score.flatten(2).masked_fill(~foreground.flatten(1)[:, None], -torch.inf)
    return score.topk(config.votes, dim=2).indices


def cast_votes(fields: DenseFields, points: Tensor, index: Tensor, *, unit: bool = False) -> Tensor:
    """Return the votes (N, J, K, 3) of pixels.

    Args:
        fields: predicted.
        points: (N, 3, 32, 32) of all pixels.
        index: (N, J, K) of the pixels that vote.
        unit: bring predicted V to unit length.
    """
    count, joints, voters = index.shape
    wide = index[:, :, None].expand(count, joints, 3, voters)
    direction = fields.direction.unflatten(1, (joints, 3)).flatten(3).gather(3, wide)
    if unit:
        direction = torch.nn.functional.normalize(direction, dim=2)
    origin = points.flatten(2)[:, None].expand(-1, joints, -1, -1).gather(3, wide)
    distance = THETA * (1 - fields.heat_3d.flatten(2).gather(2, index))
    return (origin + distance[:, :, None] * direction).transpose(2, 3)


def _heat_2d(crop: DenseCrop, normalised: Tensor) -> Tensor:
    """Return R (N, J, 32, 32)."""
    pixels = crop.grid_pixels(normalised)
    along = torch.arange(GRID_SIZE, dtype=pixels.dtype, device=pixels.device)
    columns = (along - pixels[..., :1]).square()[:, :, None, :]
    rows = (along - pixels[..., 1:]).square()[:, :, :, None]
    return (_HEAT_RADIUS - (columns + rows).sqrt()).clamp(min=0.0) / _HEAT_RADIUS
