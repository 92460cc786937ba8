"""Terms: what landmarks, hand clouds and limits say about a hand's pose in many frames at once.

They are the annotator's energies E_2d, E_mesh and E_lim (methods specification 1.9) as weighted
least squares, with every view, robust weights and the deviations of the measurements; where two
views see a joint, E_2d of both holds all that E_3d would add.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, Posed
from hand_pose_ros.hand_model.residuals import LANDMARKS, SURFACE, Normal, robust

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_NEAREST = 0.05  # metres; nothing nearer to a camera is projected
_LEAST_FACING = 0.3  # cosine; a depth camera sees steeper surfaces badly
_LIMIT = 0.06  # rad, how softly a limit yields


@dataclass(frozen=True, kw_only=True)
class Weights:
    """How far measurements stray.

    Attributes:
        point_reach: landmarks count less beyond this many standard deviations.
        point: factor on the landmarks' deviations, which err alike from frame to frame.
        cloud: deviation of a surface point from the cloud, along its normal, metres.
        cloud_reach: a point farther from the cloud has no part of it, metres.
        angle: deviation of angles about the relaxed hand, rad.
        coupling: deviation of an outer finger joint about two thirds of the middle one, rad.
    """

    point_reach: float = 4.0
    point: float = 1.5
    cloud: float = 0.008
    cloud_reach: float = 0.02
    angle: float = 0.7
    coupling: float = 0.35


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainEvidence:
    """Evidence of one side in M frames, prepared for fitting.

    Attributes:
        side: 0 left, 1 right.
        stamps: (M,) nanoseconds.
        rotation: (V, M, 3, 3) and
        translation: (V, M, 3) map the world into each camera; of views without image: zeros.
        points: (V, M, 21, 2) landmarks at z = 1, zeros where there are none.
        inverse: (V, M, 21) 1 / deviation there; 0 where there is none.
        lag: (V, M) seconds.
        trees: the clouds, None where there is none.
        clouds: (M, P, 3) their points.
        eyes: (E, M, 3) depth cameras, NaN without an image.
    """

    side: int
    stamps: NDArray[np.int64]
    rotation: Array
    translation: Array
    points: Array
    inverse: Array
    lag: Array
    trees: list[cKDTree | None]
    clouds: NDArray[np.float32]
    eyes: Array

    @property
    def views(self) -> Array:
        """Return how many views saw the hand in each frame (M,)."""
        return (self.inverse > 0).any(axis=2).sum(axis=0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """The terms at one state.

    Attributes:
        normal: their normal equations in pose (M, P); the shape is held.
        pixels: (V, M, 21) distance of each landmark in standard deviations, NaN without one.
        belief: (V, M, 21) weight it was given, 0..1.
        gaps: (M, S) distance of surface points along their normal from the cloud, metres; NaN
            where they have no part of it.
        facing: (M,) number of surface points that turn to a depth camera.
        posed: the hands.
    """

    normal: Normal
    pixels: Array
    belief: Array
    gaps: Array
    facing: Array
    posed: Posed


def chain_evidence(evidence: Evidence, side: int, rows: Indices, weights: Weights) -> ChainEvidence:
    """Prepare the evidence of one side in some frames."""
    part = evidence.take(rows)
    usable = np.asarray(np.isfinite(part.T_cam_world).all(axis=(2, 3)))
    transforms = np.where(usable[..., None, None], part.T_cam_world, 0.0)
    points = part.points[:, :, side]
    seen = np.asarray(np.isfinite(points).all(axis=3) & usable[..., None])
    inverse = np.where(seen, 1.0 / (weights.point * part.sigma[:, :, side]), 0.0)
    clouds = part.cloud[:, side]
    trees: list[cKDTree | None] = []
    for cloud in clouds:
        points_of_cloud = cloud[np.isfinite(cloud[:, 0])]
        trees.append(cKDTree(points_of_cloud) if len(points_of_cloud) > 20 else None)
    return ChainEvidence(
        side=side, stamps=part.stamps, rotation=transforms[..., :3, :3],
        translation=transforms[..., :3, 3], points=np.where(seen[..., None], points, 0.0),
        inverse=inverse, lag=part.lag, trees=trees, clouds=clouds, eyes=part.depth_eyes,
    )  # fmt: skip


def evaluate(
    model: FittingModel, state: HandState, evidence: ChainEvidence, weights: Weights, rates: Array,
    *, shape: bool = False,
) -> Terms:  # fmt: skip
    """Return the terms at a state of M frames.

    Args:
        model: the hands.
        state: M hands.
        evidence: what they are compared with.
        weights: of the terms.
        rates: (M, P) rates of change of the pose, per second, which bridge the lags.
        shape: whether the normal equations are wanted with the shape (M, P + K).
    """
    sides = np.full(len(state.wrist), evidence.side)
    posed = model.pose(state, sides, shape=shape)
    points, pixels, belief = _landmark_term(posed, evidence, weights, rates)
    surface, gaps, facing = _cloud_term(posed, evidence, weights)
    limits = _limit_term(model, state, weights, posed.jacobian.shape[1])
    return Terms(
        normal=points + surface + limits, pixels=pixels, belief=belief, gaps=gaps, facing=facing,
        posed=posed,
    )  # fmt: skip


def _landmark_term(
    posed: Posed, evidence: ChainEvidence, weights: Weights, rates: Array
) -> tuple[Normal, Array, Array]:
    marks = posed.points[..., LANDMARKS]  # (M, 3, 21)
    jacobian = posed.jacobian[..., LANDMARKS]  # (M, P, 3, 21)
    freedom = rates.shape[1]
    speed = np.einsum('mp,mpan->man', rates, jacobian[:, :freedom])
    batch, size = jacobian.shape[:2]
    cost = np.zeros(batch)
    gradient, hessian = np.zeros((batch, size)), np.zeros((batch, size, size))
    count = len(evidence.rotation)
    distances = np.full((count, batch, 21), np.nan)
    beliefs = np.zeros((count, batch, 21))
    for view in range(count):
        inverse = evidence.inverse[view]  # (M, 21)
        if not inverse.any():
            continue
        rotation = evidence.rotation[view]
        moved = marks + evidence.lag[view][:, None, None] * speed
        seen = rotation @ moved + evidence.translation[view][..., None]
        depth = np.maximum(seen[:, 2], _NEAREST)
        plane = seen[:, :2] / depth[:, None]
        residual = (plane - evidence.points[view].transpose(0, 2, 1)) * inverse[:, None]
        square = (residual**2).sum(axis=1)
        robust_cost, weight = robust(square, weights.point_reach)
        weight = np.where(inverse > 0, weight, 0.0)
        root = np.sqrt(weight)
        rows = rotation[:, :2, :, None] - plane[:, :, None] * rotation[:, 2][:, None, :, None]
        slope = rows * (inverse / depth * root)[:, None, None]  # (M, 2, 3, 21)
        change = np.einsum('mran,mpan->mprn', slope, jacobian).reshape(batch, size, -1)
        flat = (residual * root[:, None]).reshape(batch, -1, 1)
        cost += 0.5 * np.where(inverse > 0, robust_cost, 0.0).sum(axis=1)
        gradient += (change @ flat)[..., 0]
        hessian += change @ change.transpose(0, 2, 1)
        distances[view] = np.where(inverse > 0, np.sqrt(square), np.nan)
        beliefs[view] = weight
    return Normal(cost=cost, gradient=gradient, hessian=hessian), distances, beliefs


def _cloud_term(
    posed: Posed, evidence: ChainEvidence, weights: Weights
) -> tuple[Normal, Array, Array]:
    """Lay the surface points that a depth camera can see onto the cloud, along their normals."""
    points = posed.points[..., SURFACE]  # (M, 3, S)
    batch, _, count = points.shape
    rays = points[None] - evidence.eyes[..., None]
    cosine = -(rays * posed.normals).sum(axis=2) / np.linalg.norm(rays, axis=2)
    faces = (np.nan_to_num(cosine, nan=-1.0) > _LEAST_FACING).any(axis=0)  # (M, S)
    nearest = np.zeros((batch, count, 3))
    found = np.zeros((batch, count), bool)
    for row, tree in enumerate(evidence.trees):
        if tree is None:
            continue
        distance, place = tree.query(points[row].T, distance_upper_bound=weights.cloud_reach)
        found[row] = np.isfinite(distance)
        nearest[row, found[row]] = tree.data[place[found[row]]]
    used = faces & found
    gap = ((points.transpose(0, 2, 1) - nearest) * posed.normals.transpose(0, 2, 1)).sum(axis=2)
    residual = np.where(used, gap / weights.cloud, 0.0)
    reach = weights.cloud_reach / weights.cloud
    cost, weight = robust(residual**2, reach)
    # A point without a counterpart costs as much as a far one: leaving the cloud never pays.
    known = np.array([tree is not None for tree in evidence.trees])
    cost = np.where(used, cost, robust(np.array(reach**2), reach)[0])
    total = 0.5 * np.where(faces & known[:, None], cost, 0.0).sum(axis=1)
    root = np.sqrt(np.where(used, weight, 0.0))
    slope = posed.normals * (root / weights.cloud)[:, None]  # (M, 3, S)
    change = np.einsum('mas,mpas->mps', slope, posed.jacobian[..., SURFACE])
    normal = Normal(
        cost=total, gradient=(change @ (residual * root)[..., None])[..., 0],
        hessian=change @ change.transpose(0, 2, 1),
    )  # fmt: skip
    return normal, np.where(used, gap, np.nan), np.where(known, faces.sum(axis=1), 0)


def _limit_term(model: FittingModel, state: HandState, weights: Weights, size: int) -> Normal:
    """Keep the angles within their limits, near the relaxed hand, and tendons coupled."""
    batch, count = state.angles.shape
    gradient, hessian = np.zeros((batch, size)), np.zeros((batch, size, size))
    place = 6 + np.arange(count)
    beyond = np.maximum(state.angles - model.upper, 0) + np.minimum(state.angles - model.lower, 0)
    away = state.angles - model.prior_mean
    stiff = np.where(beyond != 0, 1.0 / _LIMIT**2, 0.0)
    cost = 0.5 * ((beyond / _LIMIT) ** 2 + (away / weights.angle) ** 2).sum(axis=1)
    gradient[:, place] += beyond / _LIMIT**2 + away / weights.angle**2
    hessian[:, place, place] += stiff + 1.0 / weights.angle**2
    ratio, inverse = 2 / 3, 1.0 / weights.coupling**2
    for inner, outer in model.couplings:
        gap = state.angles[:, outer] - ratio * state.angles[:, inner]
        cost += 0.5 * inverse * gap**2
        gradient[:, 6 + outer] += inverse * gap
        gradient[:, 6 + inner] -= ratio * inverse * gap
        hessian[:, 6 + outer, 6 + outer] += inverse
        hessian[:, 6 + inner, 6 + inner] += ratio**2 * inverse
        hessian[:, 6 + outer, 6 + inner] -= ratio * inverse
        hessian[:, 6 + inner, 6 + outer] -= ratio * inverse
    return Normal(cost=cost, gradient=gradient, hessian=hessian)
