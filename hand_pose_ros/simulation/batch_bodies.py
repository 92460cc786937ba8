"""BatchBodies: many pairs of arms skinned at once, on any device."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.bodies import RINGS, Bodies
from hand_pose_ros.simulation.kernels import vertex_normals
from hand_pose_ros.skeleton import OPENPOSE_TO_MANO, SIDES

Array = NDArray[np.float64]

_REACH = 0.03  # metres from the rim over which the forearm's first rings slant with it
# Beyond the elbow, which is this far from the rim (m), the arm goes on to the shoulder, which is
# here in the scene for a right arm. The rings are those of ``bodies`` with more for the upper arm.
_ELBOW = 0.25
_UPPER_ARM = (0.015, 0.05, 0.09, 0.14, 0.20, 0.27, 0.34, 0.42, 0.50, 0.60, 0.72)
_RINGS = (
    *(ring for ring in RINGS if ring[0] < _ELBOW),
    *((_ELBOW + beyond, 2.05 + 0.3 * beyond, 1.80 + 0.3 * beyond, 0.28) for beyond in _UPPER_ARM),
)
_SHOULDER = (-0.10, -0.19, -0.24)


class BatchBodies:
    """The mesh of both arms (left hand, left arm, right hand, right arm) for M moments at once.

    Attributes:
        faces: (F, 3) int64, counter-clockwise seen from outside.
        parts: (F,) uint8 surface of each face, see ``gbuffer.SURFACES``.
        attributes: (V, 8) float32 per vertex, see ``gbuffer.ATTRIBUTES``.
        hand_faces: ranges (first, after last) of the faces of the two hands.
        vertex_count: V.
    """

    def __init__(self, device: torch.device) -> None:
        """Put the mesh of the shipped hands on a device."""
        bodies = Bodies(rings=_RINGS)
        self._device = device
        self._rim = torch.as_tensor(bodies.rim, device=device)
        self._hand_count = bodies.hand_count
        self.vertex_count = bodies.vertex_count
        self.faces = torch.as_tensor(bodies.faces.astype(np.int64), device=device)
        self.parts = torch.as_tensor(_parts(bodies), device=device)
        hands, half = len(bodies.models['right'].data.faces), len(bodies.faces) // 2
        self.hand_faces = ((0, hands), (half, half + hands))
        self.attributes = torch.as_tensor(_attributes(bodies), device=device)
        self._around = torch.as_tensor(_faces_around(bodies), device=device)
        self._rings = torch.tensor(_RINGS, device=device)
        sides = []
        for side in SIDES:
            data = bodies.models[side].data
            arrays = (data.v_template, data.shapedirs, data.weights)
            sides.append([torch.tensor(a, dtype=torch.float32, device=device) for a in arrays])
        self._sides = sides

    def vertices(
        self, betas: Array, rotations: Array, origins: Array, hands: Array, forearms: Array
    ) -> Tensor:
        """Pose and skin the meshes.

        Args:
            betas: (M, 10).
            rotations, origins: (M, 2, 16, 3, 3) and (M, 2, 16, 3) of the posed joints, as
                ``HandModel.kinematics`` returns them.
            hands, forearms: (M, 2, 3, 3) from rest axes.

        Returns:
            (M, V, 3) float32 metres, in the frame of the origins.
        """
        count = len(betas)
        shapes, firsts = np.unique(betas, axis=0, return_inverse=True)
        which = put(np.ravel(firsts), self._device)
        parts = []
        for index, side in enumerate(SIDES):
            template, directions, weights = self._sides[index]
            rest = models()[side].rest_joints(betas)[:, list(OPENPOSE_TO_MANO[:16])]
            moved = origins[:, index] - (rotations[:, index] @ rest[..., None])[..., 0]
            transforms = self._put(np.concatenate([rotations[:, index], moved[..., None]], -1))
            blended = (weights @ transforms.reshape(count, 16, 12)).reshape(count, -1, 3, 4)
            shaped = template + (directions @ self._put(shapes).T).permute(2, 0, 1)
            points = shaped[which]
            hand = (blended[..., :3] * points[:, :, None]).sum(-1) + blended[..., 3]
            sign = 1.0 if side == 'right' else -1.0
            arm = self._arm(
                hand[:, self._rim], self._put(hands[:, index]), self._put(forearms[:, index]), sign
            )
            parts += [hand, arm]
        return torch.cat(parts, 1)

    def hands(self, vertices: Tensor) -> list[Array]:
        """Return the vertices (M, V, 3) of the left and of the right hand out of all (M, ., 3)."""
        half = self.vertex_count // 2
        starts = (0, half)
        return [
            vertices[:, start : start + self._hand_count].double().cpu().numpy() for start in starts
        ]

    def normals(self, vertices: Tensor) -> Tensor:
        """Return unit normals (M, V, 3) of meshes (M, V, 3): area-weighted over faces around."""
        if vertices.device.type == 'cpu':
            faces, meshes = self.faces.numpy(), vertices.numpy()
            return torch.from_numpy(np.stack([vertex_normals(mesh, faces) for mesh in meshes]))
        return self.plain_normals(vertices)

    def plain_normals(self, vertices: Tensor) -> Tensor:
        """Return ``normals`` without compiled loops, on any device."""
        a, b, c = (vertices[:, self.faces[:, corner]] for corner in range(3))
        flat = torch.linalg.cross(b - a, c - a)
        flat = torch.cat([flat, torch.zeros_like(flat[:, :1])], 1)  # what the padding points at
        total = flat[:, self._around[0]]
        for faces in self._around[1:]:
            total += flat[:, faces]
        return torch.nn.functional.normalize(total, dim=-1)

    def _arm(self, rim: Tensor, hand: Tensor, forearm: Tensor, side: float) -> Tensor:
        """Sweep outlines of wrists (M, C, 3) to the elbow and on towards the shoulder."""
        centre = rim.mean(1, keepdim=True)
        axis = forearm[..., 0] * side
        y_rest = forearm[..., 1]
        z_rest = torch.linalg.cross(axis, y_rest)
        y_hand = hand[..., 1]
        turn = torch.atan2((z_rest * y_hand).sum(-1), (y_rest * y_hand).sum(-1))
        distance, thicker, wider, left = self._rings.T
        # The rings of the upper arm are upright on another axis.
        x, y, z = _SHOULDER
        shoulder = put([x, y * side, z], rim.device)
        elbow = centre[:, 0] + _ELBOW * axis
        above = torch.nn.functional.normalize(shoulder - elbow, dim=-1)
        bent = (distance > _ELBOW)[:, None]
        axes = torch.where(bent, above[:, None], axis[:, None])  # (M, R, 3)
        middle = centre + torch.where(
            bent, _ELBOW * axis[:, None] + (distance[:, None] - _ELBOW) * above[:, None],
            distance[:, None] * axis[:, None],
        )  # fmt: skip
        angle = (left * turn[:, None])[..., None]  # (M, R, 1)
        y = torch.cos(angle) * y_rest[:, None] + torch.sin(angle) * z_rest[:, None]
        y = torch.nn.functional.normalize(y - (y * axes).sum(-1, keepdim=True) * axes, dim=-1)
        z = torch.linalg.cross(axes, y)
        local = (rim - centre) @ hand  # (M, C, 3) in the hand's axes
        local = local * put([side, 1.0, side], local.device)
        slant = (1 - distance / _REACH).clamp(min=0)
        points = (
            middle[:, :, None]
            + (slant[:, None] * local[:, None, :, 0])[..., None] * axes[:, :, None]
            + (thicker[:, None] * local[:, None, :, 1])[..., None] * y[:, :, None]
            + (wider[:, None] * local[:, None, :, 2])[..., None] * z[:, :, None]
        )
        end = middle[:, -1:] + 0.01 * axes[:, -1:]
        return torch.cat([points.flatten(1, 2), end], 1)

    def _put(self, array: Array) -> Tensor:
        return put(np.asarray(array, np.float32), self._device)


def _parts(bodies: Bodies) -> NDArray[np.uint8]:
    """Return the surface number of every face."""
    hand_faces = len(bodies.models['right'].data.faces)
    arm_faces = len(bodies.faces) // 2 - hand_faces
    return np.repeat(np.array([1, 3, 2, 4], np.uint8), [hand_faces, arm_faces] * 2)


def _attributes(bodies: Bodies) -> NDArray[np.float32]:
    """Return the materials of the vertices, then texture coordinates of the hand at rest."""
    surface = bodies.surface
    right = bodies.models['right'].data.v_template
    wrist = bodies.models['right'].rest_joints(np.zeros((1, 10)))[0, 0]
    hand = np.column_stack([wrist[0] - right[:, 0], right[:, 2]])
    rim = right[bodies.rim]
    spots = rim[:, 1:] - rim[:, 1:].mean(0)
    around = np.arctan2(spots[:, 0], spots[:, 1]) * np.linalg.norm(spots, axis=1)
    start = wrist[0] - rim[:, 0].mean()
    rings = [np.column_stack([np.full(len(rim), start - ring), around]) for ring, *_ in _RINGS]
    arm = np.concatenate([*rings, [[start - _RINGS[-1][0] - 0.01, 0.0]]])
    texture = np.tile(np.concatenate([hand, arm]), (2, 1))
    materials = [surface.finger, surface.palm, surface.nail, surface.crease, surface.sleeve,
                 surface.mottle]  # fmt: skip
    return np.column_stack([*materials, texture]).astype(np.float32)


def _faces_around(bodies: Bodies) -> NDArray[np.int64]:
    """Return (K, V) the faces at every vertex, padded with the number of faces."""
    corners = bodies.faces.astype(np.int64).ravel()
    order = np.argsort(corners, kind='stable')
    vertices, faces = corners[order], order // 3
    starts = np.searchsorted(vertices, np.arange(bodies.vertex_count))
    places = np.arange(len(vertices)) - starts[vertices]
    around = np.full((places.max() + 1, bodies.vertex_count), len(bodies.faces))
    around[places, vertices] = faces
    return around
