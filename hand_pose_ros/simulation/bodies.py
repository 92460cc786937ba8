"""Bodies: both hands with forearms and sleeves as one mesh, and what each vertex is made of."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.hand_model.hand import HandModel
from hand_pose_ros.hand_model.model_files import HandModelData, load_hand_model
from hand_pose_ros.simulation import kernels
from hand_pose_ros.simulation.motion import ArmState
from hand_pose_ros.skeleton import MANO_TO_OPENPOSE, OPENPOSE_TO_MANO, SIDES, Side

Array = NDArray[np.float64]

# Rings of the forearm: distance from the wrist rim (m), growth of thickness and of width, and
# how much of the hand's turn about the forearm is left there. The sleeve starts at SLEEVE_RING.
RINGS = (
    (0.010, 1.00, 1.00, 0.97), (0.022, 1.02, 1.03, 0.93), (0.036, 1.08, 1.08, 0.88),
    (0.050, 1.14, 1.14, 0.82), (0.052, 1.36, 1.30, 0.82), (0.075, 1.46, 1.40, 0.74),
    (0.105, 1.60, 1.50, 0.64), (0.140, 1.75, 1.60, 0.54), (0.180, 1.90, 1.70, 0.44),
    (0.225, 2.00, 1.75, 0.35), (0.280, 2.05, 1.80, 0.28), (0.340, 2.10, 1.85, 0.20),
    (0.410, 2.15, 1.90, 0.15),
)  # fmt: skip
SLEEVE_RING = 4
_INFLUENCES = 6  # joints that move one vertex, at most


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """What the vertices (N,) of the whole mesh are made of.

    Attributes:
        finger: 0 on palm and arm, rising to 1 at the finger tips.
        palm: 1 on the palm side, 0 on the back, in between at the edges.
        nail: 1 on finger nails.
        crease: 1 in the skin folds over finger joints.
        sleeve: 1 on cloth, 0 on skin.
        mottle: smooth unit-variance variation over the skin.
    """

    finger: Array
    palm: Array
    nail: Array
    crease: Array
    sleeve: Array
    mottle: Array


class Bodies:
    """The mesh of a pair of arms: per side the hand's vertices, then the forearm's rings.

    Attributes:
        models: hand model of each side.
        faces: (F, 3) triangles of the whole mesh, counter-clockwise seen from outside.
        surface: per-vertex materials.
        rim: vertices of the open edge of a hand's mesh, where its forearm starts.
        hand_count, arm_count: vertices of one hand and of one forearm.
        vertex_count: all vertices.
    """

    def __init__(self, seed: int = 0, rings: tuple[tuple[float, ...], ...] = RINGS) -> None:
        """Build the mesh; ``seed`` varies the skin, ``rings`` (see ``RINGS``) make the arms."""
        self._rings = np.array(rings)
        self.models = {side: HandModel(load_hand_model(side)) for side in SIDES}
        right = self.models['right'].data
        self.rim = _rim(right.faces)
        self.hand_count = len(right.v_template)
        count = len(self.rim)
        self.arm_count = count * len(rings) + 1
        side_count = self.hand_count + self.arm_count
        arm = _arm_faces(self.rim, self.hand_count, len(rings))
        single = np.concatenate([right.faces, arm])
        mirrored = single[:, ::-1]
        self.faces = np.concatenate([mirrored, single + side_count]).astype(np.int32)
        self.vertex_count = 2 * side_count
        self._shapes: dict[tuple[Side, bytes], tuple[Array, Array]] = {}
        strongest = np.argsort(-right.weights, axis=1)[:, :_INFLUENCES].astype(np.int32)
        shares = np.take_along_axis(right.weights, strongest, axis=1)
        self._skin = strongest, shares / shares.sum(1, keepdims=True)
        self.surface = _surface(right, self.arm_count, count, seed)

    def hand_vertices(self, index: int) -> slice:
        """Return where the vertices of ``SIDES[index]``'s hand are in the mesh."""
        start = index * (self.hand_count + self.arm_count)
        return slice(start, start + self.hand_count)

    def hands(self, state: ArmState) -> list[tuple[Array, Array]]:
        """Return joints (21, 3), internal order, and vertices (V, 3) of both hands, rig frame."""
        result = []
        for index, side in enumerate(SIDES):
            model = self.models[side]
            rest, shaped = self._shape(side, state.betas[index])
            rotations, origins = model.kinematics(
                state.global_orient[index : index + 1], state.hand_pose[index : index + 1],
                state.betas[index : index + 1], state.translation[index : index + 1],
            )  # fmt: skip
            offsets = origins[0] - (rotations[0] @ rest[..., None])[..., 0]
            vertices = kernels.skin(rotations[0], offsets, shaped, *self._skin)
            joints = np.concatenate([origins[0], vertices[model.data.tips]])
            result.append((joints[list(MANO_TO_OPENPOSE)], vertices))
        return result

    def vertices(self, hands: list[Array], state: ArmState) -> Array:
        """Join posed hand vertices (V, 3), left then right, and their forearms: (N, 3)."""
        parts: list[Array] = []
        for index, side in enumerate(SIDES):
            arm = kernels.sweep_arm(
                hands[index][self.rim], state.orientations[index], state.forearms[index],
                self._rings, 1.0 if side == 'right' else -1.0,
            )  # fmt: skip
            parts += [hands[index], arm]
        return np.concatenate(parts)

    def normals(self, vertices: Array) -> Array:
        """Return unit vertex normals (N, 3): area-weighted means of the faces around."""
        return kernels.vertex_normals(vertices, self.faces)

    def _shape(self, side: Side, betas: Array) -> tuple[Array, Array]:
        """Return rest joints (16, 3), MANO order, and rest vertices of a shape, made once."""
        key = (side, betas.tobytes())
        if key not in self._shapes:
            model = self.models[side]
            rest = model.rest_joints(betas[None])[0][list(OPENPOSE_TO_MANO[:16])]
            self._shapes = {other: made for other, made in self._shapes.items() if other[0] != side}
            self._shapes[key] = (rest, model.data.v_template + model.data.shapedirs @ betas)
        return self._shapes[key]


