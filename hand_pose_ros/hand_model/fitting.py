"""Fitting: Levenberg-Marquardt over a batch of hands, with the covariance of what it finds."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.kinematics import FittingModel, HandState, Indices, Posed
from hand_pose_ros.hand_model.residuals import (
    JOINTS,
    LANDMARKS,
    SURFACE,
    DepthMeasurement,
    JointMeasurements,
    Noise,
    Normal,
    PointMeasurements,
    angle_term,
    cloud_term,
    depth_term,
    facing_points,
    hint_term,
    joint_term,
    point_term,
)
from hand_pose_ros.skeleton import JOINT_COUNT

Array = NDArray[np.float64]

_AGREES = 0.25  # weight of a surface point that lies on the measured surface
_HALF_TURN = 1e-3  # sine of an angle so near half a turn that its axis is unclear
_LONGEST_STEP = 0.5  # rad or decimetres, a step is shortened to this


@dataclass(frozen=True, kw_only=True, eq=False)
class Prior:
    """Gaussian knowledge about B hands before the images are looked at.

    Attributes:
        mean: expected state.
        precision: (B, P - K) of rotation vector, wrist and angles; zeros say nothing.
        shape_precision: (B, K, K) of the shape coefficients about ``mean.shape``.
        shape_knowledge: (B, K, K) what is really known of the shape: ``shape_precision`` may be
            larger to keep a single frame from changing the shape.
    """

    mean: HandState
    precision: Array
    shape_precision: Array
    shape_knowledge: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurements:
    """What one moment's images say about B hands; every part may be missing.

    Attributes:
        points: landmarks in images.
        depth: a depth image.
        cloud: (B, K, 3) points of it that lie on each hand, metres in the fitting frame; NaN where
            there are fewer.
        joints: joints that networks saw in 3D.
        pixels: joints (not landmarks) that networks saw in images; their relative depth is unused.
    """

    points: PointMeasurements | None = None
    depth: DepthMeasurement | None = None
    cloud: Array | None = None
    joints: JointMeasurements | None = None
    pixels: PointMeasurements | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Fitted hands.

    Attributes:
        state: most likely state.
        joints: (B, 21, 3) metres.
        cost: (B,) half the robust sum of squares.
        information: (B, P, P) from images and limits, without the prior.
        covariance: (B, P, P) of the parameters given these images and what is known of the
            shape. The prediction is left out: it errs like the frames it was made from.
        joint_covariance: (B, 21, 3, 3) square metres.
        point_weights: (S, B, 21) how far each landmark was believed, 0..1.
        joint_weights: (S, B, 21) the same of joints seen in 3D.
        depth_points: (B,) number of surface points that agree with the depth image.
        depth_share: (B,) their share of the points that face the camera; 0 without any.
    """

    state: HandState
    joints: Array
    cost: Array
    information: Array
    covariance: Array
    joint_covariance: Array
    point_weights: Array
    joint_weights: Array
    depth_points: Array
    depth_share: Array

    def with_hand(self, row: int, other: 'Fit', place: int) -> 'Fit':
        """Return these hands with one of them, ``row``, as ``other`` has it at ``place``.

        Weights of measurements that only one of the fits had are zero in the other.
        """
        mask = np.arange(len(self.cost)) != row
        moved = np.full(len(mask), place)
        values = {
            name: np.where(
                mask.reshape(-1, *[1] * (getattr(self, name).ndim - 1)),
                getattr(self, name),
                getattr(other, name)[moved],
            )
            for name in ('joints', 'cost', 'information', 'covariance', 'joint_covariance',
                         'depth_points', 'depth_share')
        }  # fmt: skip
        for name in ('point_weights', 'joint_weights'):
            weights = getattr(self, name).copy()
            weights[:, row] = 0.0
            taken = getattr(other, name)[:, place]
            weights[: len(taken), row] = taken
            values[name] = weights
        return Fit(state=self.state.where(mask, other.state.take(moved)), **values)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Value:
    """The cost and its derivatives at one state."""

    normal: Normal
    images: Normal
    point_weights: Array
    joint_weights: Array
    depth_weights: Array
    posed: Posed


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """Everything that stays the same while B hands are fitted."""

    model: FittingModel
    sides: Indices
    measurements: Measurements
    prior: Prior
    noise: Noise = field(default_factory=Noise)
    rate: Array | None = None

    def fit(self, start: HandState, iterations: int = 4) -> Fit:
        """Return the most likely hands near a start.

        Args:
            start: state of B hands.
            iterations: steps to try.
        """
        posed = self.model.pose(start, self.sides, shape=True)
        bridge = _Bridge(posed, self.rate, self.measurements.depth)
        state, value = start, self._evaluate(start, bridge, posed)
        damping = np.full(len(self.sides), 1e-3)
        for _ in range(iterations):
            trial = state.moved(_step(value.normal, damping))
            trial_value = self._evaluate(trial, bridge)
            better = trial_value.normal.cost < value.normal.cost
            state = trial.where(better, state)
            value = _select(better, trial_value, value)
            damping = np.where(better, damping * 0.2, damping * 10.0)
        return self._result(state, value, bridge)

    def _evaluate(self, state: HandState, bridge: '_Bridge', posed: Posed | None = None) -> _Value:
        posed = posed or self.model.pose(state, self.sides, shape=True)
        batch, size = len(self.sides), self.prior.precision.shape[1] + self.model.shapes
        images = angle_term(
            self.model, state.angles, size, limit=self.noise.limit, angle=self.noise.angle
        )
        point_weights = joint_weights = np.zeros((0, batch, JOINT_COUNT))
        depth_weights = np.zeros((batch, self.model.surface))
        points, depth = self.measurements.points, self.measurements.depth
        if points is not None:
            term, point_weights = point_term(posed, points, bridge.landmarks, self.noise)
            images = images + term + hint_term(posed, points, bridge.landmarks, self.noise)
        if depth is not None:
            term, depth_weights = depth_term(
                posed, depth, bridge.surface, bridge.facing, self.noise
            )
            images = images + term
            if self.measurements.cloud is not None:
                images = images + cloud_term(
                    posed, self.measurements.cloud, depth.lag * bridge.surface, bridge.facing,
                    self.noise,
                )  # fmt: skip
        joints, pixels = self.measurements.joints, self.measurements.pixels
        if joints is not None:
            term, joint_weights = joint_term(posed, joints, bridge.joints, self.noise)
            images = images + term
        if pixels is not None:
            term, _ = point_term(posed, pixels, bridge.joints, self.noise, JOINTS)
            images = images + term
        return _Value(
            normal=images + self._prior(state),
            images=images,
            point_weights=point_weights,
            joint_weights=joint_weights,
            depth_weights=depth_weights,
            posed=posed,
        )

    def _prior(self, state: HandState) -> Normal:
        mean, body = self.prior.mean, self.prior.precision.shape[1]
        turned = rotation_vectors(state.rotation @ mean.rotation.transpose(0, 2, 1))
        away = np.concatenate(
            [turned, state.wrist - mean.wrist, state.angles - mean.angles], axis=1
        )
        shape = state.shape - mean.shape
        pull = (self.prior.shape_precision @ shape[..., None])[..., 0]
        gradient = np.concatenate([self.prior.precision * away, pull], axis=1)
        hessian = np.zeros((*gradient.shape, gradient.shape[1]))
        diagonal = np.arange(body)
        hessian[:, diagonal, diagonal] = self.prior.precision
        hessian[:, body:, body:] = self.prior.shape_precision
        cost = 0.5 * ((self.prior.precision * away**2).sum(axis=1) + (pull * shape).sum(axis=1))
        return Normal(cost=cost, gradient=gradient, hessian=hessian)

    def _covariance(self, information: Array) -> Array:
        total, body = information.copy(), self.prior.precision.shape[1]
        diagonal = np.arange(body)
        total[:, diagonal, diagonal] += 1.0 / _VAGUE[np.minimum(diagonal, 6)] ** 2
        total[:, body:, body:] += self.prior.shape_knowledge
        return np.linalg.inv(total)

    def _result(self, state: HandState, value: _Value, bridge: '_Bridge') -> Fit:
        covariance = self._covariance(value.images.hessian)
        jacobian = value.posed.jacobian[..., JOINTS].transpose(0, 3, 2, 1)  # (B, 21, 3, P)
        spread = jacobian @ covariance[:, None] @ jacobian.transpose(0, 1, 3, 2)
        counts = (value.depth_weights > _AGREES).sum(axis=1)
        return Fit(
            state=state,
            joints=value.posed.points[..., JOINTS].transpose(0, 2, 1),
            cost=value.normal.cost,
            information=value.images.hessian,
            covariance=covariance,
            joint_covariance=spread,
            point_weights=value.point_weights,
            joint_weights=value.joint_weights,
            depth_points=counts,
            depth_share=counts / np.maximum(bridge.facing.sum(axis=1), 1),
        )


