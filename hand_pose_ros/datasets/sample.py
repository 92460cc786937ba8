"""HandSample: one labelled frame of any data set, and which hand model its labels are about."""

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.geometry.camera import Camera

Array = NDArray[np.float64]
Modality = Literal['thermal', 'nir', 'depth', 'rgb']

# Finger tip vertices of MANO's meshes, thumb to little, (left, right).
# Source: methods specification, section 0.
MANOPTH_TIPS = ((745, 317, 445, 556, 673), (745, 317, 444, 556, 673))
SMPLX_TIPS = ((744, 320, 443, 554, 671), (744, 320, 443, 554, 671))


@dataclass(frozen=True, kw_only=True)
class HandModelConvention:
    """What the numbers of MANO labels mean; wrist = J0(betas) + translation in all of them.

    Attributes:
        flat_mean: zero pose is the flat hand; otherwise the model's mean pose.
        left_shape_fix: left betas belong to a model whose first shape direction has its sign
            corrected.
        tip_vertices: mesh vertices of the finger tips, thumb to little, (left, right).
    """

    flat_mean: bool
    left_shape_fix: bool
    tip_vertices: tuple[tuple[int, ...], tuple[int, ...]]


def unlabelled(*shape: int) -> Array:
    """Return labels (2, ...) that are not there: NaN."""
    return np.full((2, *shape), np.nan)


@dataclass(frozen=True, kw_only=True, eq=False)
class HandSample:
    """One image with what is known of the hands (left, right) in it.

    What is not labelled is NaN (grasp: -1), per hand and, for joints, per joint. Points are in the
    optical frame of ``camera``.

    Attributes:
        image: uint8 (H, W) or RGB (H, W, 3), or depth float32 (H, W) in metres, NaN for none.
        modality: kind of image.
        camera: of this image, lens included.
        sequence: name of the recording.
        index: frame in the recording.
        joints: (2, 21, 3) metres, internal order.
        pixels: (2, 21, 2) where the joints are in the image.
        mask: (H, W) uint8: 0 none, 1 left, 2 right, 3 a hand of unknown side.
        mask_labelled: (2,) whether the mask says where this hand is, seen or not.
        grasp: (2,) class 0..7, 8 for no grasp.
        global_orient: (2, 3) axis-angle, rad.
        hand_pose: (2, 15, 3) axis-angle in MANO finger order, rad; zero as ``convention`` says.
        betas: (2, 10) shape.
        translation: (2, 3) metres, added after skinning.
        boxes: (2, 4) x0, y0, x1, y1 pixels.
        convention: of pose, betas and tips; None without any.
        stamp: acquisition in nanoseconds.
        padding: a repeated frame that fills up a clip.
    """

    image: NDArray[Any]
    modality: Modality
    camera: Camera
    sequence: str
    index: int
    joints: Array = field(default_factory=partial(unlabelled, 21, 3))
    pixels: Array = field(default_factory=partial(unlabelled, 21, 2))
    mask: NDArray[np.uint8] | None = None
    mask_labelled: tuple[bool, bool] = (True, True)
    grasp: tuple[int, int] = (-1, -1)
    global_orient: Array = field(default_factory=partial(unlabelled, 3))
    hand_pose: Array = field(default_factory=partial(unlabelled, 15, 3))
    betas: Array = field(default_factory=partial(unlabelled, 10))
    translation: Array = field(default_factory=partial(unlabelled, 3))
    boxes: Array = field(default_factory=partial(unlabelled, 4))
    convention: HandModelConvention | None = None
    stamp: int | None = None
    padding: bool = False

    @cached_property
    def valid(self) -> dict[str, NDArray[np.bool_]]:
        """Per name of ``batch.TARGETS`` which hands (2,) are labelled, at least in part."""
        pose = np.concatenate([self.global_orient[:, None], self.hand_pose], 1)
        labelled: dict[str, Any] = {
            'joints_3d': np.isfinite(self.joints).all(-1).any(-1),
            'joints_2d': np.isfinite(self.pixels).all(-1).any(-1),
            'pose': np.isfinite(pose).all((1, 2)),
            'betas': np.isfinite(self.betas).all(-1),
            'camera': np.isfinite(self.translation).all(-1),
            'mask': np.array(self.mask_labelled) & (self.mask is not None),
            'grasp': np.array(self.grasp) >= 0,
        }
        return labelled


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthSample:
    """One depth image of one hand of a benchmark with its own set of joints.

    Attributes:
        depth: float32 (H, W) metres, NaN where nothing was measured.
        camera: of the image.
        joints: (J, 3) metres in the camera's optical frame, in the benchmark's order.
        box: (5,) left, top, right, bottom in pixels and the largest depth in metres; None where
            the benchmark has none.
        sequence: name of the recording.
        index: frame in the recording.
    """

    depth: NDArray[np.float32]
    camera: Camera
    joints: Array
    box: Array | None
    sequence: str
    index: int
