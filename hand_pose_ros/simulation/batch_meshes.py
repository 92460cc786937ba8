"""Meshes of a batch: the posed arms of every clip joined with its objects."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.simulation.batch_bodies import BatchBodies
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_objects import Things
from hand_pose_ros.simulation.batch_plan import ClipPlan
from hand_pose_ros.simulation.batch_rasterizer import Meshes


def scene_meshes(
    bodies: BatchBodies,
    plans: Sequence[ClipPlan],
    made: Sequence[Things],
    vertices: Tensor,
    normals: Tensor,
) -> Meshes:
    """Join arms and objects; clips with fewer objects are padded with what is never drawn.

    Args:
        bodies: the arms' mesh.
        plans: of the B clips.
        made: meshes of each clip's objects.
        vertices, normals: (N, V, 3) of the arms in the scene.
    """
    device = vertices.device
    points, turned = _placed(plans, made, device)
    arms = torch.zeros((len(bodies.faces), 3), dtype=torch.uint8, device=device)
    arms[:, 0] = bodies.parts
    count, start = len(plans), len(bodies.attributes)
    faces = put(_padded([thing.faces for thing in made]), device)
    codes = put(_padded([thing.codes for thing in made]), device)
    texture = put(_padded([thing.texture.astype(np.float32) for thing in made]), device)
    looks = bodies.attributes.new_zeros((count, texture.shape[1], bodies.attributes.shape[1]))
    looks[..., -2:] = texture
    return Meshes(
        vertices=torch.cat([vertices, points], 1),
        normals=torch.cat([normals, turned], 1),
        # Padded faces have three equal corners and so no area.
        faces=torch.cat([bodies.faces.expand(count, -1, -1), faces + start], 1),
        looks=torch.cat([bodies.attributes.expand(count, -1, -1), looks], 1),
        codes=torch.cat([arms.expand(count, -1, -1), codes], 1),
        hand_faces=bodies.hand_faces,
        flats=put(_padded([plan.room.flats.astype(np.float32) for plan in plans]), device),
        flat_items=put([1 + len(plan.solids) for plan in plans], device),
    )


def _placed(
    plans: Sequence[ClipPlan], made: Sequence[Things], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return points and normals (N, V, 3) of the objects at all moments."""
    frames = len(plans[0].T_scene_rig)
    most = max(1, *(len(plan.solids) for plan in plans))
    poses = np.tile(np.eye(4), (len(plans), frames, most, 1, 1))
    for clip, plan in enumerate(plans):
        for number, solid in enumerate(plan.solids):
            poses[clip, :, number] = solid.T_scene_item
    owner = put(_padded([thing.owner for thing in made]), device)
    local = put(_padded([thing.points.astype(np.float32) for thing in made]), device)
    outward = put(_padded([thing.normals.astype(np.float32) for thing in made]), device)
    T = put(poses.astype(np.float32), device)
    chosen = torch.stack([T[clip][:, owner[clip]] for clip in range(len(plans))])  # (B, T, V, 4, 4)
    turn, shift = chosen[..., :3, :3], chosen[..., :3, 3]
    points = (turn * local[:, None, :, None]).sum(-1) + shift
    normals = (turn * outward[:, None, :, None]).sum(-1)
    return points.flatten(0, 1), normals.flatten(0, 1)


def _padded(arrays: Sequence[NDArray]) -> NDArray:
    """Stack arrays (K, ...) of different lengths, the shorter ones followed by zeros."""
    result = np.zeros((len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
    for row, array in zip(result, arrays, strict=True):
        row[: len(array)] = array
    return result
