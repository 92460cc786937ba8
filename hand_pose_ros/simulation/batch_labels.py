"""Labels of batched clips: exact joints, pixels, visibility and parameters in each camera."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.datasets.batch import ViewBatch
from hand_pose_ros.simulation.batch_device import put
from hand_pose_ros.simulation.batch_draw import rotation_vectors
from hand_pose_ros.simulation.batch_poses import models
from hand_pose_ros.simulation.batch_views import Views
from hand_pose_ros.simulation.gbuffer import GBuffer
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

LEAST_INSIDE = 7  # of a hand's 21 joints: with fewer in the image it counts as not in view
# How far a joint lies under its own skin at most (m); what is nearer by more hides it.
_FLESH = (
    0.036, 0.036, 0.026, 0.020, 0.016, *(4 * (0.030, 0.020, 0.017, 0.015)),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class HandStates:
    """Both hands (left, right) of N moments in the scene.

    Attributes:
        joints: (N, 2, 21, 3) metres, internal order.
        rotations: (N, 2, 3, 3) from rest axes.
        hand_pose: (N, 2, 15, 3) axis-angle.
        betas: (N, 10).
        grasp: (N, 2) int.
        present: (N, 2) bool.
    """

    joints: Array
    rotations: Array
    hand_pose: Array
    betas: Array
    grasp: NDArray[np.int64]
    present: NDArray[np.bool_]


def hand_labels(states: HandStates, views: Views, gbuffer: GBuffer) -> dict[str, Tensor]:
    """Return what a ``ViewBatch`` says about the hands, in the cameras' optical frames.

    A hand is valid in a view where it is present and ``LEAST_INSIDE`` of its joints are inside
    the image; the labels of the others are NaN, and their grasp is -1.
    """
    T = views.T_scene_cam
    joints = (states.joints - T[:, None, None, :3, 3]) @ T[:, None, :3, :3]
    flat = joints.reshape(len(T), -1, 3).astype(np.float32)
    device = gbuffer.depth.device
    pixels = views.project(put(flat, device)).unflatten(1, (2, 21))
    edge = put([views.camera.width - 1, views.camera.height - 1], device)
    inside = ((pixels >= 0) & (pixels <= edge)).all(-1)
    present = put(states.present, device)
    valid = present & (inside.sum(-1) >= LEAST_INSIDE)
    depth = put(joints[..., 2].astype(np.float32), device)
    visible = inside & valid[..., None] & _unhidden(pixels, depth, inside, gbuffer)
    wrists = np.stack(
        [models()[side].rest_joints(states.betas)[:, 0] for side in SIDES], 1
    )  # (N, 2, 3), what the translation is added to
    turned = T[:, None, :3, :3].swapaxes(-1, -2) @ states.rotations
    labels = {
        'joints': joints,
        'global_orient': rotation_vectors(turned),
        'hand_pose': states.hand_pose,
        'betas': np.repeat(states.betas[:, None], 2, 1),
        'translation': joints[:, :, 0] - wrists,
    }
    result = {
        name: _masked(put(array.astype(np.float32), device), valid)
        for name, array in labels.items()
    }
    grasp = put(states.grasp, device)
    result['pixels'] = _masked(pixels, valid)
    result['visible'] = visible
    result['grasp'] = torch.where(valid, grasp, -1)
    result['in_view'] = valid
    return result


def view_batch(
    image: Tensor, gbuffer: GBuffer, labels: dict[str, Tensor], modality: str
) -> ViewBatch:
    """Put images and labels (see ``hand_labels``) together for training."""
    labels = dict(labels)
    in_view = labels.pop('in_view')
    known = ('joints_3d', 'joints_2d', 'pose', 'betas', 'camera', 'grasp')
    return ViewBatch(
        **labels,
        image=image,
        intrinsics=gbuffer.intrinsics,
        hand_mask=gbuffer.hand_mask.clone(),
        surface=gbuffer.surface.clone(memory_format=torch.contiguous_format),
        not_padding=torch.ones(len(image), device=image.device),
        frames=gbuffer.frames,
        valid={**dict.fromkeys(known, in_view), 'mask': torch.ones_like(in_view)},
        modality=modality,
    )


def joined(batches: Sequence[ViewBatch]) -> ViewBatch:
    """Put batches of one stream one after the other."""
    first = batches[0]
    if len(batches) == 1:
        return first
    names = [field.name for field in fields(ViewBatch) if field.name not in ('frames', 'modality')]
    names.remove('valid')
    together: dict[str, Any] = {
        name: torch.cat([getattr(batch, name) for batch in batches]) for name in names
    }
    valid = {name: torch.cat([batch.valid[name] for batch in batches]) for name in first.valid}
    return replace(first, **together, valid=valid)


def _masked(values: Tensor, valid: Tensor) -> Tensor:
    return torch.where(valid.reshape(*valid.shape, *(1,) * (values.dim() - 2)), values, torch.nan)


def _unhidden(pixels: Tensor, depth: Tensor, inside: Tensor, gbuffer: GBuffer) -> Tensor:
    """Say which joints (N, 2, 21) have nothing before them but their own skin."""
    height, width = gbuffer.depth.shape[1:]
    spot = torch.where(inside[..., None], pixels, 0.0).round().long()
    rows, columns = spot[..., 1].clamp(0, height - 1), spot[..., 0].clamp(0, width - 1)
    places = (rows * width + columns).flatten(1)
    before = gbuffer.depth.flatten(1).gather(1, places).reshape(depth.shape)
    seen = gbuffer.surface.flatten(1).gather(1, places).reshape(depth.shape)
    # Beside its outline a joint's pixel shows what is behind it; only its own skin may be before.
    side = torch.arange(2, device=depth.device)[:, None]
    own = (seen == side + 1) | (seen == side + 3)
    return before > depth - own * put(_FLESH, depth.device)
