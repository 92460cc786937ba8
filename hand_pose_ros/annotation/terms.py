"""Terms: what images, hand clouds and limits say about a hand's pose in many frames at once.

They are the annotator's energies (methods specification 1.9) as weighted least squares, with every
view, robust weights and the deviations of the measurements: E_2d, E_3d and E_mesh here, E_sil in
``outline_terms.py``, E_lim in ``_angle_term``.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.annotation.chain_evidence import ChainEvidence
from hand_pose_ros.annotation.least_squares import Equations, along, robust_equations
from hand_pose_ros.annotation.outline_terms import outline_equations
from hand_pose_ros.annotation.posing import PosedHands, tensor_of
from hand_pose_ros.annotation.views import Projected, projected
from hand_pose_ros.annotation.weights import Weights
from hand_pose_ros.hand_model.kinematics import HandState
from hand_pose_ros.hand_model.residuals import (
    JOINTS,
    LANDMARKS,
    SURFACE,
    Noise,
    Normal,
    angle_term,
)

Array = NDArray[np.float64]

_LEAST_FACING = 0.3  # cosine; a depth camera sees steeper surfaces badly


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """The terms at one state.

    Attributes:
        normal: their normal equations in pose (M, P); the shape is held.
        settled: (M, P, P) the share of landmarks, clouds and limits in the Gauss-Newton matrix.
        pixels: (V, M, 21) distance of each landmark in standard deviations, NaN without one.
        belief: (V, M, 21) weight it was given, 0..1.
        gaps: (M, S) distance of surface points along their normal from the cloud, metres; NaN
            where they have no part of it.
        facing: (M,) number of surface points that turn to a depth camera.
        outline: (V, M) mean distance of hand and mask from each other, at z = 1; NaN without one.
        joints: (M, 21, 3) metres.
        slopes: (M, 21, 3, P) of the joints.
    """

    normal: Normal
    settled: Array
    pixels: Array
    belief: Array
    gaps: Array
    facing: Array
    outline: Array
    joints: Array
    slopes: Array


def evaluate(
    state: HandState, evidence: ChainEvidence, weights: Weights, rates: Array, *,
    shape: bool = False,
) -> Terms:  # fmt: skip
    """Return the terms at a state of M frames; computed on the device of the evidence.

    Args:
        state: M hands.
        evidence: what they are compared with.
        weights: of the terms.
        rates: (M, P) rates of change of the pose, per second, which bridge the lags.
        shape: whether the normal equations are wanted with the shape (M, P + K).
    """
    equations, rest = compute(state, evidence, weights, rates, shape=shape)
    normal = Normal(
        cost=equations.cost.cpu().numpy(), gradient=equations.gradient.cpu().numpy(),
        hessian=equations.hessian.cpu().numpy(),
    )  # fmt: skip
    return Terms(normal=normal, **{name: value.cpu().numpy() for name, value in rest.items()})


def compute(
    state: HandState, evidence: ChainEvidence, weights: Weights, rates: Array, *,
    shape: bool = False,
) -> tuple[Equations, dict[str, Tensor]]:  # fmt: skip
    """Return the normal equations and the rest of ``Terms``, on their device, likewise."""
    posed = evidence.poser.pose(state, shape=shape)
    slopes = posed.jacobian[:, : rates.shape[1]].flatten(2)
    speed = (tensor_of(rates, evidence.poser.device)[:, None] @ slopes).view(posed.points.shape)
    surface, gaps, facing = _cloud_term(posed, evidence, weights)
    settled = surface + _angle_term(evidence, state, weights, posed.jacobian.shape[1])
    others = _joint_term(posed, evidence, weights)
    views = evidence.points.shape[:-1]
    pixels, belief = gaps.new_full(views, torch.nan), gaps.new_zeros(views)
    outline = gaps.new_full(views[:2], torch.nan)
    for view in range(len(evidence.rotation)):
        marks = projected(posed, speed, evidence, view, LANDMARKS)
        points, pixels[view], belief[view] = _landmark_term(marks, evidence, view, weights)
        settled = settled + points
        if evidence.outlined[view] and np.isfinite(weights.outline):
            seen = projected(posed, speed, evidence, view, SURFACE)
            own, outline[view] = outline_equations(seen, evidence, view, weights)
            others = others + own
    return settled + others, {
        'settled': settled.hessian, 'pixels': pixels, 'belief': belief, 'gaps': gaps,
        'facing': facing, 'outline': outline, 'joints': posed.points[..., JOINTS].mT,
        'slopes': posed.jacobian[..., JOINTS].permute(0, 3, 2, 1),
    }  # fmt: skip


def _landmark_term(
    seen: Projected, evidence: ChainEvidence, view: int, weights: Weights
) -> tuple[Equations, Tensor, Tensor]:
    """E_2d: lay where networks see the joints onto the landmarks."""
    inverse = evidence.inverse[view] / weights.point
    used = inverse > 0
    away = seen.plane - evidence.points[view].mT
    residual = away * inverse[:, None]
    slope = seen.slope * inverse[:, None, None]
    equations, belief = robust_equations(residual, slope, used, weights.point_reach)
    distance = torch.where(used, residual.square().sum(dim=1).sqrt(), torch.nan)
    return equations, distance, belief


def _joint_term(posed: PosedHands, evidence: ChainEvidence, weights: Weights) -> Equations:
    """E_3d: draw the landmarks to where views intersect them."""
    if not np.isfinite(weights.joint):
        return Equations.zero(posed.jacobian)
    used = evidence.joint_inverse > 0
    inverse = 1.0 / (weights.joint**2 + evidence.joint_inverse.clamp(min=1e-9) ** -2).sqrt()
    away = posed.points[..., LANDMARKS] - evidence.joints.mT
    slope = posed.jacobian[..., LANDMARKS] * inverse[:, None, None]
    equations, _ = robust_equations(away * inverse[:, None], slope, used, weights.point_reach)
    return equations


def _cloud_term(
    posed: PosedHands, evidence: ChainEvidence, weights: Weights
) -> tuple[Equations, Tensor, Tensor]:
    """E_mesh: lay the surface points that a depth camera can see onto the cloud."""
    points = posed.points[..., SURFACE]  # (M, 3, S)
    rays = points[None] - evidence.eyes[..., None]
    cosine = -(rays * posed.normals).sum(dim=2) / rays.norm(dim=2)
    faces = (cosine.nan_to_num(nan=-1.0) > _LEAST_FACING).any(dim=0)  # (M, S)
    with_cloud = evidence.has_cloud[:, None]
    nearest = _nearest(points.mT, evidence.cloud)
    away = points - nearest.mT
    used = faces & with_cloud & (away.norm(dim=1) < weights.cloud_reach)
    gap = (away * posed.normals).sum(dim=1)
    residual = torch.where(used, gap / weights.cloud, 0.0)
    slope = along(posed.normals / weights.cloud, posed.jacobian[..., SURFACE])
    reach = weights.cloud_reach / weights.cloud
    equations, _ = robust_equations(residual[:, None], slope[:, :, None], used, reach)
    # A point without a counterpart costs as much as a far one: leaving the cloud never pays.
    alone = 0.25 * reach**2 * (faces & with_cloud & ~used).sum(dim=1)
    equations = Equations(
        cost=equations.cost + alone, gradient=equations.gradient, hessian=equations.hessian
    )
    facing = torch.where(evidence.has_cloud, faces.sum(dim=1), 0)
    return equations, torch.where(used, gap, torch.nan), facing


def _nearest(points: Tensor, cloud: Tensor) -> Tensor:
    """Return the point of the cloud (M, P, 3) that is nearest to each of (M, S, 3)."""
    # Squared distances less what is the same for all points of the cloud.
    place = (0.5 * cloud.square().sum(dim=2)[:, None] - points.float() @ cloud.mT).argmin(dim=2)
    return cloud.gather(1, place[..., None].expand(-1, -1, 3)).to(points.dtype)


def _angle_term(
    evidence: ChainEvidence, state: HandState, weights: Weights, size: int
) -> Equations:
    """E_lim: keep angles within their limits and near to how fingers usually lie."""
    poser = evidence.poser
    term = angle_term(poser.model, state.angles, size, limit=Noise.limit, angle=weights.angle)
    return Equations(**{name: tensor_of(value, poser.device) for name, value in vars(term).items()})
