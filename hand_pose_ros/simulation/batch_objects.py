"""Objects of batched clips: low-poly things of any size with texture coordinates in metres."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.batch_plan import Solid
from hand_pose_ros.simulation.gbuffer import MATERIAL

Array = NDArray[np.float64]

_AROUND = 20  # sides of what is round
KINDS = ('mug', 'can', 'bottle', 'box', 'sphere', 'pen', 'phone', 'book')
_CAN = ((0, -0.5), (1, -0.5), (1, -0.17), (1, 0.17), (1, 0.5), (0, 0.5))
_BOTTLE = ((0, -0.5), (1, -0.5), (1, -0.15), (1, 0.15), (0.4, 0.33), (0.35, 0.5), (0, 0.5))
_PEN = ((0, -0.5), (0.35, -0.47), (1, -0.40), (1, 0.0), (1, 0.5), (0, 0.5))


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """A thing of size 1; round ones have radius 1 in x and y and length 1 in z.

    Attributes:
        points, normals: (V, 3).
        faces: (F, 3) counter-clockwise seen from outside.
        texture: (V, 2, 3) texture coordinates as a linear map of the scaled point.
        roll: (V,) what a round thing adds to u, times its radius: the angle around it.
    """

    points: Array
    normals: Array
    faces: NDArray[np.int64]
    texture: Array
    roll: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Things:
    """The meshes of the solids of one clip, each in its own frame.

    Attributes:
        points, normals: (V, 3) metres.
        owner: (V,) number of the solid in the clip.
        faces: (F, 3).
        codes: (F, 3) uint8 surface, material and item.
        texture: (V, 2) metres.
    """

    points: Array
    normals: Array
    owner: NDArray[np.int64]
    faces: NDArray[np.int64]
    codes: NDArray[np.uint8]
    texture: Array


def things(solids: Sequence[Solid]) -> Things:
    """Scale and join the meshes of solids; their items are numbered from 1."""
    parts: list[tuple[NDArray[Any], ...]] = []
    start = 0
    for number, solid in enumerate(solids):
        kind = templates()[solid.kind]
        points = kind.points * solid.size
        normals = kind.normals / solid.size
        texture = np.einsum('vij,vj->vi', kind.texture, points)
        texture[:, 0] += kind.roll * solid.size[0]
        codes = np.empty((len(kind.faces), 3), np.uint8)
        codes[:] = (5, MATERIAL[solid.kind], number + 1)
        parts.append((
            points, normals / np.linalg.norm(normals, axis=1, keepdims=True),
            np.full(len(points), number), kind.faces + start, codes, texture,
        ))  # fmt: skip
        start += len(points)
    if not parts:
        empty = np.zeros((0, 3))
        return Things(points=empty, normals=empty, owner=np.zeros(0, np.int64),
                      faces=np.zeros((0, 3), np.int64), codes=np.zeros((0, 3), np.uint8),
                      texture=np.zeros((0, 2)))  # fmt: skip
    points, normals, owner, faces, codes, texture = (
        np.concatenate(p) for p in zip(*parts, strict=True)
    )
    return Things(points=points, normals=normals, owner=owner, faces=faces, codes=codes,
                  texture=texture)  # fmt: skip


@cache
def templates() -> dict[str, Template]:
    """Return the template of every kind, made once."""
    box = _box()
    can = _turned(_CAN)
    return {
        'mug': _joined(can, _handle()), 'can': can, 'bottle': _turned(_BOTTLE), 'box': box,
        'sphere': _sphere(), 'pen': _turned(_PEN), 'phone': box, 'book': box,
    }  # fmt: skip


def _box() -> Template:
    """A cube with faces cut into 3 x 3, so that a lens bends its edges well enough."""
    steps = np.linspace(-0.5, 0.5, 4)
    b, a = (grid.ravel() for grid in np.meshgrid(steps, steps))
    points: list[Array] = []
    normals, faces, textures = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            side = np.empty((16, 3))
            side[:, axis] = 0.5 * sign
            side[:, (axis + 1) % 3], side[:, (axis + 2) % 3] = a, b
            flat = np.zeros((2, 3))
            flat[0, (axis + 1) % 3] = flat[1, (axis + 2) % 3] = 1
            faces.append(_grid_faces(4, 4) + 16 * len(points))
            points.append(side)
            normals.append(np.tile(sign * np.eye(3)[axis], (16, 1)))
            textures.append(np.tile(flat, (16, 1, 1)))
    return _oriented(
        np.concatenate(points), np.concatenate(normals), np.concatenate(faces),
        np.concatenate(textures), np.zeros(96),
    )  # fmt: skip


def _turned(profile: Sequence[tuple[float, float]]) -> Template:
    """A profile of (radius, height) turned about z, with an edge at every point of it."""
    angle = np.linspace(0, 2 * np.pi, _AROUND + 1)
    round_ = np.column_stack([np.cos(angle), np.sin(angle)])
    points: list[Array] = []
    normals, faces, textures, rolls = [], [], [], []
    for start, end in pairwise(profile):
        slope = np.array([end[1] - start[1], start[0] - end[0]])
        slope /= np.linalg.norm(slope)
        faces.append(_grid_faces(2, _AROUND + 1) + 2 * (_AROUND + 1) * len(points))
        ends = [np.column_stack([r * round_, np.full(len(angle), z)]) for r, z in (start, end)]
        points.append(np.concatenate(ends))
        normal = np.column_stack([slope[0] * round_, np.full(len(angle), slope[1])])
        normals.append(np.tile(normal, (2, 1)))
        cap = abs(end[1] - start[1]) < 1e-9
        flat = [[1, 0, 0], [0, 1, 0]] if cap else [[0, 0, 0], [0, 0, 1]]
        textures.append(np.tile(np.array(flat, float), (2 * len(angle), 1, 1)))
        rolls.append(np.zeros(2 * len(angle)) if cap else np.tile(angle, 2))
    return _oriented(
        np.concatenate(points), np.concatenate(normals), np.concatenate(faces),
        np.concatenate(textures), np.concatenate(rolls),
    )  # fmt: skip


def _sphere() -> Template:
    """A ball of radius 1."""
    rows = 11
    angle, polar = np.linspace(0, 2 * np.pi, _AROUND + 1), np.linspace(0, np.pi, rows)
    ring = np.sin(polar)[:, None]
    points = np.stack(
        [ring * np.cos(angle), ring * np.sin(angle), np.cos(polar)[:, None] + 0 * angle], -1
    ).reshape(-1, 3)
    texture = np.tile(np.array([[0, 0, 0], [0, 0, 1.0]]), (len(points), 1, 1))
    return _oriented(points, points, _grid_faces(rows, _AROUND + 1), texture, np.tile(angle, rows))


def _handle() -> Template:
    """A bow on the +y side of a mug."""
    bow, tube = np.linspace(0, np.pi, 9), np.linspace(0, 2 * np.pi, 9)
    out = np.column_stack([np.zeros(9), np.sin(bow), np.cos(bow)])
    middle = np.array([0, 0.95, 0]) + out * (0, 0.75, 0.33)
    aside = np.array([1.0, 0, 0])
    normals = np.cos(tube)[:, None] * aside + np.sin(tube)[:, None] * out[:, None]
    points = middle[:, None] + normals * (0.16, 0.16, 0.07)
    texture = np.tile(np.array([[0, 1.0, 0], [0, 0, 1.0]]), (81, 1, 1))
    return _oriented(
        points.reshape(-1, 3), normals.reshape(-1, 3), _grid_faces(9, 9), texture, np.zeros(81)
    )


def _grid_faces(rows: int, columns: int) -> NDArray[np.int64]:
    """Return the triangles of a grid of points, row after row."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    right, below = corner + 1, corner + columns
    return np.concatenate(
        [np.stack([corner, right, below], 1), np.stack([right, below + 1, below], 1)]
    )


def _oriented(
    points: Array, normals: Array, faces: NDArray[np.int64], texture: Array, roll: Array
) -> Template:
    """Turn every triangle so that it faces along its normals; drop those without area."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    across = np.cross(b - a, c - a)
    size = np.linalg.norm(across, axis=1)
    inward = np.einsum('fi,fi->f', across, normals[faces].mean(1)) < 0
    faces = np.where(inward[:, None], faces[:, ::-1], faces)[size > 1e-9]
    return Template(points=points, normals=normals, faces=faces, texture=texture, roll=roll)


def _joined(first: Template, second: Template) -> Template:
    return Template(
        points=np.concatenate([first.points, second.points]),
        normals=np.concatenate([first.normals, second.normals]),
        faces=np.concatenate([first.faces, second.faces + len(first.points)]),
        texture=np.concatenate([first.texture, second.texture]),
        roll=np.concatenate([first.roll, second.roll]),
    )
