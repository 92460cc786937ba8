"""DenseReg's view of a hand: a square crop of a depth image and the camera that would take it.

A crop has a camera of its own. A point of the real camera's frame enters the crop's frame by one
linear map, which holds the mirroring of left hands and the rotation and stretch of augmentation;
the crop's pinhole matrix does the rest, so that joints and pixels agree whatever was done to both.
The depth image must be free of lens distortion.
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

CROP_SIZE = 128
GRID_SIZE = 32
UNIT = 0.1
"""Metres per unit of normalised coordinates."""
BACKGROUND = -1.0
"""Normalised depth of a pixel that shows no hand."""

_STEP = CROP_SIZE // GRID_SIZE
_CENTRE = CROP_SIZE / 2
# Normalised depth: 0 lies 150 mm before the centre of mass, 1 lies 150 mm behind it.
_NEAR, _ZERO, _FAR = 0.30, 0.15, 0.15
_RANGE = _ZERO + _FAR
_MEASURED = -0.99
_NEAREST_COM = 0.2
_KEPT_BEHIND = 0.25
_NEAREST_JOINT = 0.1
# A pixel this far behind one neighbour and before the opposite one lies on neither surface.
_MIXED = 0.015
# A grid cell shows its nearest surface: what lies within 20 mm of it on at least 4 of 16 pixels.
_SAME_SURFACE = 0.02 / _RANGE
_LEAST_PIXELS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseCrop:
    """N crops of depth images.

    Attributes:
        image: (N, 1, 128, 128) normalised depth in (-0.5, 1), -1 where there is no hand.
        unseen: (N, 1, 128, 128), 1 where nothing rules a hand out: no measurement, outside of the
            image, or something before the hand; 0 where the hand or what is behind it is measured.
        intrinsics: (N, 3, 3) pinhole matrix of the crop: integer pixels are pixel centres.
        com: (N, 3) centre of mass in metres, crop frame.
        crop_from_camera: (N, 3, 3) linear map of points from the camera's into the crop's frame.
        camera_from_crop: (N, 3, 3) its inverse.
    """

    image: Tensor
    unseen: Tensor
    intrinsics: Tensor
    com: Tensor
    crop_from_camera: Tensor
    camera_from_crop: Tensor

    def channels(self, *, unseen: bool) -> Tensor:
        """Return what a network takes: the image, and ``unseen`` as a second channel or not."""
        return torch.cat([self.image, self.unseen], dim=1) if unseen else self.image

    def rows(self, index: slice) -> 'DenseCrop':
        """Return some of the crops."""
        return DenseCrop(**{one.name: getattr(self, one.name)[index] for one in fields(self)})

    def normalise(self, joints: Tensor) -> Tensor:
        """Bring joints (N, J, 3) from metres in the camera's frame to normalised coordinates."""
        return (joints @ self.crop_from_camera.mT - self.com[:, None]) / UNIT

    def to_camera(self, normalised: Tensor) -> Tensor:
        """Bring normalised joints (N, J, 3) to metres in the camera's frame."""
        return (normalised * UNIT + self.com[:, None]) @ self.camera_from_crop.mT

    def grid_pixels(self, normalised: Tensor) -> Tensor:
        """Project normalised points (N, M, 3) to columns and rows (N, M, 2) of the 32 x 32 grid."""
        points = (normalised * UNIT + self.com[:, None]) @ self.intrinsics.mT
        pixels = points[..., :2] / points[..., 2:].clamp(min=1e-3)
        return (pixels - (_STEP - 1) / 2) / _STEP

    def grid(self) -> tuple[Tensor, Tensor]:
        """Return what the 32 x 32 grid sees.

        Returns:
            Normalised points (N, 3, 32, 32), those of the background 150 mm behind the centre of
            mass; and the foreground (N, 32, 32), bool.
        """
        depth = grid_depth(self.image)[:, 0]
        foreground = depth > _MEASURED
        depth = torch.where(foreground, depth, 1.0) * _RANGE - _ZERO + self.com[:, 2, None, None]
        rays = torch.linalg.inv(self.intrinsics) @ _grid_centres(depth.device)
        points = rays.unflatten(2, (GRID_SIZE, GRID_SIZE)) * depth[:, None]
        return (points - self.com[:, :, None, None]) / UNIT, foreground


