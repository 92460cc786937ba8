"""Kinematics of hands for fitting: points of a batch of hands and their exact derivatives."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.finger_prior import FingerPrior, finger_prior
from hand_pose_ros.hand_model.hand import rotation_matrices
from hand_pose_ros.hand_model.model_files import (
    MIRROR_POINTS,
    MIRROR_ROTATIONS,
    HandModelData,
    mirrored,
)
from hand_pose_ros.skeleton import JOINT_COUNT, MANO_TO_OPENPOSE, SIDES

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Angles whose whole range is smaller stay at rest: no image shows a three-degree twist.
LEAST_RANGE = 0.35
# Shape directions that move no joint by this much (metres per unit) are left out.
LEAST_SHAPE = 1e-4
# MANO's joints by their distance from the wrist; the wrist is 0.
_LEVELS = (np.arange(1, 16, 3), np.arange(2, 16, 3), np.arange(3, 16, 3))


@dataclass(frozen=True, kw_only=True, eq=False)
class HandState:
    """Where a batch of B hands is, in the parameters that are fitted.

    Attributes:
        rotation: (B, 3, 3) of the wrist.
        wrist: (B, 3) position of the wrist, metres.
        angles: (B, D) rad, the free anatomical angles (see ``FittingModel.degrees``).
        shape: (B, K) leading shape coefficients.
    """

    rotation: Array
    wrist: Array
    angles: Array
    shape: Array

    def moved(self, step: Array) -> 'HandState':
        """Return the state after a step (B, P): rotation vector, wrist, angles, shape."""
        fingers = self.angles.shape[1]
        return HandState(
            rotation=rotation_matrices(step[:, :3]) @ self.rotation,
            wrist=self.wrist + step[:, 3:6],
            angles=self.angles + step[:, 6 : 6 + fingers],
            shape=self.shape + step[:, 6 + fingers :],
        )

    def where(self, mask: NDArray[np.bool_], other: 'HandState') -> 'HandState':
        """Return this state for the hands of the mask (B,) and the other one for the rest."""
        flat = mask[:, None]
        return HandState(
            rotation=np.where(mask[:, None, None], self.rotation, other.rotation),
            wrist=np.where(flat, self.wrist, other.wrist),
            angles=np.where(flat, self.angles, other.angles),
            shape=np.where(flat, self.shape, other.shape),
        )

    def take(self, indices: Indices | list[int] | slice) -> 'HandState':
        """Return the hands of some indices."""
        return HandState(
            rotation=self.rotation[indices],
            wrist=self.wrist[indices],
            angles=self.angles[indices],
            shape=self.shape[indices],
        )


def stack_states(states: list[HandState]) -> HandState:
    """Join batches of hands into one."""
    return HandState(
        rotation=np.concatenate([state.rotation for state in states]),
        wrist=np.concatenate([state.wrist for state in states]),
        angles=np.concatenate([state.angles for state in states]),
        shape=np.concatenate([state.shape for state in states]),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Posed:
    """A batch of posed hands: their points and what the derivatives are made of.

    Point axes come last, (B, 3, N): first the 21 joints, then the 21 landmarks, then the surface.

    Attributes:
        points: (B, 3, N) metres.
        normals: (B, 3, S) outward unit normals of the surface points.
        jacobian: (B, P, 3, N) derivative of the points by a step of ``HandState.moved``; P leaves
            the shape out unless it was asked for.
    """

    points: Array
    normals: Array
    jacobian: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class SideArrays:
    """What a hand of one side is made of; 16 joints in MANO's order, N points as in ``Posed``.

    Attributes:
        joints: (16, 3, 1 + K) rest joints: those of the mean hand, and how they move by shape.
        points: (N, 3, 1 + K) the same of the points.
        normals: (3, S) at rest.
        bones: (S,) the joint that turns each normal.
        weights: (16, N) of skinning.
        axes: (15, 3, 3) axes of the angles of each finger joint, in rows.
        held: (15, 3) angles that are not free, rad.
        below: (16, 16) 1 where a joint carries another or is it.
        parents: (16,) of the joints.
    """

    joints: Array
    points: Array
    normals: Array
    bones: Indices
    weights: Array
    axes: Array
    held: Array
    below: Array
    parents: Indices


class FittingModel:
    """Both hands as points on an articulated skeleton, free in their anatomical angles.

    Attributes:
        degrees: (D, 2) joint (MANO order, 0 = index base) and angle (0 twist, 1 abduction,
            2 flexion) of each free angle.
        lower, upper: (D,) limits of the angles, rad.
        shapes: number K of shape coefficients in use.
        surface: number S of surface points.
    """

    def __init__(
        self, right: HandModelData, landmark_offsets: Array | None = None, surface: int = 96
    ) -> None:
        """Prepare a right hand and its mirror image.

        Args:
            right: model of the right hand.
            landmark_offsets: (21, 3) metres from each joint to where a landmark network sees it,
                in the rest axes of the bone that carries it, right hand; zeros when None.
            surface: number of surface points to sample.
        """
        data = right if right.side == 'right' else mirrored(right)
        spans = data.joint_limits[..., 1] - data.joint_limits[..., 0]
        self.degrees = np.argwhere(spans > LEAST_RANGE)
        limits = data.joint_limits[self.degrees[:, 0], self.degrees[:, 1]]
        self.lower, self.upper = limits[:, 0], limits[:, 1]
        rest = np.einsum('jv,vak->jak', data.J_regressor, data.shapedirs)
        moves = np.abs(rest).max(axis=(0, 1))
        self.shapes = int(np.flatnonzero(moves > LEAST_SHAPE).max(initial=0)) + 1
        self._held = np.clip(0.0, data.joint_limits[..., 0], data.joint_limits[..., 1])
        self.data = data
        offsets = np.zeros((JOINT_COUNT, 3)) if landmark_offsets is None else landmark_offsets
        self._build_points(np.asarray(offsets, np.float64), surface)
        self._build_tree()

    def _build_points(self, offsets: Array, surface: int) -> None:
        data, count = self.data, self.shapes
        basis = np.concatenate([data.v_template[..., None], data.shapedirs[..., :count]], axis=2)
        joints = np.einsum('jv,vak->jak', data.J_regressor, basis)
        marks = np.concatenate([joints, basis[data.tips]])
        weights = np.concatenate([np.eye(16), data.weights[data.tips]])
        order = list(MANO_TO_OPENPOSE)
        marks, weights = marks[order], weights[order]
        seen = marks.copy()
        seen[..., 0] += offsets
        chosen, normals = _surface_points(data, surface)
        self.surface = len(chosen)
        points = np.concatenate([marks, seen, basis[chosen]])  # (N, 3, 1 + K)
        self._weights = np.concatenate([weights, weights, data.weights[chosen]]).T  # (16, N)
        flips = np.stack([MIRROR_POINTS if side == 'left' else np.ones(3) for side in SIDES])
        self._points = flips[:, None, :, None] * points  # (2, N, 3, 1 + K)
        self._joints = flips[:, None, :, None] * joints  # (2, 16, 3, 1 + K)
        self._normals = (flips[:, None] * normals).transpose(0, 2, 1)  # (2, 3, S)
        self._bones = bones = data.weights[chosen].argmax(axis=1)
        self._normal_bones = [(bone, np.flatnonzero(bones == bone)) for bone in np.unique(bones)]
        turns = np.stack([MIRROR_ROTATIONS if side == 'left' else np.ones(3) for side in SIDES])
        self._axes = turns[:, None, None] * data.joint_axes  # (2, 15, 3, 3)

    @cached_property
    def finger_prior(self) -> FingerPrior:
        """How the free angles usually are: where a finger is presumed until it is seen."""
        return finger_prior(self.degrees, self.lower, self.upper)

    def _build_tree(self) -> None:
        parents = self.data.parents
        below = np.eye(16)
        for joint in range(15, 0, -1):
            below[parents[joint]] += below[joint]
        self._below = below
        self._lever_weights = (below @ self._weights)[:, None]  # (16, 1, N)
        self._carriers = self.degrees[:, 0] + 1

    def arrays(self, side: int) -> SideArrays:
        """Return what a hand of a side is made of, for computing elsewhere than here."""
        return SideArrays(
            joints=self._joints[side], points=self._points[side], normals=self._normals[side],
            bones=self._bones, weights=self._weights, axes=self._axes[side], held=self._held,
            below=self._below, parents=np.asarray(self.data.parents),
        )  # fmt: skip

    def state(self, side_count: int) -> HandState:
        """Return that many hands with usual angles at the origin with the mean shape."""
        return HandState(
            rotation=np.tile(np.eye(3), (side_count, 1, 1)),
            wrist=np.zeros((side_count, 3)),
            angles=np.tile(self.finger_prior.mean, (side_count, 1)),
            shape=np.zeros((side_count, self.shapes)),
        )

    def hand_pose(self, angles: Array, sides: Indices) -> Array:
        """Return MANO's axis-angle finger pose (B, 15, 3) of angles (B, D)."""
        full = np.broadcast_to(self._held, (len(angles), 15, 3)).copy()
        full[:, self.degrees[:, 0], self.degrees[:, 1]] = angles
        return np.einsum('bjac,bja->bjc', self._axes[sides], full)

    def angles(self, hand_pose: Array, sides: Indices) -> Array:
        """Return the free angles (B, D) nearest to an axis-angle finger pose (B, 15, 3)."""
        full = np.einsum('bjac,bjc->bja', self._axes[sides], hand_pose)
        return full[:, self.degrees[:, 0], self.degrees[:, 1]]

    def translation(self, state: HandState, sides: Indices) -> Array:
        """Return MANO's translation (B, 3), which is the wrist less the rest wrist."""
        return state.wrist - _shaped(self._joints[sides][:, :1], state.shape)[:, 0]

    def landmarks(self, state: HandState, sides: Indices) -> Array:
        """Return where a landmark network sees the joints, (B, 21, 3) metres."""
        joints = _shaped(self._joints[sides], state.shape)
        local = rotation_matrices(self.hand_pose(state.angles, sides))
        rotations, origins = self._chain(state, local, joints)
        marks = slice(JOINT_COUNT, 2 * JOINT_COUNT)
        rest = _shaped(self._points[sides][:, marks], state.shape)
        arms = rest.transpose(0, 2, 1)[:, None] - joints[..., None]
        parts = (rotations @ arms + origins[..., None]) * self._weights[:, None, marks]
        return parts.sum(axis=1).transpose(0, 2, 1)

    def pose(self, state: HandState, sides: Indices, *, shape: bool = False) -> Posed:
        """Pose a batch of hands.

        Args:
            state: B hands.
            sides: (B,) 0 for a left hand, 1 for a right one.
            shape: whether the derivative by the shape is wanted too.
        """
        axis_angle = self.hand_pose(state.angles, sides)
        local = rotation_matrices(axis_angle)
        joints = _shaped(self._joints[sides], state.shape)  # (B, 16, 3)
        rotations, origins = self._chain(state, local, joints)
        rest = _shaped(self._points[sides], state.shape)  # (B, N, 3)
        arms = rest.transpose(0, 2, 1)[:, None] - joints[..., None]  # (B, 16, 3, N)
        parts = (rotations @ arms + origins[..., None]) * self._weights[:, None]
        points = parts.sum(axis=1)
        turning = self._finger_jacobian(rotations, origins, parts, axis_angle, sides)
        blocks = [_cross_all(points - state.wrist[..., None]), _slid(points), turning]
        if shape:
            blocks.append(self._shape_jacobian(rotations, sides))
        normals = np.empty((len(points), 3, self.surface))
        for bone, members in self._normal_bones:
            normals[:, :, members] = rotations[:, bone] @ self._normals[sides][:, :, members]
        return Posed(
            points=points,
            normals=normals,
            jacobian=np.concatenate(blocks, axis=1),
        )

    def _chain(self, state: HandState, local: Array, joints: Array) -> tuple[Array, Array]:
        rotations = np.empty((len(local), 16, 3, 3))
        origins = np.empty((len(local), 16, 3))
        rotations[:, 0], origins[:, 0] = state.rotation, state.wrist
        for level in _LEVELS:
            parents = self.data.parents[level]
            bones = (joints[:, level] - joints[:, parents])[..., None]
            rotations[:, level] = rotations[:, parents] @ local[:, level - 1]
            origins[:, level] = origins[:, parents] + (rotations[:, parents] @ bones)[..., 0]
        return rotations, origins

    def _finger_jacobian(
        self, rotations: Array, origins: Array, parts: Array, axis_angle: Array, sides: Indices
    ) -> Array:
        parents = self.data.parents[1:]
        tangents = rotations[:, parents] @ _left_jacobian(axis_angle)
        axes = tangents @ self._axes[sides].transpose(0, 1, 3, 2)  # columns: the three angles
        axes = axes[:, self.degrees[:, 0], :, self.degrees[:, 1]].transpose(1, 0, 2)
        batch, _, _, count = parts.shape
        sums = (self._below @ parts.reshape(batch, 16, -1)).reshape(batch, 16, 3, count)
        levers = sums - self._lever_weights * origins[..., None]
        return _cross(axes[..., None], levers[:, self._carriers])

    def _shape_jacobian(self, rotations: Array, sides: Indices) -> Array:
        joints = self._joints[sides][..., 1:]  # (B, 16, 3, K)
        points = self._points[sides][..., 1:]  # (B, N, 3, K)
        slides = np.zeros_like(joints)
        for level in _LEVELS:
            parents = self.data.parents[level]
            bones = joints[:, level] - joints[:, parents]
            slides[:, level] = slides[:, parents] + rotations[:, parents] @ bones
        slides -= rotations @ joints
        blend = self._weights.T  # (N, 16)
        moved = (blend @ rotations.reshape(-1, 16, 9)).reshape(-1, blend.shape[0], 3, 3) @ points
        moved += (blend @ slides.reshape(len(slides), 16, -1)).reshape(moved.shape)
        return moved.transpose(0, 3, 2, 1)