# What is known of rotation, wrist and angles without any image: rad, metres, rad.
_VAGUE = np.array([1.0, 1.0, 1.0, 0.3, 0.3, 0.3, 1.0])


class _Bridge:
    """What is worked out once at the start: point speeds, and the points the camera can see."""

    def __init__(self, posed: Posed, rate: Array | None, depth: DepthMeasurement | None) -> None:
        batch, _, count = posed.points.shape
        rate = np.zeros((batch, 1)) if rate is None else rate
        moving = posed.jacobian[:, : rate.shape[1]].reshape(batch, rate.shape[1], -1)
        speed = (rate[:, None] @ moving).reshape(batch, 3, count)
        self.joints = speed[..., JOINTS]
        self.landmarks = speed[..., LANDMARKS]
        self.surface = speed[..., SURFACE]
        surface = count - 2 * JOINT_COUNT
        self.facing = facing_points(posed, depth) if depth else np.zeros((batch, surface))


def rotation_vectors(matrices: Array) -> Array:
    """Return rotation vectors (B, 3) of rotation matrices (B, 3, 3), rad."""
    cross = matrices - matrices.transpose(0, 2, 1)
    skew = np.stack([cross[:, 2, 1], cross[:, 0, 2], cross[:, 1, 0]], axis=1) / 2.0
    sine = np.sqrt((skew**2).sum(axis=1))
    cosine = (matrices[:, 0, 0] + matrices[:, 1, 1] + matrices[:, 2, 2] - 1.0) / 2.0
    if np.any((sine < _HALF_TURN) & (cosine < 0)):
        # Near half a turn the skew part vanishes; this is rare and may be slow.
        return Rotation.from_matrix(matrices).as_rotvec()
    angle = np.arctan2(sine, cosine)
    return skew * np.where(sine > 1e-7, angle / np.maximum(sine, 1e-7), 1.0)[:, None]


