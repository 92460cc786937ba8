"""Masks: which pixels of an image show a hand, by GrabCut from its landmarks or by a plug-in."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import HandPoseError
from hand_pose_ros.rig.frame import Modality
from hand_pose_ros.skeleton import BONES

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rgb = NDArray[np.uint8]

_MARGIN = 0.35  # of the hand's length, around its landmarks
_WORK_SIZE = 80  # pixels of the longer side GrabCut works on
_ITERATIONS = 2
# Widths as parts of the palm's: what is hand for sure, likely, and cannot be.
_SURE, _LIKELY, _FARTHEST = 0.10, 0.45, 0.8
_WRIST = 0.25  # of the palm's length that the hand goes on behind the wrist
_PALM = (0, 1, 5, 9, 13, 17)
# A mask of another size than the landmarks' outline by more is none, as a part of that outline.
_SIZES = (0.5, 3.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompt:
    """Where a hand is in a picture.

    Attributes:
        points: (21, 2) pixels of its landmarks.
        box: (4,) x0, y0, x1, y1 around them, enlarged by 5 percent on each side.
    """

    points: Array
    box: Array

    @classmethod
    def of(cls, points: Array) -> 'Prompt':
        """Return the prompt of landmarks (21, 2)."""
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.05 * (high - low)
        return cls(points=points, box=np.concatenate([low - margin, high + margin]))


class Segmenter(Protocol):
    """Masks hands in a picture; plug-ins such as SAM-class models do it too."""

    def __call__(
        self, picture: Rgb, modality: Modality, hands: Sequence[Prompt]
    ) -> Sequence[Mask | None]:
        """Return a mask (H, W) for each hand, or None where there is no telling.

        Args:
            picture: (H, W, 3) RGB; thermal and NIR images are grey and stretched, white-hot.
            modality: of the camera.
            hands: where they are.
        """
        ...


def load_segmenter(name: str) -> Segmenter:
    """Return what a plug-in's factory makes, or the built-in segmenter for an empty name.

    Args:
        name: ``module:factory``; the factory takes no arguments and returns a ``Segmenter``.

    Raises:
        HandPoseError: if it cannot be imported or made.
    """
    if not name:
        return grab_cut
    module, _, factory = name.partition(':')
    try:
        made: Any = getattr(importlib.import_module(module), factory)()
    except Exception as error:
        raise HandPoseError(
            f'segmenter {name!r} cannot be made ({type(error).__name__}: {error}): give '
            'module:factory of an installed package.'
        ) from None
    if not callable(made):
        raise HandPoseError(f'segmenter {name!r} makes a {type(made).__name__}: it must be called.')
    return made


def checked_masks(
    segmenter: Segmenter, picture: Rgb, modality: Modality, hands: Sequence[Prompt]
) -> list[Mask | None]:
    """Return the masks of a segmenter, without those that cannot be the hand of their prompt.

    Raises:
        HandPoseError: if it returns other shapes than asked for.
    """
    masks = list(segmenter(picture, modality, hands)) if hands else []
    shapes = {np.shape(mask) for mask in masks if mask is not None} - {picture.shape[:2]}
    if len(masks) != len(hands) or shapes:
        raise HandPoseError(
            f'the segmenter returned {len(masks)} masks of shapes {sorted(shapes)} for '
            f'{len(hands)} hands in a picture of {picture.shape[:2]}: mend the plug-in.'
        )
    return [
        mask.astype(bool) if mask is not None and _fits(mask, hand) else None
        for mask, hand in zip(masks, hands, strict=True)
    ]


def grab_cut(picture: Rgb, modality: Modality, hands: Sequence[Prompt]) -> list[Mask | None]:
    """Mask each hand by GrabCut: its bones are hand, what lies far from them is not.

    In thermal pictures what is nearer to the surroundings' warmth than to the bones' is not either.
    """
    return [_grab_cut(picture, modality, hand.points) for hand in hands]


def _grab_cut(picture: Rgb, modality: Modality, points: Array) -> Mask | None:
    height, width = picture.shape[:2]
    extent = points.max(axis=0) - points.min(axis=0)
    margin = _MARGIN * extent.max()
    x0, y0 = np.clip(np.floor(points.min(axis=0) - margin), 0, (width, height)).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(axis=0) + margin), 0, (width, height)).astype(int)
    window = picture[y0:y1, x0:x1]
    if min(window.shape[:2]) < 8:
        return None
    scale = min(1.0, _WORK_SIZE / max(window.shape[:2]))
    small = cv2.resize(window, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    factor = np.array(small.shape[1::-1]) / window.shape[1::-1]
    labels = _seeds(small.shape[:2], (points - (x0, y0) + 0.5) * factor - 0.5)
    if modality == 'thermal':
        _exclude_cool(labels, small[..., 0])
    if not ((labels == cv2.GC_FGD).any() and (labels == cv2.GC_BGD).any()):
        return None
    models = np.zeros((1, 65)), np.zeros((1, 65))
    # OpenCV's own generator chooses the first clusters: the same picture gives the same mask.
    cv2.setRNGSeed(0)
    cv2.grabCut(small, labels, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    inside = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    whole = cv2.resize(inside, window.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = whole > 0
    return mask


def _seeds(shape: tuple[int, ...], points: Array) -> NDArray[np.uint8]:
    """Return GrabCut's labels: sure hand, likely hand, likely not and surely not."""
    palm = float(np.linalg.norm(points[9] - points[0]))
    labels = np.full(shape, cv2.GC_BGD, np.uint8)
    for width, label in (
        (_FARTHEST, cv2.GC_PR_BGD), (_LIKELY, cv2.GC_PR_FGD), (_SURE, cv2.GC_FGD)
    ):  # fmt: skip
        _draw(labels, points, max(1, round(width * palm)), int(label))
    rows, columns = np.indices(shape)
    along = (points[9] - points[0]) / max(palm, 1e-6)
    behind = (columns - points[0, 0]) * along[0] + (rows - points[0, 1]) * along[1]
    labels[(behind < -_WRIST * palm) & (labels != cv2.GC_FGD)] = cv2.GC_BGD
    return labels


def _draw(image: NDArray[np.uint8], points: Array, width: int, value: int) -> None:
    fixed = np.round(points).astype(np.int32)
    for parent, joint in BONES:
        start, end = fixed[parent].tolist(), fixed[joint].tolist()
        cv2.line(image, start, end, value, width)
    cv2.fillConvexPoly(image, cv2.convexHull(fixed[list(_PALM)]), value)


def _exclude_cool(labels: NDArray[np.uint8], warmth: NDArray[np.uint8]) -> None:
    hand = warmth[labels == cv2.GC_FGD]
    around = warmth[labels == cv2.GC_BGD]
    if hand.size and around.size:
        middle = (np.median(hand) + np.median(around)) / 2
        # A hand as cool as its surroundings, as in a glove, is left to GrabCut.
        if np.median(hand) - np.median(around) > 20:
            labels[(warmth < middle) & (labels != cv2.GC_FGD)] = cv2.GC_BGD


def _fits(mask: Mask, hand: Prompt) -> bool:
    outline = np.zeros(mask.shape, np.uint8)
    palm = float(np.linalg.norm(hand.points[9] - hand.points[0]))
    _draw(outline, hand.points, max(1, round(0.3 * palm)), 1)
    expected = int(outline.sum())
    share = float((mask.astype(bool) & (outline > 0)).sum()) / max(expected, 1)
    return share > _SIZES[0] and mask.sum() < _SIZES[1] * expected