def _rim(faces: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the open edge of a hand mesh as a vertex loop, in the order the faces run."""
    edges = {(int(face[k]), int(face[(k + 1) % 3])) for face in faces for k in range(3)}
    follow = {a: b for a, b in edges if (b, a) not in edges}
    loop = [next(iter(sorted(follow)))]
    while len(loop) < len(follow):
        loop.append(follow[loop[-1]])
    return np.array(loop)


def _arm_faces(rim: NDArray[np.int64], start: int, rings: int) -> NDArray[np.int64]:
    """Connect the rim and the rings, and close the end, for a right arm."""
    count = len(rim)
    loops = [rim] + [start + ring * count + np.arange(count) for ring in range(rings)]
    faces = []
    for near, far in pairwise(loops):
        near_next, far_next = np.roll(near, -1), np.roll(far, -1)
        faces += [np.stack([near, far, near_next], 1), np.stack([near_next, far, far_next], 1)]
    end = np.full(count, start + rings * count)
    faces.append(np.stack([loops[-1], end, np.roll(loops[-1], -1)], 1))
    # The rim runs with its faces; the arm's triangles share those edges the other way round.
    return np.concatenate(faces)


def _surface(hand: HandModelData, arm_count: int, rim: int, seed: int) -> Surface:
    """Paint a right hand from its rest shape, and repeat it for both sides."""
    model = HandModel(hand)
    rest = model.rest_joints(np.zeros((1, 10)))[0]
    vertices = hand.v_template
    a, b, c = (vertices[hand.faces[:, corner]] for corner in range(3))
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, hand.faces[:, corner], np.cross(b - a, c - a))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    finger, nail, crease = (np.zeros(len(vertices)) for _ in range(3))
    palm = np.clip(0.5 - 0.9 * normals[:, 1], 0, 1)
    for first in (1, 5, 9, 13, 17):
        chain = rest[first : first + 4]
        joint = _mano_joint(first)
        members = np.flatnonzero(hand.weights[:, joint : joint + 3].sum(1) > 0.5)
        dorsal = hand.joint_axes[joint + 1, 1]  # of the last phalanx
        palm[members] = np.clip(0.5 - 0.9 * normals[members] @ dorsal, 0, 1)
        lengths = np.linalg.norm(np.diff(chain, axis=0), axis=1)
        along = np.zeros(len(members))
        for k in range(3):
            bone = (chain[k + 1] - chain[k]) / lengths[k]
            along += np.clip((vertices[members] - chain[k]) @ bone, 0, lengths[k])
        finger[members] = along / lengths.sum()
        for k in (1, 2):
            near = np.exp(-(((along - lengths[:k].sum()) / 0.0025) ** 2))
            crease[members] = np.maximum(crease[members], near)
        onto = vertices[members] - chain[3]
        bone = (chain[3] - chain[2]) / lengths[2]
        back = normals[members] @ dorsal > 0.55
        nail[members] = back & (onto @ bone > -0.013) & (onto @ bone < 0.002)
    generator = np.random.default_rng(seed)
    waves = generator.normal(0, 90, (12, 3))
    phases = generator.uniform(0, 2 * np.pi, 12)
    mottle = np.sin(vertices @ waves.T + phases).sum(1) / np.sqrt(6)
    sleeve = np.zeros(arm_count)
    sleeve[SLEEVE_RING * rim :] = 1

    def both(values: Array, arm: float | Array = 0.0) -> Array:
        return np.tile(np.r_[values, np.broadcast_to(arm, arm_count)], 2)

    cloth = generator.normal(0, 1, arm_count)
    return Surface(
        finger=both(finger), palm=both(palm, 0.4), nail=both(nail), crease=both(crease),
        sleeve=both(np.zeros(len(vertices)), sleeve), mottle=both(mottle, cloth * sleeve * 0.6),
    )  # fmt: skip


def _mano_joint(first: int) -> int:
    """Return the MANO joint of a finger's first joint in the internal order."""
    return {1: 13, 5: 1, 9: 4, 13: 10, 17: 7}[first]
