"""Labelled frames of any data set to one ``ViewBatch``: without a lens, of one size."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from hand_pose_ros.datasets.batch import TARGETS, ViewBatch
from hand_pose_ros.datasets.conventions import flat_pose
from hand_pose_ros.datasets.files import check_camera
from hand_pose_ros.datasets.sample import HandSample, unlabelled
from hand_pose_ros.errors import DataError
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.hand_model.hand_pose import MODEL_PARAMETERS

Array = NDArray[np.float64]


def collate(
    clips: Sequence[Sequence[HandSample]], *, size: tuple[int, int] | None = None,
    rectify: bool = True, mean_pose: Array | None = None,
) -> ViewBatch:  # fmt: skip
    """Put clips of equal length and kind together.

    Args:
        clips: of one modality.
        size: width, height of the images wanted; that of the first image when None.
        rectify: remove the lens, so that K alone describes the view.
        mean_pose: (2, 15, 3) mean pose of the (left, right) hand model, rad. Labels that are
            relative to it cannot be used without and count as not there.

    Raises:
        DataError: clips that do not go together, or an image that its camera does not fit.
    """
    frames = {len(clip) for clip in clips}
    modalities = {sample.modality for clip in clips for sample in clip}
    if len(frames) != 1 or len(modalities) != 1:
        raise DataError(
            f'a batch needs clips of one length and kind, got {sorted(frames)} frames of '
            f'{sorted(modalities)}'
        )
    samples = [sample for clip in clips for sample in clip]
    size = size or (samples[0].camera.width, samples[0].camera.height)
    fitted = [fit(sample, size, rectify=rectify) for sample in samples]
    return _batch([_flat(sample, mean_pose) for sample in fitted], frames.pop())


def fit(sample: HandSample, size: tuple[int, int], *, rectify: bool = True) -> HandSample:
    """Return a sample whose image has another size (width, height) and, if wanted, no lens.

    Raises:
        DataError: the image and its camera do not fit.
    """
    name = f'{sample.sequence} frame {sample.index}'
    camera = sample.camera
    check_camera(camera, name)
    if sample.image.shape[:2] != (camera.height, camera.width):
        rows, columns = sample.image.shape[:2]
        raise DataError(
            f'{name} has {columns} x {rows} pixels and a camera of {camera.width} x '
            f'{camera.height}: use the K of this image size'
        )
    target = camera if size == (camera.width, camera.height) else camera.scaled(*size)
    if rectify and camera.is_distorted:
        target = replace(target, distortion=np.zeros(0), distortion_model='plumb_bob')
    if target is camera:
        return sample
    mask = None if sample.mask is None else _resampled(sample.mask, camera, target, exact=True)
    exact = sample.modality == 'depth'
    return replace(
        sample,
        image=_resampled(sample.image, camera, target, exact=exact),
        mask=mask,
        camera=target,
        pixels=_moved(sample.pixels, camera, target),
        boxes=_moved_boxes(sample.boxes, camera, target),
    )


def _resampled(image: NDArray[Any], camera: Camera, target: Camera, *, exact: bool) -> NDArray[Any]:
    """Resize, then undistort; ``exact`` keeps values as they are instead of mixing them."""
    size = (target.width, target.height)
    if size != (camera.width, camera.height):
        smaller = size[0] < camera.width
        smooth = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        image = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST_EXACT if exact else smooth)
    if camera.is_distorted == target.is_distorted:
        return image
    lens = camera.scaled(*size)
    columns, rows = _lens_map(
        lens.intrinsics.tobytes(), lens.distortion.tobytes(), lens.distortion_model, size
    )
    border = np.nan if image.dtype == np.float32 else 0
    interpolation = cv2.INTER_NEAREST if exact else cv2.INTER_LINEAR
    return cv2.remap(image, columns, rows, interpolation, borderValue=(border,) * 4)


@lru_cache(maxsize=8)
def _lens_map(
    intrinsics: bytes, distortion: bytes, model: str, size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where each pixel of the rectified image is in the distorted one."""
    camera = Camera(
        width=size[0], height=size[1], intrinsics=np.frombuffer(intrinsics).reshape(3, 3),
        distortion=np.frombuffer(distortion), distortion_model=model,
    )  # fmt: skip
    rows, columns = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64)
    rays = replace(camera, distortion=np.zeros(0), distortion_model='plumb_bob').undistort(pixels)
    # Through ``project``, not ``distort``: far off the axis the lens model folds back, and there
    # is no image there.
    places = camera.project(np.column_stack([rays, np.ones(len(rays))])).astype(np.float32)
    places = np.nan_to_num(places, nan=-1e6).reshape(size[1], size[0], 2)
    return np.ascontiguousarray(places[..., 0]), np.ascontiguousarray(places[..., 1])


