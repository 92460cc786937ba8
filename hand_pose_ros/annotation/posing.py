"""Posing: the hands of the fit in torch, many frames at once on any device, with derivatives."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.hand_model.hand import tree_levels
from hand_pose_ros.hand_model.kinematics import FittingModel, HandState
from hand_pose_ros.networks.rotations import cross_matrix, rotation_from_axis_angle

_SMALL = 1e-5  # rad, below which series are used


def checked_device(name: str) -> torch.device:
    """Return a device by name, such as ``cpu`` or ``cuda:1``, if fits can be computed there.

    Raises:
        HandPoseError: if it is not there or has no double precision.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise HandPoseError(f'device {name!r} does not exist: use cpu, cuda or cuda:N.') from None
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines()[0].rstrip('.')
        raise HandPoseError(f'device {name!r} cannot be used ({reason}): use cpu.') from None
    return device


def tensor_of(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """Return an array on a device, numbers in double precision."""
    made = torch.as_tensor(np.ascontiguousarray(array), device=device)
    return made.double() if made.is_floating_point() else made


@dataclass(frozen=True, kw_only=True, eq=False)
class PosedHands:
    """Posed hands and their derivatives, point axes last; see ``kinematics.Posed``.

    Attributes:
        points: (M, 3, N) metres.
        normals: (M, 3, S) outward unit normals of the surface points.
        jacobian: (M, P, 3, N).
    """

    points: Tensor
    normals: Tensor
    jacobian: Tensor


class Poser:
    """Poses hands of one side as ``FittingModel.pose`` does, to the same numbers.

    Attributes:
        model: the hands.
        side: 0 left, 1 right.
        device: where it is computed.
    """

    def __init__(self, model: FittingModel, side: int, device: torch.device) -> None:
        """Take a side of the model to a device."""
        arrays = model.arrays(side)
        self.model, self.side, self.device = model, side, device
        self._levels = tree_levels([int(parent) for parent in arrays.parents])
        self._joints = tensor_of(arrays.joints, device)
        self._points = tensor_of(arrays.points, device)
        self._normals = tensor_of(arrays.normals, device)
        self._bones = tensor_of(arrays.bones, device)
        self._weights = tensor_of(arrays.weights, device)
        self._axes = tensor_of(arrays.axes, device)
        self._held = tensor_of(arrays.held, device)
        self._below = tensor_of(arrays.below, device)
        self._parents = tensor_of(arrays.parents[1:], device)
        degrees = tensor_of(model.degrees, device)
        self._joint_of, self._angle_of = degrees[:, 0], degrees[:, 1]

    def pose(self, state: HandState, *, shape: bool = False) -> PosedHands:
        """Pose M hands.

        Args:
            state: of the hands.
            shape: whether the derivative by the shape is wanted too.
        """
        rotation, wrist, angles, betas = (
            tensor_of(array, self.device)
            for array in (state.rotation, state.wrist, state.angles, state.shape)
        )
        full = self._held.repeat(len(angles), 1, 1)
        full[:, self._joint_of, self._angle_of] = angles
        axis_angle = torch.einsum('jac,bja->bjc', self._axes, full)
        joints = _shaped(self._joints, betas)  # (M, 16, 3)
        turned, origins = self._chain(rotation, wrist, axis_angle, joints)
        rest = _shaped(self._points, betas)  # (M, N, 3)
        arms = rest.transpose(1, 2)[:, None] - joints[..., None]  # (M, 16, 3, N)
        parts = (turned @ arms + origins[..., None]) * self._weights[:, None]
        points = parts.sum(dim=1)
        spun = -cross_matrix((points - wrist[..., None]).transpose(1, 2)).permute(0, 3, 2, 1)
        slid = torch.eye(3, dtype=points.dtype, device=self.device)[None, :, :, None]
        fingers = self._finger_jacobian(turned, origins, parts, axis_angle)
        blocks = [spun, slid.expand(spun.shape), fingers]
        if shape:
            blocks.append(self._shape_jacobian(turned))
        normals = torch.einsum('bsac,cs->bas', turned[:, self._bones], self._normals)
        return PosedHands(points=points, normals=normals, jacobian=torch.cat(blocks, dim=1))

    def _chain(
        self, rotation: Tensor, wrist: Tensor, axis_angle: Tensor, joints: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return rotations (M, 16, 3, 3) and places (M, 16, 3) of all joints."""
        local = rotation_from_axis_angle(axis_angle)
        turned = rotation[:, None].repeat(1, 16, 1, 1)
        origins = wrist[:, None].repeat(1, 16, 1)
        for level, parents in self._levels:
            bones = (joints[:, level] - joints[:, parents])[..., None]
            turned[:, level] = turned[:, parents] @ local[:, [joint - 1 for joint in level]]
            origins[:, level] = origins[:, parents] + (turned[:, parents] @ bones)[..., 0]
        return turned, origins

    def _finger_jacobian(
        self, turned: Tensor, origins: Tensor, parts: Tensor, axis_angle: Tensor
    ) -> Tensor:
        tangents = turned[:, self._parents] @ _left_jacobian(axis_angle)
        axes = tangents @ self._axes.transpose(1, 2)  # columns: the three angles
        axes = axes[:, self._joint_of, :, self._angle_of].transpose(0, 1)  # (M, D, 3)
        batch, _, _, count = parts.shape
        sums = (self._below @ parts.reshape(batch, 16, -1)).reshape(batch, 16, 3, count)
        levers = sums - (self._below @ self._weights)[:, None] * origins[..., None]
        return cross_matrix(axes) @ levers[:, self._joint_of + 1]

    def _shape_jacobian(self, turned: Tensor) -> Tensor:
        joints, points = self._joints[..., 1:], self._points[..., 1:]
        slides = torch.zeros_like(joints).repeat(len(turned), 1, 1, 1)
        for level, parents in self._levels:
            bones = joints[level] - joints[parents]
            slides[:, level] = slides[:, parents] + turned[:, parents] @ bones
        slides = slides - turned @ joints
        moved = torch.einsum('jn,bjac,nck->bkan', self._weights, turned, points)
        return moved + torch.einsum('jn,bjak->bkan', self._weights, slides)


def _shaped(basis: Tensor, betas: Tensor) -> Tensor:
    return basis[..., 0] + torch.einsum('jak,bk->bja', basis[..., 1:], betas)


def _left_jacobian(vectors: Tensor) -> Tensor:
    """Left Jacobian (..., 3, 3) of SO(3) at rotation vectors (..., 3); see ``kinematics``."""
    square = vectors.square().sum(dim=-1)
    small = square < _SMALL**2
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - square / 24, (1 - angle.cos()) / safe)
    second = torch.where(small, 1 / 6 - square / 120, (angle - angle.sin()) / (safe * angle))
    skew = cross_matrix(vectors)
    eye = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return eye + first[..., None, None] * skew + second[..., None, None] * (skew @ skew)
