"""HandModel: batched forward kinematics and skinning of a hand in plain numpy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.model_files import HandModelData
from hand_pose_ros.skeleton import MANO_TO_OPENPOSE

Array = NDArray[np.float64]


def rotation_matrices(axis_angle: Array) -> Array:
    """Turn axis-angle vectors (..., 3) in rad into rotation matrices (..., 3, 3) (Rodrigues)."""
    vectors = np.asarray(axis_angle, dtype=np.float64)
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    square = x * x + y * y + z * z
    small = square < 1e-12
    safe = np.where(small, 1.0, square)
    angle = np.sqrt(safe)
    sine = np.where(small, 1 - square / 6, np.sin(angle) / angle)
    cosine = np.where(small, 0.5 - square / 24, (1 - np.cos(angle)) / safe)
    matrices = np.empty((*vectors.shape, 3))
    diagonal = 1 - cosine * square
    xy, xz, yz = cosine * x * y, cosine * x * z, cosine * y * z
    sx, sy, sz = sine * x, sine * y, sine * z
    matrices[..., 0, 0] = diagonal + cosine * x * x
    matrices[..., 1, 1] = diagonal + cosine * y * y
    matrices[..., 2, 2] = diagonal + cosine * z * z
    matrices[..., 0, 1] = xy - sz
    matrices[..., 1, 0] = xy + sz
    matrices[..., 0, 2] = xz + sy
    matrices[..., 2, 0] = xz - sy
    matrices[..., 1, 2] = yz - sx
    matrices[..., 2, 1] = yz + sx
    return matrices


class HandModel:
    """A posable hand of one side; stateless after construction and safe between threads.

    Attributes:
        data: the model's arrays.
        parents: parent of each of the 16 MANO joints.
    """

    def __init__(self, data: HandModelData) -> None:
        """Precompute how joints and tips depend on shape."""
        self.data = data
        self.parents = tuple(int(parent) for parent in data.parents)
        self._levels = [
            (_compact(children), _compact(parents))
            for children, parents in tree_levels(self.parents)
        ]
        stack = np.concatenate([data.v_template[..., None], data.shapedirs], axis=2)  # (V, 3, 11)
        joints = np.einsum('jv,vak->jak', data.J_regressor, stack)  # (16, 3, 11)
        self._rest_basis = np.concatenate([joints, stack[data.tips]])  # (21, 3, 11), MANO + tips
        self._tip_weights = data.weights[data.tips]  # (5, 16)
        self._tip_posedirs = None if data.posedirs is None else data.posedirs[data.tips]
        self._order = np.array(MANO_TO_OPENPOSE)
        self._bone_starts = np.maximum(data.parents, 0)

    def rest_joints(self, betas: Array) -> Array:
        """Return joints (B, 21, 3) of the flat hand, internal order, for betas (B, 10), metres."""
        return self._rest(np.atleast_2d(np.asarray(betas, dtype=np.float64)))[:, self._order]

    def kinematics(self, global_orient: Array, hand_pose: Array, betas: Array,
                   translation: Array) -> tuple[Array, Array]:  # fmt: skip
        """Return global rotations (B, 16, 3, 3) and positions (B, 16, 3) of the MANO joints."""
        local = self._local(global_orient, hand_pose)
        rest = self._rest(np.asarray(betas, dtype=np.float64))
        rotations, origins = self._chain(local, rest)
        return rotations, origins + np.asarray(translation)[:, None]

    def joints(self, global_orient: Array, hand_pose: Array, betas: Array,
               translation: Array) -> Array:  # fmt: skip
        """Return posed joints (B, 21, 3) in metres without making the mesh; see ``forward``."""
        local = self._local(global_orient, hand_pose)
        rest = self._rest(np.asarray(betas, dtype=np.float64))
        rotations, origins = self._chain(local, rest)
        tips = rest[:, 16:]
        if self._tip_posedirs is not None:
            tips = tips + _pose_offsets(local, self._tip_posedirs)
        posed = _skin(rotations, origins, rest[:, :16], tips, self._tip_weights)
        joints = np.concatenate([origins, posed], axis=1) + np.asarray(translation)[:, None]
        return joints[:, self._order]

    def forward(self, global_orient: Array, hand_pose: Array, betas: Array,
                translation: Array) -> tuple[Array, Array]:  # fmt: skip
        """Pose and skin a batch of hands, as smplx's MANO with a flat mean hand does.

        Args:
            global_orient: (B, 3) axis-angle of the wrist, rad.
            hand_pose: (B, 15, 3) axis-angle of the finger joints, MANO order, rad; 0 = flat hand.
            betas: (B, 10) shape.
            translation: (B, 3) metres, added last: wrist = rest wrist + translation.

        Returns:
            joints (B, 21, 3) in the internal order, tips taken from the mesh, and
            vertices (B, V, 3); metres.
        """
        local = self._local(global_orient, hand_pose)
        betas = np.asarray(betas, dtype=np.float64)
        rest = self._rest(betas)
        rotations, origins = self._chain(local, rest)
        data = self.data
        shaped = data.v_template + np.tensordot(betas, data.shapedirs, axes=(1, 2))
        if data.posedirs is not None:
            shaped = shaped + _pose_offsets(local, data.posedirs)
        vertices = _skin(rotations, origins, rest[:, :16], shaped, data.weights)
        vertices += np.asarray(translation)[:, None]
        origins = origins + np.asarray(translation)[:, None]
        joints = np.concatenate([origins, vertices[:, data.tips]], axis=1)
        return joints[:, self._order], vertices

    def angles(self, hand_pose: Array) -> Array:
        """Return (twist, abduction, flexion) (B, 15, 3) in rad of axis-angle poses (B, 15, 3)."""
        return np.einsum('jab,njb->nja', self.data.joint_axes, hand_pose)

    def pose_from_angles(self, angles: Array) -> Array:
        """Return axis-angle poses (B, 15, 3) of (twist, abduction, flexion) angles (B, 15, 3)."""
        return np.einsum('jba,njb->nja', self.data.joint_axes, angles)

    def _rest(self, betas: Array) -> Array:
        basis = self._rest_basis
        return basis[..., 0] + np.tensordot(betas, basis[..., 1:], axes=(1, 2))

    def _local(self, global_orient: Array, hand_pose: Array) -> Array:
        global_orient = np.asarray(global_orient, dtype=np.float64).reshape(-1, 1, 3)
        hand_pose = np.asarray(hand_pose, dtype=np.float64).reshape(-1, 15, 3)
        return rotation_matrices(np.concatenate([global_orient, hand_pose], axis=1))

    def _chain(self, local: Array, rest: Array) -> tuple[Array, Array]:
        """Compose local rotations down the tree, one batched product per level."""
        rotations = local.copy()
        origins = rest[:, :16].copy()
        # Rotation and bone of each joint side by side, so that one product moves both.
        steps = np.concatenate([local, (rest[:, :16] - rest[:, self._bone_starts])[..., None]], 3)
        for children, parents in self._levels:
            moved = rotations[:, parents] @ steps[:, children]
            rotations[:, children] = moved[..., :3]
            origins[:, children] = origins[:, parents] + moved[..., 3]
        return rotations, origins


def tree_levels(parents: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Group joints by their depth below the wrist: (children, their parents) per level."""
    depth = [0] * len(parents)
    for joint in range(1, len(parents)):
        depth[joint] = depth[parents[joint]] + 1
    levels = []
    for level in range(1, max(depth) + 1):
        children = [joint for joint, value in enumerate(depth) if value == level]
        levels.append((children, [parents[joint] for joint in children]))
    return levels