def _slid(points: Array) -> Array:
    batch, _, count = points.shape
    return np.broadcast_to(np.eye(3)[None, :, :, None], (batch, 3, 3, count))


def _shaped(basis: Array, shape: Array) -> Array:
    return basis[..., 0] + (basis[..., 1:] @ shape[:, None, :, None])[..., 0]


def _cross(axes: Array, arms: Array) -> Array:
    """Cross products along axis 2: axes (B, D, 3, 1) x arms (B, D, 3, N)."""
    result = np.empty(arms.shape)
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        result[:, :, i] = axes[:, :, j] * arms[:, :, k] - axes[:, :, k] * arms[:, :, j]
    return result


def _cross_all(arms: Array) -> Array:
    """Derivative (B, 3, 3, N) of turned arms (B, 3, N) by the rotation vector."""
    result = np.zeros((len(arms), 3, 3, arms.shape[2]))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        result[:, i, k] = arms[:, j]
        result[:, i, j] = -arms[:, k]
    return result


def _left_jacobian(vectors: Array) -> Array:
    """Left Jacobian (..., 3, 3) of SO(3) at rotation vectors (..., 3).

    Source: Sola, Deray, Atchuthan, A micro Lie theory for state estimation in robotics, eq. 145.
    """
    square = (vectors**2).sum(-1)
    small = square < 1e-10
    safe = np.where(small, 1.0, square)
    angle = np.sqrt(safe)
    first = np.where(small, 0.5 - square / 24, (1 - np.cos(angle)) / safe)[..., None, None]
    second = np.where(small, 1 / 6 - square / 120, (angle - np.sin(angle)) / (safe * angle))
    skew = np.zeros((*vectors.shape, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    skew[..., 0, 1], skew[..., 0, 2], skew[..., 1, 2] = -z, y, -x
    skew[..., 1, 0], skew[..., 2, 0], skew[..., 2, 1] = z, -y, x
    return np.eye(3) + first * skew + second[..., None, None] * (skew @ skew)


def _surface_points(data: HandModelData, count: int) -> tuple[Indices, Array]:
    """Choose vertices spread evenly over the surface; their ids and normals (count, 3)."""
    vertices, faces = data.v_template, data.faces
    corners = vertices[faces]
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], crosses)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    # Vertices between bones move with several of them; those of one bone make better targets.
    candidates = np.flatnonzero(data.weights.max(axis=1) > 0.7)
    distance = np.full(len(candidates), np.inf)
    chosen = [int(np.argmax(vertices[candidates, 1]))]
    for _ in range(min(count, len(candidates)) - 1):
        step = np.linalg.norm(vertices[candidates] - vertices[candidates[chosen[-1]]], axis=1)
        distance = np.minimum(distance, step)
        chosen.append(int(np.argmax(distance)))
    ids = candidates[chosen]
    return ids, normals[ids]
