"""Residuals of hand fitting: what images and prior knowledge say about the parameters of hands."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.kinematics import FittingModel, Posed
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

JOINTS = slice(0, JOINT_COUNT)
LANDMARKS = slice(JOINT_COUNT, 2 * JOINT_COUNT)
SURFACE = slice(2 * JOINT_COUNT, None)

_NEAREST = 0.05  # metres; nothing nearer is projected
_TINY = 1e-9  # precision of what was not measured, 1/m^2
_OUTSIDE = 3.0  # on the plane z = 1: in no camera's view
_LEAST_FACING = 0.3  # cosine; a depth camera sees steeper surfaces badly
# A surface point is hidden by one of the same hand that is this near its ray and so much nearer to
# the camera, metres.
_BESIDE, _BEFORE = 0.008, 0.015


@dataclass(frozen=True, kw_only=True, eq=False)
class PointMeasurements:
    """Landmarks of B hands in S calibrated images, as the lens-free image plane z = 1 has them.

    Attributes:
        rotation: (S, 3, 3) and
        translation: (S, 3) map points of the fitting frame into each camera, metres.
        points: (S, B, 21, 2) at z = 1; anything where sigma is infinite.
        sigma: (S, B, 21) standard deviation at z = 1; infinite where there is no measurement.
        lag: (S,) seconds from the moment that is fitted to the image.
        relative_depth: (S, B, 21) how much farther than the wrist a joint is, as a part of the
            wrist's distance: a weak hint of the shape.
        hint_sigma: (S, B) its standard deviation; infinite where there is none.
    """

    rotation: Array
    translation: Array
    points: Array
    sigma: Array
    lag: Array
    relative_depth: Array
    hint_sigma: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class JointMeasurements:
    """Joints of B hands that S networks saw in 3D.

    A network errs in two ways: all joints of a hand together (``place``), and each of them about
    their mean (``shape``). Roots W of a precision have W^T W = inverse covariance.

    Attributes:
        rotation: (S, 3, 3) and
        translation: (S, 3) map points of the fitting frame into each camera, metres.
        joints: (S, B, 21, 3) in the camera, metres; anything where ``shape`` is zero.
        shape: (S, B, 21, 3, 3) root of the precision of each joint about the mean of all, in which
            the surest weigh most, 1/m; zero where there is no measurement.
        place: (S, B, 3, 3) root of the precision of that mean, 1/m.
        trust: (S,) how many times a network counts; which of its joints are believed is not its
            matter.
        lag: (S,) seconds from the moment that is fitted to the image.
    """

    rotation: Array
    translation: Array
    joints: Array
    shape: Array
    place: Array
    trust: Array
    lag: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthMeasurement:
    """A depth image the hands' surfaces are laid onto.

    Attributes:
        image: (H, W) metres, NaN where invalid.
        camera: its intrinsics.
        rotation: (3, 3) and
        translation: (3,) map points of the fitting frame into the camera.
        lag: seconds from the moment that is fitted to the image.
    """

    image: NDArray[np.float32]
    camera: Camera
    rotation: Array
    translation: Array
    lag: float


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How far measurements stray, as the fit weighs them.

    Attributes:
        point_reach: landmarks count less beyond this many standard deviations.
        depth: standard deviation of a surface point's depth residual, metres. It stands for the
            model's misfit, which neighbouring points share, rather than for the sensor.
        depth_reach: depth counts less beyond this residual and as something else far beyond it,
            metres; of points that lie before the measured surface, where the camera sees through
            the hand.
        depth_front: the same of points behind the measured surface, which something may hide.
        cloud: standard deviation of the hand's distance from a measured point on it, metres.
        cloud_reach: such points count less beyond this distance, metres.
        hint: factor on the standard deviation of the networks' relative depths, which err alike.
        limit: how softly an angle's limit yields, rad.
        angle: factor on the standard deviations of how fingers usually lie.
    """

    point_reach: float = 5.0
    depth: float = 0.006
    depth_reach: float = 0.020
    depth_front: float = 0.020
    cloud: float = 0.003
    cloud_reach: float = 0.020
    hint: float = 2.0
    limit: float = 0.06
    angle: float = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Normal:
    """A term's share of the normal equations.

    Attributes:
        cost: (B,) half the sum of robust squared residuals.
        gradient: (B, P) of the cost.
        hessian: (B, P, P) its Gauss-Newton matrix.
    """

    cost: Array
    gradient: Array
    hessian: Array

    def __add__(self, other: 'Normal') -> 'Normal':
        return Normal(
            cost=self.cost + other.cost,
            gradient=self.gradient + other.gradient,
            hessian=self.hessian + other.hessian,
        )