def _compact(indices: list[int]) -> slice | list[int]:
    """Return a slice, which numpy takes faster, for evenly spaced or all-equal indices."""
    if len(set(indices)) == 1:
        return slice(indices[0], indices[0] + 1)
    step = indices[1] - indices[0]
    even = step > 0 and indices == list(range(indices[0], indices[-1] + 1, step))
    return slice(indices[0], indices[-1] + 1, step) if even else indices


def _pose_offsets(local: Array, posedirs: Array) -> Array:
    """Return the pose corrective offsets (B, N, 3) for directions (N, 3, 135)."""
    features = (local[:, 1:] - np.eye(3)).reshape(len(local), -1)
    return np.tensordot(features, posedirs, axes=(1, 2))


def _skin(rotations: Array, origins: Array, rest: Array, points: Array, weights: Array) -> Array:
    """Blend joint transforms over points (B, N, 3) with weights (N, 16)."""
    batch = len(rotations)
    offsets = origins - (rotations @ rest[..., None])[..., 0]
    transforms = np.concatenate([rotations, offsets[..., None]], axis=3).reshape(batch, 16, 12)
    blended = (weights @ transforms).reshape(batch, -1, 3, 4)
    return (blended[..., :3] @ points[..., None])[..., 0] + blended[..., 3]
