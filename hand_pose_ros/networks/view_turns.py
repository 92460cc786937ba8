"""Turns of whole views about the principal ray: pixels, joints, pose and translation together.

K stays as it is. The published augmentation leaves joints and translation unturned, so that they
contradict the image (methods specification, section 2.11).
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from hand_pose_ros.networks.rotations import axis_angle_from_rotation, rotation_from_axis_angle


def draw_turns(
    count: int, generator: Generator, *, deviation: float = 30.0, limit: float = 60.0,
    probability: float = 0.4,
) -> Tensor:  # fmt: skip
    """Draw angles (count,) in rad: normal, clipped, and zero for most images.

    Args:
        count: of images.
        generator: on the CPU.
        deviation: standard deviation, degrees.
        limit: largest, degrees.
        probability: of being turned at all.
    """
    angles = torch.randn(count, generator=generator) * math.radians(deviation)
    chosen = torch.rand(count, generator=generator) < probability
    return angles.clamp(-math.radians(limit), math.radians(limit)) * chosen


def turn_views(
    angles: Tensor, *, image: Tensor, intrinsics: Tensor, joints: Tensor, pixels: Tensor,
    visible: Tensor, global_orient: Tensor, translation: Tensor,
    hand_mask: Tensor | None = None, surface: Tensor | None = None,
) -> dict[str, Tensor | None]:  # fmt: skip
    """Turn N labelled views; positive angles turn x towards y, clockwise on the screen.

    Arguments and result are named and shaped as in ``ViewBatch``, so that
    ``dataclasses.replace(batch, **turn_views(angles, ...))`` is the turned batch. What comes into
    view is black and unlabelled; joints that leave the image are no longer visible.

    Args:
        angles: (N,) rad.
        image: (N, C, H, W).
        intrinsics: (N, 3, 3), they do not change.
        joints: (N, 2, 21, 3) metres.
        pixels: (N, 2, 21, 2).
        visible: (N, 2, 21).
        global_orient: (N, 2, 3) axis-angle.
        translation: (N, 2, 3) metres; the wrist turns with it, so joint 0 must be labelled
            wherever it is.
        hand_mask: (N, H, W).
        surface: (N, H, W).
    """
    turn = turn_matrices(angles.to(joints))
    height, width = image.shape[-2:]
    turned_joints = torch.einsum('nij,nskj->nski', turn, joints)
    turned_pixels = turn_pixels(pixels, intrinsics, turn)
    size = pixels.new_tensor([width, height])
    inside = ((turned_pixels >= -0.5) & (turned_pixels < size - 0.5)).all(dim=-1)
    # Skinning turns about the rest wrist, which is no part of the translation.
    step = turned_joints[:, :, 0] - joints[:, :, 0]
    orientation = turn[:, None] @ rotation_from_axis_angle(global_orient)
    return {
        'image': turn_images(image, intrinsics, turn),
        'joints': turned_joints,
        'pixels': turned_pixels,
        'visible': visible & inside,
        'global_orient': axis_angle_from_rotation(orientation),
        'translation': translation + step,
        'hand_mask': _turned_labels(hand_mask, intrinsics, turn),
        'surface': _turned_labels(surface, intrinsics, turn),
    }


def turn_matrices(angles: Tensor) -> Tensor:
    """Return rotations (N, 3, 3) about z by angles (N,) in rad."""
    zero = torch.zeros_like(angles)
    return rotation_from_axis_angle(torch.stack([zero, zero, angles], dim=1))


def turn_pixels(pixels: Tensor, intrinsics: Tensor, turn: Tensor) -> Tensor:
    """Return where pixels (N, ..., 2) go when the scene is turned by (N, 3, 3) about z."""
    change = intrinsics @ turn @ torch.linalg.inv(intrinsics)
    flat = pixels.flatten(1, -2)
    return (flat @ change[:, :2, :2].transpose(1, 2) + change[:, None, :2, 2]).view_as(pixels)


def turn_images(images: Tensor, intrinsics: Tensor, turn: Tensor, mode: str = 'bilinear') -> Tensor:
    """Return images (N, C, H, W) of the turned scene, zero where nothing was seen."""
    height, width = images.shape[-2:]
    like = {'dtype': intrinsics.dtype, 'device': images.device}
    row, column = torch.meshgrid(
        torch.arange(height, **like), torch.arange(width, **like), indexing='ij'
    )
    place = torch.stack([column, row], dim=-1).flatten(0, 1).expand(len(images), -1, 2)
    source = turn_pixels(place, intrinsics, turn.transpose(1, 2))
    grid = 2 * (source + 0.5) / source.new_tensor([width, height]) - 1
    return functional.grid_sample(
        images, grid.unflatten(1, (height, width)), mode=mode, align_corners=False
    )


def _turned_labels(labels: Tensor | None, intrinsics: Tensor, turn: Tensor) -> Tensor | None:
    if labels is None:
        return None
    values = labels[:, None].to(intrinsics.dtype)
    return turn_images(values, intrinsics, turn, 'nearest')[:, 0].round().to(labels.dtype)