def robust(squares: Array, reach: float | Array) -> tuple[Array, Array]:
    """Geman-McClure's cost and weight of squared residuals; the cost stays below reach squared."""
    ratio = reach**2 / (reach**2 + squares)
    return ratio * squares, ratio**2


def angle_term(
    model: FittingModel, angles: Array, size: int, *, limit: float, angle: float
) -> Normal:
    """Pull angles (B, D) within their limits and to how fingers usually lie.

    Args:
        model: of the hands.
        angles: rad.
        size: number P of parameters; the angles come after rotation and wrist.
        limit: how softly a limit yields, rad.
        angle: factor on the standard deviations of the usual angles.
    """
    batch, fingers = angles.shape
    beyond = np.maximum(angles - model.upper, 0.0) + np.minimum(angles - model.lower, 0.0)
    away = angles - model.finger_prior.mean
    precision = model.finger_prior.precision / angle**2
    pull = away @ precision
    gradient = np.zeros((batch, size))
    hessian = np.zeros((batch, size, size))
    inner = np.arange(6, 6 + fingers)
    gradient[:, inner] = beyond / limit**2 + pull
    hessian[:, 6 : 6 + fingers, 6 : 6 + fingers] = precision
    hessian[:, inner, inner] += (beyond != 0) / limit**2
    cost = 0.5 * ((beyond / limit) ** 2 + away * pull).sum(axis=1)
    return Normal(cost=cost, gradient=gradient, hessian=hessian)


def point_term(
    posed: Posed,
    measured: PointMeasurements,
    speed: Array,
    noise: Noise,
    marks: slice = LANDMARKS,
) -> tuple[Normal, Array]:
    """Compare projected landmarks, or with ``JOINTS`` projected joints, with measured ones.

    Args:
        posed: the hands.
        measured: landmarks.
        speed: (B, 3, 21) of the landmarks, m/s, which bridges the lag.
        noise: weights.
        marks: which points of the hands were measured.

    Returns:
        the normal equations, and (S, B, 21) the weight in 0..1 each landmark was given.
    """
    seen = _in_cameras(posed, measured, speed, marks)
    depth = np.maximum(seen[:, :, 2:], _NEAREST)
    plane = seen[:, :, :2] / depth  # (B, S, 2, 21)
    inverse = (1.0 / measured.sigma).transpose(1, 0, 2)[:, :, None]  # (B, S, 1, 21)
    residual = (plane - measured.points.transpose(1, 0, 3, 2)) * inverse
    cost, weight = robust((residual**2).sum(2, keepdims=True), noise.point_reach)
    root = np.sqrt(weight)
    # d plane / d point = (R[:2] - plane R[2]) / depth
    rows = measured.rotation[None, :, :2, :, None]
    front = measured.rotation[None, :, None, 2, :, None]
    slope = (rows - plane[:, :, :, None] * front) * (inverse / depth * root)[:, :, :, None]
    change = _chain(slope, posed.jacobian[..., marks])
    normal = _normal(change, residual * root, 0.5 * cost.sum(axis=(1, 2, 3)))
    return normal, weight[:, :, 0].transpose(1, 0, 2)


def joint_term(
    posed: Posed, measured: JointMeasurements, speed: Array, noise: Noise
) -> tuple[Normal, Array]:
    """Compare joints with those that networks saw in 3D, their common error apart.

    Args:
        posed: the hands.
        measured: joints.
        speed: (B, 3, 21) of the joints, m/s, which bridges the lag.
        noise: weights.

    Returns:
        the normal equations, and (S, B, 21) the weight in 0..1 each joint was given; that of the
        place counts for all.
    """
    seen = _in_cameras(posed, measured, speed, JOINTS)  # (B, S, 3, 21)
    valid = np.any(measured.shape, axis=(3, 4)).astype(np.float64).transpose(1, 0, 2)
    # What all have in common shows in the surest first.
    precision = np.square(measured.shape).sum(axis=(3, 4)).transpose(1, 0, 2)
    share = precision / np.maximum(precision.sum(axis=2, keepdims=True), _TINY)  # (B, S, 21)
    target = measured.joints.transpose(1, 0, 3, 2)
    away = np.where(valid[:, :, None] > 0, seen - target, 0.0)
    together = (away * share[:, :, None]).sum(axis=3)  # (B, S, 3)
    whiten = measured.shape.transpose(1, 0, 2, 3, 4)  # (B, S, 21, 3, 3)
    apart = (away - together[..., None]).transpose(0, 1, 3, 2)[..., None]
    residual = (whiten @ apart)[..., 0].transpose(0, 1, 3, 2)  # (B, S, 3, 21)
    trust = measured.trust[:, None]
    cost, weight = robust((residual**2).sum(axis=2, keepdims=True), noise.point_reach)
    cost = cost * trust[..., None]
    root = np.sqrt(weight * trust[..., None])
    slope = (whiten @ measured.rotation[None, :, None]).transpose(0, 1, 3, 4, 2) * root[:, :, None]
    steps = posed.jacobian[..., JOINTS]  # (B, P, 3, 21)
    middle = np.einsum('bsj,bpaj->bpsa', share, steps)
    change = _chain(slope, steps)
    change -= np.einsum('bsraj,bpsa->bpsrj', slope, middle).reshape(change.shape)
    normal = _normal(change, residual * root, 0.5 * cost.sum(axis=(1, 2, 3)))
    anchor = measured.place.transpose(1, 0, 2, 3)  # (B, S, 3, 3)
    residual = (anchor @ together[..., None])[..., 0]
    cost, weight_of_place = robust((residual**2).sum(axis=2, keepdims=True), noise.point_reach)
    cost = cost * trust
    root = np.sqrt(weight_of_place * trust)
    slope = anchor @ measured.rotation[None] * root[..., None]  # (B, S, 3, 3)
    change = np.einsum('bsra,bpsa->bpsr', slope, middle)
    change = change.reshape(*change.shape[:2], -1)
    normal = normal + _normal(change, residual * root, 0.5 * cost.sum(axis=(1, 2)))
    return normal, (weight[:, :, 0] * valid * weight_of_place).transpose(1, 0, 2)