def grid_depth(image: Tensor) -> Tensor:
    """Reduce normalised depth (N, 1, 128, 128) to (N, 1, 32, 32), never mixing two surfaces.

    Each cell is the mean of its nearest surface, or -1 where fewer than 4 of 16 pixels show one.
    The published code interpolates, which puts false points at silhouettes (methods 3.10).
    """
    measured = image > _MEASURED
    front = -functional.max_pool2d(torch.where(measured, -image, -2.0), _STEP)
    nearest = functional.interpolate(front, scale_factor=float(_STEP), mode='nearest')
    used = (measured & (image < nearest + _SAME_SURFACE)).to(image.dtype)
    share = functional.avg_pool2d(used, _STEP)
    mean = functional.avg_pool2d(image * used, _STEP) / share.clamp(min=1e-3)
    enough = share > (_LEAST_PIXELS - 0.5) / _STEP**2
    return torch.where(enough, mean, BACKGROUND)


def joint_boxes(pixels: Tensor, padding: float | Tensor = 20.0) -> Tensor:
    """Return boxes (N, 4), x0 y0 x1 y1, around joint pixels (N, J, 2).

    Args:
        pixels: (N, J, 2); NaN joints are left out.
        padding: pixels on each side; 20 for images 640 wide, half of it for 320.
    """
    missing = ~torch.isfinite(pixels)
    low = pixels.masked_fill(missing, torch.inf).amin(dim=1) - padding
    high = pixels.masked_fill(missing, -torch.inf).amax(dim=1) + padding
    return torch.cat([low, high], dim=1)


def background_limit(depth: Tensor, pixels: Tensor, behind: float = _KEPT_BEHIND) -> Tensor:
    """Return where the background starts (N,): the nearest depth at any joint and ``behind`` more.

    Args:
        depth: (N, 1, H, W) metres, 0 without measurement.
        pixels: (N, J, 2) joints in the image; NaN and joints outside of it are left out.
        behind: metres.

    Returns:
        Metres; infinite where no joint pixel has a depth above 100 mm.
    """
    finite = torch.isfinite(pixels).all(dim=-1)
    values = _gather(depth, pixels.nan_to_num(-1e4)[..., 0], pixels.nan_to_num(-1e4)[..., 1])
    usable = finite & (values > _NEAREST_JOINT)
    return values.masked_fill(~usable, torch.inf).amin(dim=1) + behind


def crop_boxes(
    depth: Tensor, intrinsics: Tensor, boxes: Tensor, *, farthest: Tensor | float | None = None,
    mirrored: Tensor | None = None, turn: Tensor | None = None, stretch: Tensor | None = None,
) -> DenseCrop:  # fmt: skip
    """Cut the squares around boxes and normalise them (methods specification, section 3.2).

    Args:
        depth: (N, 1, H, W) metres, 0 without measurement.
        intrinsics: (N, 3, 3) of the images.
        boxes: (N, 4) x0 y0 x1 y1 in pixels; may reach beyond the image.
        farthest: (N,) or one depth in metres where the background starts, see
            ``background_limit``; without it 250 mm behind the nearest surface in the box.
        mirrored: (N,) bool, the hands to show as their mirror images: left hands, for a network
            that knows right ones.
        turn: (N,) radians of rotation about the ray through the crop's centre (augmentation).
        stretch: (N, 2) factors of x and y about that ray (augmentation).
    """
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.amax(dim=1).clamp(min=2.0)
    corner = (boxes[:, :2] + boxes[:, 2:] - side[:, None]) / 2
    camera = _crop_camera(intrinsics, corner, side, mirrored, turn, stretch)
    cut = _sample(depth, intrinsics, camera)
    if farthest is None:
        farthest = _nearest_surface(cut) + _KEPT_BEHIND
    limit = torch.as_tensor(farthest, dtype=cut.dtype, device=cut.device).reshape(-1, 1, 1, 1)
    return _normalised(cut, cut < limit, camera, fallback=None)


