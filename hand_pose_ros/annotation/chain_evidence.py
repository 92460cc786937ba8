"""Chain evidence: what was seen of one hand in many frames, on the device it is fitted on."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros.annotation.evidence import Evidence
from hand_pose_ros.annotation.posing import Poser, tensor_of
from hand_pose_ros.annotation.silhouettes import GRID, distances
from hand_pose_ros.annotation.triangulation import triangulate

Indices = NDArray[np.int64]

MASK_POINTS = 64  # of a mask that the hand has to cover
_LEAST_CLOUD = 20  # points of a cloud
_FAR = 1e3  # metres, where points of a cloud are that are none


@dataclass(frozen=True, kw_only=True, eq=False)
class ChainEvidence:
    """Evidence of one side in M frames of V views; tensors in double precision where not noted.

    Attributes:
        poser: poses the hands of that side.
        stamps: (M,) nanoseconds.
        rotation: (V, M, 3, 3) and
        translation: (V, M, 3) map the world into each camera; of views without image: zeros.
        lag: (V, M) seconds.
        points: (V, M, 21, 2) landmarks at z = 1, zeros where there are none.
        inverse: (V, M, 21) 1 / deviation claimed there; 0 where there is none.
        cloud: (M, P, 3) float32 points of the surface, far away where there is none.
        has_cloud: (M,) bool.
        eyes: (E, M, 3) depth cameras, NaN without an image.
        joints: (M, 21, 3) landmarks triangulated, metres, zeros where they are not, and
        joint_inverse: (M, 21) 1 / their deviation, 0 where they are not.
        outlined: (V,) whether the view has any mask.
        masked: (V, M) bool, whether there is a mask.
        corner: (V, M, 2) and
        step: (V, M) its grid at z = 1; ones where there is none.
        distance: (V, M, GRID, GRID) float32 cells from where the hand may be.
        inside: (V, M, MASK_POINTS, 2) points of the hand at z = 1, NaN where there are fewer.
    """

    poser: Poser
    stamps: NDArray[np.int64]
    rotation: Tensor
    translation: Tensor
    lag: Tensor
    points: Tensor
    inverse: Tensor
    cloud: Tensor
    has_cloud: Tensor
    eyes: Tensor
    joints: Tensor
    joint_inverse: Tensor
    outlined: tuple[bool, ...]
    masked: Tensor
    corner: Tensor
    step: Tensor
    distance: Tensor
    inside: Tensor

    def take(self, rows: Indices) -> 'ChainEvidence':
        """Return the evidence of some of the frames."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        where = torch.as_tensor(rows, device=self.poser.device)
        for name, value in values.items():
            if isinstance(value, Tensor):
                values[name] = value[where] if name in _OF_FRAMES else value[:, where]
        values['stamps'] = self.stamps[rows]
        return ChainEvidence(**values)

    def believed(self, factors: NDArray[np.float64]) -> 'ChainEvidence':
        """Return the evidence with the deviations of landmarks multiplied, (V, 21)."""
        weaker = tensor_of(factors, self.poser.device)[:, None]
        return replace(self, inverse=self.inverse / weaker)


_OF_FRAMES = ('cloud', 'has_cloud', 'joints', 'joint_inverse')


def chain_evidence(evidence: Evidence, rows: Indices, poser: Poser) -> ChainEvidence:
    """Take the evidence of a side in some frames to the device it is fitted on."""
    side, device = poser.side, poser.device
    part = evidence.take(rows)
    placed = np.asarray(np.isfinite(part.T_cam_world).all(axis=(2, 3)))
    transforms = np.where(placed[..., None, None], part.T_cam_world, 0.0)
    seen = np.asarray(np.isfinite(part.points[:, :, side]).all(axis=3) & placed[..., None])
    points = np.where(seen[..., None], part.points[:, :, side], 0.0)
    inverse = np.where(seen, 1.0 / part.sigma[:, :, side], 0.0)
    cloud = np.asarray(np.isfinite(part.cloud[:, side]).all(axis=2))
    joints, spread = (values[:, side] for values in triangulate(part))
    known = np.asarray(np.isfinite(joints).all(axis=2))
    masked = np.asarray(np.isfinite(part.mask_step[:, :, side]) & placed)
    distance, (inside, _) = _distances(part, side, masked), part.mask_points(side, MASK_POINTS)

    def tensor(array: NDArray[np.generic]) -> Tensor:
        return tensor_of(array, device)

    return ChainEvidence(
        poser=poser, stamps=part.stamps, rotation=tensor(transforms[..., :3, :3]),
        translation=tensor(transforms[..., :3, 3]), lag=tensor(part.lag), points=tensor(points),
        inverse=tensor(inverse),
        cloud=tensor(np.where(cloud[..., None], part.cloud[:, side], _FAR)).float(),
        has_cloud=tensor(cloud.sum(axis=1) > _LEAST_CLOUD), eyes=tensor(part.depth_eyes),
        joints=tensor(np.where(known[..., None], joints, 0.0)),
        joint_inverse=tensor(np.where(known, 1.0 / spread, 0.0)),
        outlined=tuple(bool(own.any()) for own in masked), masked=tensor(masked),
        corner=tensor(np.where(masked[..., None], part.mask_corner[:, :, side], 1.0)),
        step=tensor(np.where(masked, part.mask_step[:, :, side], 1.0)),
        distance=torch.as_tensor(distance, device=device), inside=tensor(inside),
    )  # fmt: skip


def _distances(part: Evidence, side: int, masked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the distances from all masks (V, M, GRID, GRID), cells."""
    found = np.zeros((*masked.shape, GRID, GRID), np.float32)
    for view, row in np.argwhere(masked):
        found[view, row] = distances(part.mask[view, row, side])
    return found