def hint_term(posed: Posed, measured: PointMeasurements, speed: Array, noise: Noise) -> Normal:
    """Compare which joints are farther than the wrist with the landmark networks' idea of it.

    The networks see a crop as if it lay straight ahead, so distances count, not z.
    """
    seen = _in_cameras(posed, measured, speed, LANDMARKS)
    distance = np.linalg.norm(seen, axis=2, keepdims=True)  # (B, S, 1, 21)
    wrist = np.maximum(distance[..., :1], _NEAREST)
    inverse = (1.0 / (noise.hint * measured.hint_sigma.T))[:, :, None, None]
    hint = measured.relative_depth.transpose(1, 0, 2)[:, :, None]
    residual = (distance / wrist - 1.0 - hint) * inverse
    cost, weight = robust(residual**2, noise.point_reach)
    root = np.sqrt(weight)
    toward = (seen / distance).transpose(0, 1, 3, 2) @ measured.rotation  # (B, S, 21, 3)
    slope = toward.transpose(0, 1, 3, 2)[:, :, None] * (inverse / wrist * root)[:, :, :, None]
    jacobian = posed.jacobian[..., LANDMARKS]
    change = _chain(slope, jacobian - jacobian[..., :1])
    return _normal(change, residual * root, 0.5 * cost.sum(axis=(1, 2, 3)))


def depth_term(
    posed: Posed, depth: DepthMeasurement, speed: Array, facing: Array, noise: Noise
) -> tuple[Normal, Array]:
    """Lay surface points onto the depth image, each along its normal (projective ICP).

    Args:
        posed: the hands.
        depth: the depth image.
        speed: (B, 3, S) of the surface points, m/s.
        facing: (B, S) weight of each point, 0 for those the camera cannot see.
        noise: weights.

    Returns:
        the normal equations, and (B, S) the weight each point was given.
    """
    batch, _, count = posed.normals.shape
    points = posed.points[..., SURFACE] + depth.lag * speed
    seen = depth.rotation @ points + depth.translation[:, None]
    plane = seen[:, :2] / np.maximum(seen[:, 2:], _NEAREST)
    measured = sample(depth, plane.transpose(0, 2, 1).reshape(-1, 2)).reshape(batch, 1, count)
    valid = np.isfinite(measured) & (seen[:, 2:] > _NEAREST)
    gap = np.where(valid, measured - seen[:, 2:], 0.0)
    # The ray through the pixel goes on to the measured surface.
    offset = depth.rotation.T @ (np.concatenate([plane, np.ones((batch, 1, count))], 1) * gap)
    residual = -(posed.normals * offset).sum(axis=1) / noise.depth
    reach = np.where(gap[:, 0] < 0, noise.depth_front, noise.depth_reach) / noise.depth
    cost, weight = robust(residual**2, reach)
    # A point that leaves the valid part of the image must not look better for it.
    cost = np.where(valid[:, 0], cost, (noise.depth_reach / noise.depth) ** 2)
    weight = np.where(valid[:, 0], weight, 0.0) * facing
    root = np.sqrt(weight)
    change = _chain(
        (posed.normals * (root / noise.depth)[:, None])[:, None, None],
        posed.jacobian[..., SURFACE],
    )
    total = 0.5 * (cost * facing).sum(axis=1)
    return _normal(change, (residual * root)[:, None, None], total), weight