def crop_cubes(
    depth: Tensor, intrinsics: Tensor, centres: Tensor, side: float = 0.28, *,
    mirrored: Tensor | None = None, turn: Tensor | None = None, stretch: Tensor | None = None,
) -> DenseCrop:  # fmt: skip
    """Cut cubes around hands, so that every hand has the same scale in its crop.

    Args:
        depth: (N, 1, H, W) metres, 0 without measurement.
        intrinsics: (N, 3, 3) of the images.
        centres: (N, 3) metres in the camera's frame, before the camera.
        side: of the cube, metres; what lies before or behind it is background.
        mirrored: see ``crop_boxes``.
        turn: see ``crop_boxes``.
        stretch: see ``crop_boxes``.
    """
    z = centres[:, 2].clamp(min=0.05)
    pixels = (centres[:, None] @ intrinsics.mT)[:, 0, :2] / z[:, None]
    width = side * intrinsics[:, 0, 0] / z
    camera = _crop_camera(intrinsics, pixels - width[:, None] / 2, width, mirrored, turn, stretch)
    cut = _sample(depth, intrinsics, camera)
    away = (cut - z[:, None, None, None]).abs()
    return _normalised(cut, away < side / 2, camera, fallback=z)


def draw_augmentation(
    count: int, generator: torch.Generator, largest_turn: float = torch.pi
) -> tuple[Tensor, Tensor]:
    """Draw ``turn`` (N,), uniform, and ``stretch`` (N, 2), normal (1, 0.2) within 0.9 to 1.1."""
    options = {'generator': generator, 'device': generator.device}
    turn = (torch.rand(count, **options) * 2 - 1) * largest_turn
    stretch = (1 + 0.2 * torch.randn(count, 2, **options)).clamp(0.9, 1.1)
    return turn, stretch


def jitter_boxes(
    boxes: Tensor, generator: torch.Generator, shift: float = 0.08, scale: float = 0.1
) -> Tensor:
    """Move boxes (N, 4) by normal shares of their longer side and scale them about their centres.

    What a detector's boxes look like beside those of labels; both values are standard deviations.
    """
    noise = torch.randn(len(boxes), 3, generator=generator, device=generator.device)
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    centre = centre + noise[:, :2] * shift * 2 * half.amax(dim=1, keepdim=True)
    half = half * (1 + scale * noise[:, 2:]).clamp(0.7, 1.5)
    return torch.cat([centre - half, centre + half], dim=1)


class _CropCamera(NamedTuple):
    """The first three of a crop's matrices, see ``DenseCrop``."""

    intrinsics: Tensor
    crop_from_camera: Tensor
    camera_from_crop: Tensor


def _crop_camera(
    intrinsics: Tensor, corner: Tensor, side: Tensor,
    mirrored: Tensor | None, turn: Tensor | None, stretch: Tensor | None,
) -> _CropCamera:  # fmt: skip
    count, like = len(intrinsics), {'dtype': intrinsics.dtype, 'device': intrinsics.device}
    eye = torch.eye(3, **like).expand(count, 3, 3)
    window = eye.clone()
    window[:, 0, 0] = window[:, 1, 1] = CROP_SIZE / side
    window[:, :2, 2] = -corner * (CROP_SIZE / side)[:, None]
    crop = window @ intrinsics
    ray = torch.linalg.inv(crop) @ torch.tensor([_CENTRE, _CENTRE, 1.0], **like)
    change = eye
    if turn is not None:
        change = _rotation_about(ray, turn) @ change
    if stretch is not None:
        shear = eye.clone()
        shear[:, 0, 0], shear[:, 1, 1] = stretch[:, 0], stretch[:, 1]
        shear[:, :2, 2] = (1 - stretch) * ray[:, :2]
        change = shear @ change
    if mirrored is not None:
        sign = 1.0 - 2.0 * mirrored.to(intrinsics.dtype)
        flip = eye.clone()
        flip[:, 0, 0] = sign
        change = flip @ change
        pixels = flip.clone()
        pixels[:, 0, 2] = torch.where(mirrored, float(CROP_SIZE), 0.0)
        crop = pixels @ crop @ flip
    return _CropCamera(crop, change, torch.linalg.inv(change))


