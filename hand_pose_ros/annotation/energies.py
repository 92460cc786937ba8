"""Energies: the published annotator's terms as differentiable functions of a batch of hands.

Source: methods specification, section 1.9. Images are lens-free: landmarks and mask pixels lie on
the plane z = 1 and a view's focal length turns distances there into pixels. Every term is a mean
over what was measured, and 0 for a hand of which nothing was. ``reach`` bounds a distance smoothly
(nothing counts more than it); the published terms have no bound.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.triangulation import triangulate
from hand_pose_ros.hand_model.model_files import HandModelData

Array = NDArray[np.float64]

MASK_POINTS = 400  # kept of a mask at most
_NEAREST = 0.02  # metres; nothing nearer to a camera is projected
_FAR = 1e3  # from any hand or image
_SMOOTH = 1e-9  # a distance's slope is finite where it vanishes


@dataclass(frozen=True, kw_only=True, eq=False)
class HandEvidence:
    """What V views say about B hands of one side, as tensors; NaN = not measured.

    Attributes:
        T_cam_world: (V, B, 4, 4) maps the world into each camera; anything finite for a view
            without image, whose measurements are NaN.
        exo: (V,) whether the camera faces the wearer, per view.
        focal: (V,) pixels.
        points: (V, B, 21, 2) landmarks at z = 1.
        masks: (V, B, M, 2) pixels of the hand's mask at z = 1, spread evenly over it.
        spacing: (V, B) distance of neighbouring mask pixels at z = 1.
        cloud: (B, P, 3) points of the surface, metres, world.
        joints: (B, 21, 3) triangulated, metres, world.
    """

    T_cam_world: Tensor
    exo: tuple[bool, ...]
    focal: Tensor
    points: Tensor
    masks: Tensor
    spacing: Tensor
    cloud: Tensor
    joints: Tensor

    def take(self, rows: slice) -> 'HandEvidence':
        """Return the evidence of some of the hands."""
        return HandEvidence(
            T_cam_world=self.T_cam_world[:, rows], exo=self.exo, focal=self.focal,
            points=self.points[:, rows], masks=self.masks[:, rows],
            spacing=self.spacing[:, rows], cloud=self.cloud[rows], joints=self.joints[rows],
        )  # fmt: skip


def hand_evidence(
    evidence: Evidence, side: int, *, dtype: torch.dtype = torch.float32, device: str = 'cpu',
) -> HandEvidence:  # fmt: skip
    """Return the evidence of one side in all frames as tensors, its joints triangulated.

    Args:
        evidence: of N frames.
        side: 0 left, 1 right.
        dtype: of the tensors.
        device: of the tensors.
    """

    def tensor(array: NDArray[np.floating]) -> Tensor:
        return torch.as_tensor(array, dtype=dtype, device=device)

    placed = np.all(np.isfinite(evidence.T_cam_world), axis=(2, 3))
    joints, _ = triangulate(evidence)
    masks, spacing = evidence.mask_points(side, MASK_POINTS)
    return HandEvidence(
        T_cam_world=tensor(np.where(placed[..., None, None], evidence.T_cam_world, np.eye(4))),
        exo=tuple(bool(exo) for exo in evidence.exo), focal=tensor(evidence.focal),
        points=tensor(np.where(placed[..., None, None], evidence.points[:, :, side], np.nan)),
        masks=tensor(masks), spacing=tensor(spacing),
        cloud=tensor(evidence.cloud[:, side]), joints=tensor(joints[:, side]),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights of the sum. Source: methods specification, section 1.9.

    Attributes:
        silhouette, points, cloud, joints, limits, shape: of the terms.
        ego: factor on the ego views' silhouettes and landmarks.
    """

    silhouette: float = 1.0
    points: float = 1.0
    limits: float = 100.0
    cloud: float = 100.0
    joints: float = 1000.0
    shape: float = 0.2
    ego: float = 2.0


def projected(points: Tensor, T_cam_world: Tensor) -> Tensor:
    """Return points (..., 2) at z = 1 of points (B, N, 3) in metres for transforms (B, 4, 4)."""
    seen = points @ T_cam_world[:, :3, :3].transpose(1, 2) + T_cam_world[:, None, :3, 3]
    return seen[..., :2] / seen[..., 2:].clamp(min=_NEAREST)