def cloud_term(
    posed: Posed, cloud: Array, displacement: Array, facing: Array, noise: Noise
) -> Normal:
    """Draw the surface to points that were measured on each hand, the nearest along its normal.

    Where ``depth_term`` asks what the camera sees at the model's points, this asks which part of
    the hand a measured point is: a finger beside its model draws it over.

    Args:
        posed: the hands.
        cloud: (B, K, 3) metres in the fitting frame; NaN where there are fewer.
        displacement: (B, 3, S) of the surface points up to the moment of the cloud, metres.
        facing: (B, S) weight of each surface point, 0 for those the camera cannot see.
        noise: weights.
    """
    points = posed.points[..., SURFACE] + displacement
    known = np.isfinite(cloud).all(axis=2) & (facing.sum(axis=1) > 0)[:, None]  # (B, K)
    target = np.where(known[..., None], cloud, 0.0).transpose(0, 2, 1)  # (B, 3, K)
    squares = (
        (target**2).sum(axis=1)[:, :, None]
        + (points**2).sum(axis=1)[:, None]
        - 2.0 * target.transpose(0, 2, 1) @ points
    )  # (B, K, S)
    nearest = np.where(facing[:, None] > 0, squares, np.inf).argmin(axis=2)[:, None]  # (B, 1, K)
    normals = np.take_along_axis(posed.normals, nearest, axis=2)
    apart = np.take_along_axis(points, nearest, axis=2) - target
    residual = (normals * apart).sum(axis=1) / noise.cloud
    cost, weight = robust(residual**2, noise.cloud_reach / noise.cloud)
    root = np.sqrt(weight) * known
    steps = np.take_along_axis(posed.jacobian[..., SURFACE], nearest[:, None], axis=3)
    change = _chain((normals * (root / noise.cloud)[:, None])[:, None, None], steps)
    total = 0.5 * (cost * known).sum(axis=1)
    return _normal(change, (residual * root)[:, None, None], total)


def sample(depth: DepthMeasurement, plane: Array) -> Array:
    """Return the depth (N,) in metres at points (N, 2) of the plane z = 1; NaN outside."""
    plane = np.nan_to_num(plane, nan=_OUTSIDE)
    pixels = depth.camera.distort(np.clip(plane, -_OUTSIDE, _OUTSIDE))
    columns, rows = np.rint(pixels).astype(np.int64).T
    height, width = depth.image.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    values = np.full(len(plane), np.nan)
    values[inside] = depth.image[rows[inside], columns[inside]]
    return values


def facing_points(posed: Posed, depth: DepthMeasurement) -> Array:
    """Say which surface points (B, S) the depth camera may see: 1.0 or 0.0.

    They turn towards it, and no other part of the same hand lies before them.
    """
    center = -depth.rotation.T @ depth.translation
    rays = posed.points[..., SURFACE] - center[:, None]
    cosine = -(rays * posed.normals).sum(axis=1) / np.linalg.norm(rays, axis=1)
    seen = depth.rotation @ rays
    away = np.maximum(seen[:, 2], _NEAREST)  # (B, S)
    plane = seen[:, :2] / away[:, None]
    beside = np.linalg.norm(plane[..., None] - plane[:, :, None], axis=1) * away[..., None]
    hidden = (beside < _BESIDE) & (away[:, None] < away[..., None] - _BEFORE)
    return ((cosine > _LEAST_FACING) & ~hidden.any(axis=2)).astype(np.float64)


def _in_cameras(
    posed: Posed, measured: PointMeasurements | JointMeasurements, speed: Array, marks: slice
) -> Array:
    """Return 21 of the points (B, S, 3, 21) in each camera at its image's moment."""
    points = posed.points[:, None, :, marks]
    points = points + measured.lag[:, None, None] * speed[:, None]
    return measured.rotation @ points + measured.translation[:, :, None]


def _chain(slope: Array, jacobian: Array) -> Array:
    """Chain slopes (B, S, R, 3, N) of residuals by points with the points' (B, P, 3, N)."""
    steps = jacobian[:, :, None, None]
    change = slope[:, None, :, :, 0] * steps[..., 0, :]
    change += slope[:, None, :, :, 1] * steps[..., 1, :]
    change += slope[:, None, :, :, 2] * steps[..., 2, :]
    return change.reshape(*change.shape[:2], -1)


def _normal(change: Array, residual: Array, cost: Array) -> Normal:
    """Build normal equations from derivatives (B, P, M) and residuals of M numbers a hand."""
    flat = residual.reshape(len(change), -1, 1)
    return Normal(
        cost=cost, gradient=(change @ flat)[..., 0], hessian=change @ change.transpose(0, 2, 1)
    )
