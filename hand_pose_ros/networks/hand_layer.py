"""HandLayer: both hands posed and skinned in torch, differentiably, from rotation matrices."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from hand_pose_ros.errors import ModelError
from hand_pose_ros.hand_model.hand import tree_levels
from hand_pose_ros.hand_model.model_files import HandModelData, load_hand_model
from hand_pose_ros.networks.rotations import axis_angle_from_rotation, rotation_from_axis_angle
from hand_pose_ros.skeleton import MANO_TO_OPENPOSE, SIDES


class PosedHands(NamedTuple):
    """What the layer returns, metres.

    Attributes:
        joints: (N, 2, 21, 3), internal order, tips taken from the mesh.
        vertices: (N, 2, V, 3), None if the mesh was not asked for.
    """

    joints: Tensor
    vertices: Tensor | None


class HandLayer(nn.Module):
    """Linear blend skinning of a left and a right hand model with equal topology.

    The numpy ``hand_model.hand.HandModel`` computes the same, from axis-angle vectors. Its arrays
    are no part of a checkpoint.

    Attributes:
        faces: (2, F, 3) vertex indices per side, counter-clockwise seen from outside.
    """

    faces: Tensor

    def __init__(
        self, left: HandModelData | None = None, right: HandModelData | None = None, *,
        flat_mean: bool = True,
    ) -> None:  # fmt: skip
        """Take the arrays of both sides.

        Args:
            left: the shipped free hand when None.
            right: the same.
            flat_mean: whether zero rotation means a flat hand. False adds the model's mean pose
                to the axis-angle vectors, as labels of ARCTIC want it.

        Raises:
            ModelError: the two models do not belong together.
        """
        super().__init__()
        models = [left or load_hand_model('left'), right or load_hand_model('right')]
        for side, model in zip(SIDES, models, strict=True):
            if model.side != side:
                raise ModelError(f'the {side} hand model is a {model.side} hand: swap or mirror it')
        shapes = [(model.v_template.shape, model.faces.shape) for model in models]
        if shapes[0] != shapes[1] or not np.array_equal(models[0].parents, models[1].parents):
            raise ModelError(
                f'the hand models have {shapes[0][0][0]} and {shapes[1][0][0]} vertices: use the '
                'two sides of one model'
            )
        self.flat_mean = flat_mean
        self._levels = tree_levels([int(parent) for parent in models[0].parents])
        joints = np.array([model.J_regressor for model in models])
        basis = np.array(
            [np.concatenate([m.v_template[..., None], m.shapedirs], axis=2) for m in models]
        )
        tips = np.array([model.tips for model in models])
        rest = np.concatenate(
            [np.einsum('sjv,svak->sjak', joints, basis), _rows(basis, tips)], axis=1
        )
        weights = np.array([model.weights for model in models])
        self._keep('rest_basis', rest)  # (2, 21, 3, 11), MANO's joints and the tips
        self._keep('mesh_basis', basis)  # (2, V, 3, 11)
        self._keep('mesh_weights', weights)  # (2, V, 16)
        self._keep('tip_weights', _rows(weights, tips))
        self._keep('mean_pose', np.array([model.hands_mean for model in models]))
        directions = [model.posedirs for model in models]
        self.has_pose_directions = any(one is not None for one in directions)
        if self.has_pose_directions:
            zero = np.zeros((*basis.shape[1:3], 135))
            filled = np.array([zero if one is None else one for one in directions])
            self._keep('mesh_directions', filled)  # (2, V, 3, 135)
            self._keep('tip_directions', _rows(filled, tips))
        faces = np.array([model.faces for model in models]).astype(np.int64)
        self.register_buffer('faces', torch.from_numpy(faces), persistent=False)
        self.register_buffer('tips', torch.from_numpy(tips.astype(np.int64)), persistent=False)
        self.register_buffer('order', torch.tensor(MANO_TO_OPENPOSE), persistent=False)

    def _keep(self, name: str, array: np.ndarray) -> None:
        tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
        self.register_buffer(name, tensor, persistent=False)

    def rest_joints(self, betas: Tensor) -> Tensor:
        """Return joints (N, 2, 21, 3) of unposed hands, internal order, for betas (N, 2, 10)."""
        return _shaped(self.get_buffer('rest_basis'), betas)[:, :, self.get_buffer('order')]

    def forward(
        self, rotations: Tensor, betas: Tensor, translation: Tensor, *, mesh: bool = False
    ) -> PosedHands:
        """Pose both hands.

        Args:
            rotations: (N, 2, 16, 3, 3) of wrist and finger joints in MANO's order.
            betas: (N, 2, 10).
            translation: (N, 2, 3) metres, added last: wrist = rest wrist + translation.
            mesh: make the vertices too; without it only the five tips are skinned.
        """
        if not self.flat_mean:
            rotations = self._with_mean(rotations)
        rest = _shaped(self.get_buffer('rest_basis'), betas)
        turned, origins = self._chain(rotations, rest[:, :, :16])
        # Transform of every joint as (N, 2, 16, 12): rotation and offset.
        offsets = origins - (turned @ rest[:, :, :16, :, None])[..., 0]
        transforms = torch.cat([turned, offsets[..., None]], dim=-1).flatten(3)
        kind = 'mesh' if mesh else 'tip'
        points = _shaped(self.get_buffer('mesh_basis'), betas) if mesh else rest[:, :, 16:]
        if self.has_pose_directions:
            eye = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            features = (rotations[:, :, 1:] - eye).flatten(2)
            directions = self.get_buffer(f'{kind}_directions')
            points = points + torch.einsum('svak,nsk->nsva', directions, features)
        blended = (self.get_buffer(f'{kind}_weights') @ transforms).unflatten(-1, (3, 4))
        posed = (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]
        posed = posed + translation[:, :, None]
        joints = origins + translation[:, :, None]
        tips = self._tips(posed) if mesh else posed
        joints = torch.cat([joints, tips], dim=2)[:, :, self.get_buffer('order')]
        return PosedHands(joints, posed if mesh else None)

    def _tips(self, vertices: Tensor) -> Tensor:
        tips = self.get_buffer('tips')
        return torch.stack([vertices[:, side, tips[side]] for side in range(2)], dim=1)

    def _with_mean(self, rotations: Tensor) -> Tensor:
        """Add the mean pose to the fingers' axis-angle vectors."""
        fingers = axis_angle_from_rotation(rotations[:, :, 1:]) + self.get_buffer('mean_pose')
        return torch.cat([rotations[:, :, :1], rotation_from_axis_angle(fingers)], dim=2)

    def _chain(self, local: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Compose local rotations down the tree, all joints of a level at once."""
        turned: dict[int, Tensor] = {0: local[:, :, 0]}
        origins: dict[int, Tensor] = {0: rest[:, :, 0]}
        for children, parents in self._levels:
            above = torch.stack([turned[parent] for parent in parents], dim=2)
            start = torch.stack([origins[parent] for parent in parents], dim=2)
            bones = rest[:, :, children] - rest[:, :, parents]
            moved = above @ torch.cat([local[:, :, children], bones[..., None]], dim=-1)
            ends = start + moved[..., 3]
            for place, child in enumerate(children):
                turned[child] = moved[:, :, place, :, :3]
                origins[child] = ends[:, :, place]
        joints = range(local.shape[2])
        return (
            torch.stack([turned[joint] for joint in joints], dim=2),
            torch.stack([origins[joint] for joint in joints], dim=2),
        )


def _rows(arrays: np.ndarray, tips: np.ndarray) -> np.ndarray:
    """Pick each side's tip vertices."""
    return np.array([array[tip] for array, tip in zip(arrays, tips, strict=True)])


def _shaped(basis: Tensor, betas: Tensor) -> Tensor:
    """Return points (N, 2, P, 3) for a basis (2, P, 3, 11) and betas (N, 2, 10)."""
    return basis[..., 0] + torch.einsum('spak,nsk->nspa', basis[..., 1:], betas)