def point_energy(
    joints: Tensor, evidence: HandEvidence, ego: float = 2.0, reach: float | None = None
) -> Tensor:
    """E_2d (B,) in pixels: mean distance of projected joints (B, 21, 3) from the landmarks."""
    total = joints.new_zeros(len(joints))
    for view, exo in enumerate(evidence.exo):
        target, seen = _known(evidence.points[view])
        distance = _length(projected(joints, evidence.T_cam_world[view]) - target)
        mean = _mean(distance * evidence.focal[view], seen, reach)
        total = total + (1.0 if exo else ego) * mean
    return total


def joint_energy(joints: Tensor, evidence: HandEvidence, reach: float | None = None) -> Tensor:
    """E_3d (B,) in metres: mean distance of joints (B, 21, 3) from the triangulated ones."""
    target, seen = _known(evidence.joints)
    return _mean(_length(joints - target), seen, reach)


def cloud_energy(
    vertices: Tensor, evidence: HandEvidence, reach: float | None = None,
    visible: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """E_mesh (B,) in metres: mean distance of vertices (B, V, 3) from the nearest cloud point.

    Args:
        vertices: of the mesh.
        evidence: what was seen.
        reach: bound of a distance.
        visible: (B, V) bool, vertices that a depth camera can see: others have no counterpart.
            The published term takes all of them.
    """
    distance, used = _nearest(vertices, evidence.cloud)
    return _mean(distance, used if visible is None else used & visible, reach)


def silhouette_energy(
    vertices: Tensor, evidence: HandEvidence, ego: float = 2.0, reach: float | None = None
) -> Tensor:
    """E_sil (B,) in pixels, for vertices (B, V, 3).

    In ego views the mean distance of projected vertices from the nearest pixel of the mask, which
    has no holes smaller than its ``spacing``; in exo views of mask pixels from the nearest vertex.
    """
    total = vertices.new_zeros(len(vertices))
    for view, exo in enumerate(evidence.exo):
        plane = projected(vertices, evidence.T_cam_world[view])
        mask = evidence.masks[view]
        if exo:
            distance, seen = _nearest(mask, plane)
        else:
            distance, seen = _nearest(plane, mask)
            half = evidence.spacing[view] * 2**-0.5
            distance = (distance - half[:, None]).clamp(min=0.0)
        mean = _mean(distance * evidence.focal[view], seen, reach)
        total = total + (1.0 if exo else ego) * mean
    return total


class LimitEnergy:
    """E_lim: mean hinge of the 45 angles outside of the joint limits, rad.

    A model's file says which axes the angles turn about; a MANO file without them has the
    published table about x, y and z. The left hand is the right one's mirror image: its y and z
    components change sign with the axes, which the original forgets.
    """

    def __init__(self, model: HandModelData, dtype: torch.dtype = torch.float32) -> None:
        """Take axes and limits of a model."""
        self._axes = torch.as_tensor(np.asarray(model.joint_axes), dtype=dtype)
        limits = torch.as_tensor(np.asarray(model.joint_limits), dtype=dtype)
        self._lower, self._upper = limits[..., 0], limits[..., 1]

    def __call__(self, hand_pose: Tensor) -> Tensor:
        """Return the energy (B,) of axis-angle poses (B, 15, 3)."""
        angles = torch.einsum('jac,bjc->bja', self._axes, hand_pose)
        beyond = (angles - self._upper).clamp(min=0) + (self._lower - angles).clamp(min=0)
        return beyond.mean(dim=(1, 2))


def shape_energy(betas: Tensor) -> Tensor:
    """Return the length (B,) of shapes (B, 10)."""
    return _length(betas)


def _length(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(dim=-1) + _SMOOTH**2).sqrt() - _SMOOTH


def _known(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return values (..., D) with NaN replaced, whose gradient would spread, and what was known."""
    return values.nan_to_num(nan=0.0), torch.isfinite(values).all(dim=-1)


def _nearest(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distance (B, N) of points (B, N, D) from the nearest of (B, M, D).

    Also whether there was a point and another one, (B, N); distances of others mean nothing.
    """
    points, here = _known(points)
    others, usable = _known(others)
    with torch.no_grad():
        far = torch.where(usable[..., None], others, torch.full_like(others, _FAR))
        place = torch.cdist(points, far).argmin(dim=-1)
    chosen = others.gather(1, place[..., None].expand(*place.shape, points.shape[-1]))
    return _length(points - chosen), here & usable.any(dim=-1)[:, None]


def _mean(distance: Tensor, used: Tensor, reach: float | None) -> Tensor:
    """Return the mean (B,) of the used distances (B, N), bounded by ``reach``."""
    if reach is not None:
        distance = reach * torch.tanh(distance / reach)
    return (distance * used).sum(dim=1) / used.sum(dim=1).clamp(min=1)