def _step(normal: Normal, damping: Array) -> Array:
    size = normal.gradient.shape[1]
    diagonal = np.arange(size)
    matrix = normal.hessian.copy()
    matrix[:, diagonal, diagonal] *= 1.0 + damping[:, None]
    matrix[:, diagonal, diagonal] += 1e-6
    step = -np.linalg.solve(matrix, normal.gradient[..., None])[..., 0]
    length = np.abs(step[:, :-1]).copy()
    length[:, 3:6] *= 10.0
    return step * np.minimum(1.0, _LONGEST_STEP / np.maximum(length.max(axis=1), 1e-12))[:, None]


def _select(mask: NDArray[np.bool_], first: _Value, second: _Value) -> _Value:
    """Take the first value for the hands of the mask and the second for the others."""
    if mask.all():
        return first
    if not mask.any():
        return second

    def pick(one: Array, two: Array, axis: int = 0) -> Array:
        shape = [1] * one.ndim
        shape[axis] = -1
        return np.where(mask.reshape(shape), one, two)

    def normal(one: Normal, two: Normal) -> Normal:
        return Normal(
            cost=pick(one.cost, two.cost),
            gradient=pick(one.gradient, two.gradient),
            hessian=pick(one.hessian, two.hessian),
        )

    return _Value(
        normal=normal(first.normal, second.normal),
        images=normal(first.images, second.images),
        point_weights=pick(first.point_weights, second.point_weights, 1),
        joint_weights=pick(first.joint_weights, second.joint_weights, 1),
        depth_weights=pick(first.depth_weights, second.depth_weights),
        posed=Posed(
            points=pick(first.posed.points, second.posed.points),
            normals=pick(first.posed.normals, second.posed.normals),
            jacobian=pick(first.posed.jacobian, second.posed.jacobian),
        ),
    )