def _rotation_about(axis: Tensor, angle: Tensor) -> Tensor:
    x, y, z = functional.normalize(axis, dim=1).unbind(dim=1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=1).reshape(-1, 3, 3)
    sine, cosine = angle.sin()[:, None, None], angle.cos()[:, None, None]
    eye = torch.eye(3, dtype=axis.dtype, device=axis.device)
    return eye + sine * cross + (1 - cosine) * cross @ cross


def _sample(depth: Tensor, intrinsics: Tensor, camera: _CropCamera) -> Tensor:
    """Return the depth (N, 1, 128, 128) that the crop's camera measures, mixed pixels as 0."""
    unproject = camera.camera_from_crop @ torch.linalg.inv(camera.intrinsics)
    rays = unproject @ _crop_centres(depth.device)
    pixels = intrinsics @ rays
    u, v = pixels[:, 0] / pixels[:, 2], pixels[:, 1] / pixels[:, 2]
    value = _gather(depth, u, v)
    keep = value > 0
    for du, dv in ((1, 0), (0, 1)):
        before, after = _gather(depth, u - du, v - dv), _gather(depth, u + du, v + dv)
        before = before.masked_fill(before <= 0, torch.inf) - value
        after = after.masked_fill(after <= 0, torch.inf) - value
        low, high = torch.minimum(before, after), torch.maximum(before, after)
        keep &= (low > -_MIXED) | (high < _MIXED)
    # A point d / r_z along the ray r of the camera is at that depth in the crop's frame.
    return (value * keep / rays[:, 2]).reshape(-1, 1, CROP_SIZE, CROP_SIZE)


def _gather(depth: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Return the nearest pixels of depth (N, 1, H, W) at (N, M) places; 0 outside, and if NaN."""
    height, width = depth.shape[-2:]
    column, row = u.round(), v.round()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = (row * width + column).masked_fill(~inside, 0).long()
    return depth.flatten(1).gather(1, index).nan_to_num(0.0, 0.0, 0.0) * inside


def _nearest_surface(cut: Tensor) -> Tensor:
    """Return the depth (N,) that 2 % of a crop's measured pixels are before."""
    values = cut[:, 0, ::_STEP, ::_STEP].flatten(1)
    count = (values > 0).sum(dim=1, keepdim=True)
    values = values.masked_fill(values <= 0, torch.inf).sort(dim=1).values
    return values.gather(1, (count * 0.02).long())[:, 0]


def _normalised(
    cut: Tensor, near: Tensor, camera: _CropCamera, fallback: Tensor | None
) -> DenseCrop:
    """Make a crop of depth (N, 1, 128, 128); only what is ``near`` may be of the hand."""
    measured = near & (cut > 0)
    count = measured.sum(dim=(1, 2, 3))
    z0 = (cut * measured).sum(dim=(1, 2, 3)) / count.clamp(min=1)
    if fallback is not None:
        z0 = torch.where(count > 0, z0, fallback)
    z0 = z0.clamp(min=_NEAREST_COM)
    centre = torch.tensor([_CENTRE, _CENTRE, 1.0], dtype=cut.dtype, device=cut.device)
    com = torch.linalg.inv(camera.intrinsics) @ centre * z0[:, None]
    offset = cut - z0[:, None, None, None]
    valid = measured & (offset > -_NEAR) & (offset < _FAR)
    image = torch.where(valid, (offset + _ZERO) / _RANGE, BACKGROUND)
    return DenseCrop(
        image=image,
        unseen=(~valid & (offset < 0)).to(cut.dtype),
        com=com,
        **camera._asdict(),
    )


@cache
def _crop_centres(device: torch.device) -> Tensor:
    """Homogeneous pixels (3, 128 * 128) of a crop."""
    return _centres(CROP_SIZE, 1.0, 0.0, device)


@cache
def _grid_centres(device: torch.device) -> Tensor:
    """Homogeneous crop pixels (3, 32 * 32) at the centres of the grid's cells."""
    return _centres(GRID_SIZE, float(_STEP), (_STEP - 1) / 2, device)


def _centres(size: int, step: float, first: float, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # what is cached must serve training too
        along = torch.arange(size, device=device, dtype=torch.float32) * step + first
        row, column = torch.meshgrid(along, along, indexing='ij')
        return torch.stack([column, row, torch.ones_like(row)]).flatten(1)