def _moved(pixels: Array, camera: Camera, target: Camera) -> Array:
    """Return where pixels (..., 2) of one camera are in the other; NaN stays NaN."""
    flat = pixels.reshape(-1, 2)
    known = np.isfinite(flat).all(1)
    moved = np.full_like(flat, np.nan)
    moved[known] = target.distort(camera.undistort(flat[known]))
    return moved.reshape(pixels.shape)


def _moved_boxes(boxes: Array, camera: Camera, target: Camera) -> Array:
    """Return boxes (2, 4) around the moved corners and edge centres of the given ones."""
    share = np.array([0.0, 0.5, 1.0])
    x = boxes[:, :1] + share * (boxes[:, 2:3] - boxes[:, :1])
    y = boxes[:, 1:2] + share * (boxes[:, 3:] - boxes[:, 1:2])
    points = np.stack(np.broadcast_arrays(x[:, :, None], y[:, None, :]), -1).reshape(2, 9, 2)
    moved = _moved(points, camera, target)
    return np.concatenate([moved.min(1), moved.max(1)], 1)


def _flat(sample: HandSample, mean_pose: Array | None) -> HandSample:
    """Return a sample whose zero pose is the flat hand."""
    if sample.convention is None or sample.convention.flat_mean:
        return sample
    if mean_pose is None:
        return replace(sample, hand_pose=unlabelled(15, 3))
    return replace(
        sample, hand_pose=flat_pose(sample.hand_pose, mean_pose, sample.convention),
        convention=replace(sample.convention, flat_mean=True),
    )  # fmt: skip


def _batch(samples: list[HandSample], frames: int) -> ViewBatch:
    samples = [replace(sample, pixels=_with_projections(sample)) for sample in samples]
    arrays = {
        name: _tensor([getattr(sample, name) for sample in samples])
        for name in ('joints', 'pixels', *MODEL_PARAMETERS, 'boxes')
    }
    height, width = samples[0].image.shape[:2]
    pixels = arrays['pixels']
    edge = torch.tensor([width - 1, height - 1])
    masks = None
    if any(sample.mask is not None for sample in samples):
        nothing = np.zeros((height, width), np.uint8)
        masks = torch.from_numpy(
            np.stack([nothing if sample.mask is None else sample.mask for sample in samples])
        )
    valid = {
        name: torch.from_numpy(np.stack([sample.valid[name] for sample in samples]))
        for name in TARGETS
    }
    return ViewBatch(
        **arrays,
        image=torch.from_numpy(np.stack([_channels(sample) for sample in samples])),
        intrinsics=_tensor([sample.camera.intrinsics for sample in samples]),
        visible=((pixels >= 0) & (pixels <= edge)).all(-1),
        hand_mask=masks,
        surface=None,
        grasp=torch.tensor([sample.grasp for sample in samples], dtype=torch.int64),
        not_padding=torch.tensor([0.0 if sample.padding else 1.0 for sample in samples]),
        frames=frames,
        valid=valid,
        modality=samples[0].modality,
    )


def _with_projections(sample: HandSample) -> Array:
    """Return the pixels (2, 21, 2), those without a label projected from the joints."""
    missing = ~np.isfinite(sample.pixels).all(-1) & np.isfinite(sample.joints).all(-1)
    if not missing.any():
        return sample.pixels
    pixels = sample.pixels.copy()
    pixels[missing] = sample.camera.project(sample.joints[missing])
    return pixels


def _channels(sample: HandSample) -> NDArray[np.float32]:
    """Return an image (C, H, W) as networks take it."""
    if sample.modality == 'depth':
        return np.nan_to_num(sample.image, nan=0.0)[None].astype(np.float32)
    image = sample.image.astype(np.float32) / np.float32(255)
    return (
        np.stack([image] * 3) if image.ndim == 2 else np.ascontiguousarray(image.transpose(2, 0, 1))
    )


def _tensor(arrays: list[Array]) -> torch.Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))
