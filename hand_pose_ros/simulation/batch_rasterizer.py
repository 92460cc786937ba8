"""Rasterizer of batches: meshes before a room to G-buffers; compiled on CPUs, else plain torch."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.simulation import batch_fragments as fragments
from hand_pose_ros.simulation import batch_kernels
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_views import NEAR, Views
from hand_pose_ros.simulation.gbuffer import ATTRIBUTES, GBuffer

Backend = Literal['numba', 'torch']
_PAINTED = ('depth', 'classes', 'normal', 'facing', 'attributes')


@dataclass(frozen=True, kw_only=True, eq=False)
class Meshes:
    """What stands before the background: N moments of B clips, N = B * frames.

    Faces of the hands come first within ``hand_faces``, which is what the hand mask shows.

    Attributes:
        vertices: (N, V, 3) metres in the scene; NaN = not there.
        normals: (N, V, 3) unit normals in the scene.
        faces: (B, F, 3) int64, counter-clockwise seen from outside; all zero = padding.
        looks: (B, V, A) attributes.
        codes: (B, F, 3) uint8 surface, material (0 = skin or sleeve by the attribute), item.
        hand_faces: ranges of faces that are hands.
        flats: (B, S, 5) see ``batch_plan.Room``; zero size = padding.
        flat_items: (B,) int64 item number of the first flat.
    """

    vertices: Tensor
    normals: Tensor
    faces: Tensor
    looks: Tensor
    codes: Tensor
    hand_faces: tuple[tuple[int, int], ...]
    flats: Tensor
    flat_items: Tensor


def rasterize(
    meshes: Meshes,
    planes: Tensor,
    views: Views,
    frames: int,
    *,
    backend: Backend | None = None,
    scratch: dict[str, Any] | None = None,
) -> GBuffer:
    """Find what every pixel of N images sees.

    Args:
        meshes: of all clips.
        planes: (N, 7, 16) see ``batch_background``.
        views: the cameras.
        frames: images per clip.
        backend: ``numba`` (CPU only) or ``torch``; by default what suits the device.
        scratch: memory that a later call with the same dictionary uses again, which saves most
            of the time of fresh memory on CPUs; the G-buffer is lost then.
    """
    device = meshes.vertices.device
    turn = put(views.T_scene_cam, device)
    rotation = turn[:, :3, :3].float()
    origin = turn[:, None, :3, 3].float()
    points = (meshes.vertices - origin) @ rotation
    pixels = views.project(points)
    depth = points[..., 2]
    inverse = torch.where(depth > NEAR, 1 / depth, 0.0)
    normals = meshes.normals @ rotation
    chosen = backend or ('numba' if device.type == 'cpu' else 'torch')
    if chosen == 'numba':
        channels = _compiled(
            meshes, points, pixels, inverse, normals, planes, views, frames, scratch
        )
    else:
        channels = _plain(meshes, points, pixels, inverse, normals, planes, views, frames)
    return GBuffer(
        **channels,
        rays=views.rays,
        intrinsics=views.intrinsics,
        T_scene_cam=turn.float(),
        frames=frames,
    )


def _compiled(
    meshes: Meshes,
    points: Tensor,
    pixels: Tensor,
    inverse: Tensor,
    normals: Tensor,
    planes: Tensor,
    views: Views,
    frames: int,
    scratch: dict[str, Any] | None,
) -> dict[str, Tensor]:
    """Render image by image with the compiled loops."""
    count, height, width = len(pixels), views.camera.height, views.camera.width
    out = dict(_empty(count, height, width, scratch))
    arrays = {name: tensor.numpy() for name, tensor in out.items()}
    xy, near, across = (np.ascontiguousarray(t.numpy()) for t in (pixels, inverse, normals))
    rays, table = views.rays.numpy(), planes.numpy()
    corners = (points[:, :0] if views.rectified else points).contiguous().numpy()
    faces, looks, codes = meshes.faces.numpy(), meshes.looks.numpy(), meshes.codes.numpy()
    flats = meshes.flats.numpy()
    rest = _between(meshes.hand_faces, faces.shape[1])
    for n in range(count):
        clip = n // frames
        buffer = np.zeros((height, width), np.float32)
        winner = np.zeros((height, width), np.int32)
        for first, last in meshes.hand_faces:
            batch_kernels.nearest(xy[n], near[n], faces[clip], first, last, buffer, winner)
        batch_kernels.mark(buffer, winner, codes[clip], arrays['hand_mask'][n])
        for first, last in rest:
            batch_kernels.nearest(xy[n], near[n], faces[clip], first, last, buffer, winner)
        channels = [arrays[name][n] for name in _PAINTED]
        image_rays = rays[n if len(rays) > 1 else 0]
        batch_kernels.backdrop(
            image_rays, table[n], flats[clip], int(meshes.flat_items[clip]), buffer, *channels
        )
        batch_kernels.paint(
            image_rays, buffer, winner, xy[n], near[n], across[n], looks[clip], faces[clip],
            codes[clip], corners[n], *channels,
        )  # fmt: skip
    classes = out.pop('classes')
    out['surface'], out['material'], out['item'] = classes[:, 0], classes[:, 1], classes[:, 2]
    return out


def _plain(
    meshes: Meshes,
    points: Tensor,
    pixels: Tensor,
    inverse: Tensor,
    normals: Tensor,
    planes: Tensor,
    views: Views,
    frames: int,
) -> dict[str, Tensor]:
    """Render all images with torch."""
    height, width = views.camera.height, views.camera.width
    clips = torch.arange(len(pixels), device=pixels.device) // frames
    faces, codes = meshes.faces[clips], meshes.codes[clips]
    names = torch.arange(faces.shape[1], device=faces.device).expand(len(faces), -1)
    named = torch.cat([faces, names[..., None]], -1)
    keys: Tensor | None = None
    stages = (meshes.hand_faces, _between(meshes.hand_faces, faces.shape[1]))
    masks = []
    for ranges in stages:
        part = torch.cat([named[:, :0], *(named[:, first:last] for first, last in ranges)], 1)
        keys = fragments.nearest(pixels, inverse, part, (height, width), keys)
        masks.append(codes[..., 0].gather(1, fragments.face_of(keys)) * (keys > 0))
    assert keys is not None
    room = fragments.backdrop(views.rays, planes, meshes.flats[clips], meshes.flat_items[clips])
    keys = torch.where(fragments.value_of(keys) > room['inverse'].flatten(1), keys, 0)
    values = torch.cat([meshes.looks[clips], normals], -1)
    where, mixed = fragments.interpolate(keys, pixels, inverse, faces, values, width)
    image, place = where.T
    looks, across = mixed[:, :-3], mixed[:, -3:]
    code = codes[image, fragments.face_of(keys[image, place])]
    skin = torch.where(looks[:, ATTRIBUTES.index('sleeve')] > 0.5, 2, 1).byte()
    classes = torch.stack([torch.zeros_like(room['item']), room['material'], room['item']], 1)
    classes = classes.flatten(2)
    code = torch.stack([code[:, 0], torch.where(code[:, 1] == 0, skin, code[:, 1]), code[:, 2]], 1)
    classes[image, :, place] = code
    attributes = torch.zeros((*keys.shape, len(ATTRIBUTES)), device=keys.device)
    attributes[..., -2:] = room['texture'].flatten(1, 2)
    attributes[image, place] = looks
    normal = room['normal'].flatten(1, 2)
    normal[image, place] = across
    normal = torch.nn.functional.normalize(normal, dim=-1).unflatten(1, (height, width))
    far = room['inverse'].flatten(1)
    near = torch.where(keys > 0, fragments.value_of(keys), far)
    depth = torch.where(near > 0, 1 / near, 0.0)
    if not views.rectified:
        face = faces[image, fragments.face_of(keys[image, place])]
        ray = views.rays.flatten(1, 2).expand(len(keys), -1, -1)[image, place]
        depth[image, place] = fragments.depth_of(points[image[:, None], face], ray)
    rays = torch.cat([views.rays, torch.ones_like(views.rays[..., :1])], -1)
    facing = -(normal * torch.nn.functional.normalize(rays, dim=-1)).sum(-1)
    surface, material, item = classes.unflatten(2, (height, width)).unbind(1)
    shape = (-1, height, width)
    return {
        'depth': depth.reshape(shape),
        'hand_mask': masks[0].reshape(shape),
        'surface': surface,
        'material': material,
        'item': item,
        'normal': normal,
        'facing': facing.clamp(min=0) * (depth.reshape(shape) > 0),
        'attributes': attributes.unflatten(1, (height, width)),
    }


def _empty(
    count: int, height: int, width: int, scratch: dict[str, Any] | None
) -> dict[str, Tensor]:
    shape = (count, height, width)
    key = f'{count} {height} {width}'
    if scratch is not None and key in scratch:
        return scratch[key]
    made = {
        'depth': torch.empty(shape),
        'hand_mask': torch.empty(shape, dtype=torch.uint8),
        'classes': torch.empty((count, 3, height, width), dtype=torch.uint8),
        'normal': torch.empty((*shape, 3)),
        'facing': torch.empty(shape),
        'attributes': torch.empty((*shape, len(ATTRIBUTES))),
    }
    if scratch is not None:
        scratch[key] = made
    return made


def _between(ranges: tuple[tuple[int, int], ...], end: int) -> list[tuple[int, int]]:
    """Return the ranges of 0..end that are not in ascending ``ranges``."""
    edges = [0, *(edge for pair in ranges for edge in pair), end]
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(first, last) for first, last in pairs if first < last]
