"""GBuffer: what a batch of cameras sees at every pixel, before a sensor makes an image of it."""

from dataclasses import dataclass

import torch
from torch import Tensor

# Channels of ``GBuffer.attributes``. The first six are those of ``bodies.Surface`` and zero off
# the arms. u and v are texture coordinates in metres that stick to the surface: on table, wall
# and floor from a corner of it, on objects unrolled around them, on skin and cloth those of the
# hand at rest (u from the wrist to the finger tips, negative on the forearm; v across it).
ATTRIBUTES = ('finger', 'palm', 'nail', 'crease', 'sleeve', 'mottle', 'u', 'v')

# Values of ``GBuffer.surface``.
SURFACES = ('background', 'left hand', 'right hand', 'left arm', 'right arm', 'object')

# Values of ``GBuffer.material``. ``flat`` is a sheet or mat lying on the table (background in
# ``surface``); what follows it are solid things, on the table or in a hand (object in it).
MATERIALS = (
    'none', 'skin', 'sleeve', 'table', 'wall', 'floor', 'flat',
    'mug', 'can', 'bottle', 'box', 'sphere', 'pen', 'phone', 'book',
)  # fmt: skip
MATERIAL = {name: number for number, name in enumerate(MATERIALS)}


@dataclass(frozen=True, kw_only=True, eq=False)
class GBuffer:
    """N images of one stream: clips of ``frames`` consecutive moments, clip after clip.

    All tensors are on one device.

    Attributes:
        depth: (N, H, W) metres along the optical axis, of everything, background included; 0 only
            where the view has no surface at all.
        surface: (N, H, W) uint8 visible surface, see ``SURFACES``.
        hand_mask: (N, H, W) uint8 0 none, 1 left, 2 right: the hands' meshes alone, the nearer one
            on top, arms and objects ignored.
        material: (N, H, W) uint8, see ``MATERIALS``.
        item: (N, H, W) uint8 0 none, else 1 + the number of the object (flat ones included) within
            its clip; it stays the same over the clip and in every stream.
        normal: (N, H, W, 3) unit normals in the camera's optical frame, towards the camera.
        facing: (N, H, W) cosine between the normal and the direction to the camera, 0..1.
        attributes: (N, H, W, A) float32, see ``ATTRIBUTES``.
        rays: (N, H, W, 2) or (1, H, W, 2) ideal image-plane coordinates (x, y at z = 1) of the
            pixels, lens distortion removed.
        intrinsics: (N, 3, 3) K in pixels.
        T_scene_cam: (N, 4, 4) poses of the camera in the scene, whose frame is fixed to table and
            room within a clip (x forward, y left, z up, about gravity).
        frames: images per clip.
    """

    depth: Tensor
    surface: Tensor
    hand_mask: Tensor
    material: Tensor
    item: Tensor
    normal: Tensor
    facing: Tensor
    attributes: Tensor
    rays: Tensor
    intrinsics: Tensor
    T_scene_cam: Tensor
    frames: int

    @property
    def points(self) -> Tensor:
        """Points (N, H, W, 3) in the camera's optical frame, metres."""
        plane = torch.cat([self.rays, torch.ones_like(self.rays[..., :1])], dim=-1)
        return plane * self.depth[..., None]

    def attribute(self, name: str) -> Tensor:
        """Return one attribute (N, H, W) by its name in ``ATTRIBUTES``."""
        return self.attributes[..., ATTRIBUTES.index(name)]
