"""ViewBatch: labelled frames of one camera as tensors, the way training takes them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hand_pose_ros.errors import DataError

# What can be labelled, per hand.
TARGETS = ('joints_3d', 'joints_2d', 'pose', 'betas', 'camera', 'mask', 'grasp')


@dataclass(frozen=True, kw_only=True, eq=False)
class ViewBatch:
    """N = clips x ``frames`` images of one modality, clip after clip; hands are (left, right).

    Points are in the optical frame of the image's own camera. Labels that are not there are NaN
    (grasp: -1) and their entry in ``valid`` is False.

    Attributes:
        image: (N, C, H, W) float32 in 0..1 (C = 3 for rgb, 1 or 3 equal ones else), or depth
            (N, 1, H, W) in metres, 0 = no measurement.
        intrinsics: (N, 3, 3) K in pixels of these images.
        joints: (N, 2, 21, 3) metres.
        pixels: (N, 2, 21, 2).
        visible: (N, 2, 21) bool, inside the image and unoccluded, as far as is known.
        hand_mask: (N, H, W) uint8: 0 none, 1 left, 2 right, 3 a hand of unknown side, from the
            projected hand meshes with objects ignored; None where no data set has masks.
        surface: (N, H, W) uint8: 0 background, 1 left hand, 2 right hand, 3 left arm, 4 right arm,
            5 object; None where unknown.
        global_orient: (N, 2, 3) axis-angle, rad.
        hand_pose: (N, 2, 15, 3) axis-angle, MANO finger order, flat hand = 0, rad.
        betas: (N, 2, 10).
        translation: (N, 2, 3) metres, added after skinning.
        grasp: (N, 2) int64 class, -1 unlabelled.
        not_padding: (N,) float, 0 for repeated frames at the end of a clip.
        frames: frames per clip.
        valid: per name of ``TARGETS`` (N, 2) bool.
        modality: ``thermal``, ``nir``, ``depth`` or ``rgb``.
        boxes: (N, 2, 4) x0, y0, x1, y1 pixels of a detector or annotator, NaN where there is none.
    """

    image: Tensor
    intrinsics: Tensor
    joints: Tensor
    pixels: Tensor
    visible: Tensor
    hand_mask: Tensor | None
    surface: Tensor | None
    global_orient: Tensor
    hand_pose: Tensor
    betas: Tensor
    translation: Tensor
    grasp: Tensor
    not_padding: Tensor
    frames: int
    valid: dict[str, Tensor]
    modality: str
    boxes: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse tensors that do not belong together."""
        count, _, height, width = self.image.shape
        if self.boxes is None:
            nowhere = torch.full((count, 2, 4), torch.nan, device=self.image.device)
            object.__setattr__(self, 'boxes', nowhere)
        expected: dict[str, tuple[int, ...]] = {
            'intrinsics': (3, 3), 'joints': (2, 21, 3), 'pixels': (2, 21, 2), 'visible': (2, 21),
            'hand_mask': (height, width), 'surface': (height, width), 'global_orient': (2, 3),
            'hand_pose': (2, 15, 3), 'betas': (2, 10), 'translation': (2, 3), 'grasp': (2,),
            'not_padding': (), 'boxes': (2, 4),
        }  # fmt: skip
        for name, shape in expected.items():
            tensor = getattr(self, name)
            if tensor is not None and tuple(tensor.shape) != (count, *shape):
                raise DataError(
                    f'{name} of a batch has shape {tuple(tensor.shape)}, expected {(count, *shape)}'
                )
        if set(self.valid) != set(TARGETS):
            raise DataError(f'valid has {sorted(self.valid)}, expected {sorted(TARGETS)}')
        if self.frames < 1 or count % self.frames:
            raise DataError(f'{count} images are no whole number of clips of {self.frames} frames')

    def to(self, device: torch.device | str) -> 'ViewBatch':
        """Return the batch on a device."""
        return self._map(lambda tensor: tensor.to(device))

    def select(self, index: slice | Tensor) -> 'ViewBatch':
        """Return some of the frames; whole clips only where ``frames`` is above 1."""
        return self._map(lambda tensor: tensor[index])

    def _map(self, change: Callable[[Tensor], Tensor]) -> 'ViewBatch':
        changes: dict[str, object] = {
            field.name: change(value)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        changes['valid'] = {name: change(flags) for name, flags in self.valid.items()}
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]
