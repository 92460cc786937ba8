"""Pictures of streams and hands drawn over them, for overlays and reports."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.rig.frame import Modality, StreamImage
from hand_pose_ros.rig.thermal import agc
from hand_pose_ros.skeleton import BONES, TIPS, WRIST, Side

Rgb = NDArray[np.uint8]

# Left blue, right orange: told apart with every kind of colour vision and on every grey.
SIDE_COLOURS: dict[Side, tuple[int, int, int]] = {'left': (86, 180, 255), 'right': (255, 150, 40)}
TRUTH_COLOUR = (235, 235, 235)
_OUTLINE = (16, 18, 22)
# Sub-pixel bits of OpenCV's drawing functions.
_SHIFT = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnHand:
    """One hand to draw.

    Attributes:
        side: decides the colour.
        points: (21, 2) pixels of the image drawn on; NaN points and their bones are left out.
        confidence: (21,) in 0..1, fades the joints; None draws all alike.
        label: text beside the wrist, for example ``left 0.97``; empty for none.
    """

    side: Side
    points: NDArray[np.float64]
    confidence: NDArray[np.float64] | None = None
    label: str = ''


def picture(stream: StreamImage, modality: Modality) -> Rgb:
    """Turn a stream's image into an (H, W, 3) uint8 RGB picture.

    Thermal and 16-bit images are stretched between percentiles, thermal always white-hot; depth
    is coloured from near (yellow) to far (violet), invalid pixels dark.
    """
    image = stream.image
    if modality == 'rgb':
        return np.ascontiguousarray(image)
    if modality == 'depth':
        return _depth_picture(image)
    if modality == 'thermal' or image.dtype != np.uint8:
        image = agc(image, white_hot=stream.white_hot)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def _depth_picture(depth: NDArray[Any]) -> Rgb:
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return np.full((*depth.shape, 3), 24, dtype=np.uint8)
    near, far = np.percentile(depth[valid], (1.0, 97.0))
    share = np.clip((depth - near) / max(far - near, 1e-3), 0.0, 1.0)
    grey = np.where(valid, 235 - 220 * share, 0).astype(np.uint8)
    coloured = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    coloured[~valid] = 24
    return np.asarray(coloured, dtype=np.uint8)


def enlarge(image: Rgb, least_width: int) -> tuple[Rgb, int]:
    """Enlarge by a whole factor until the width is reached; returns the picture and the factor."""
    factor = max(1, -(-least_width // image.shape[1]))
    if factor == 1:
        return image.copy(), 1
    size = (image.shape[1] * factor, image.shape[0] * factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8), factor


def scaled_points(points: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """Map native pixels (N, 2) into a picture enlarged by a whole factor (centres at integers)."""
    return (np.asarray(points, np.float64) + 0.5) * factor - 0.5


def draw_hands(image: Rgb, hands: Iterable[DrawnHand], *, scale: float = 1.0) -> Rgb:
    """Draw skeletons into an (H, W, 3) uint8 RGB picture, in place; returns it.

    Args:
        image: the picture.
        hands: what to draw, in pixels of the picture.
        scale: line width and text size relative to a picture 640 pixels wide.
    """
    for hand in hands:
        _draw_skeleton(image, hand, SIDE_COLOURS[hand.side], scale)
        if hand.label:
            _draw_label(image, hand, SIDE_COLOURS[hand.side], scale)
    return image


def draw_truth(image: Rgb, points: NDArray[np.float64], *, scale: float = 1.0) -> Rgb:
    """Draw the bones of a true hand (21, 2) as thin pale lines, in place; returns the picture."""
    fixed = _fixed_point(points)
    for parent, joint in BONES:
        if fixed[parent] is not None and fixed[joint] is not None:
            width = max(1, round(scale))
            cv2.line(image, fixed[parent], fixed[joint], TRUTH_COLOUR, width, cv2.LINE_AA, _SHIFT)
    return image


def _fixed_point(points: NDArray[np.float64]) -> list[tuple[int, int] | None]:
    # Far-off points overflow OpenCV's fixed-point coordinates; NaN compares false.
    usable = np.logical_and.reduce(np.abs(points) < 1e5, axis=1)
    rounded = np.round(np.where(usable[:, None], points, 0) * 2**_SHIFT).astype(int)
    return [(int(x), int(y)) if ok else None for (x, y), ok in zip(rounded, usable, strict=True)]


def _draw_skeleton(image: Rgb, hand: DrawnHand, colour: tuple[int, int, int], scale: float) -> None:
    points = _fixed_point(hand.points)
    confidence = np.ones(len(points)) if hand.confidence is None else hand.confidence
    bones = [(points[a], points[b]) for a, b in BONES if points[a] and points[b]]
    for width, shade in ((4.2, _OUTLINE), (2.0, colour)):
        for start, end in bones:
            assert start and end
            cv2.line(image, start, end, shade, max(1, round(width * scale)), cv2.LINE_AA, _SHIFT)
    for joint, point in enumerate(points):
        if point is None:
            continue
        radius = (4.5 if joint in (WRIST, *TIPS) else 3.2) * scale
        fill = _blend(colour, (255, 255, 255), 0.75 * float(np.clip(confidence[joint], 0.0, 1.0)))
        cv2.circle(
            image, point, round((radius + scale) * 2**_SHIFT), _OUTLINE, -1, cv2.LINE_AA, _SHIFT
        )
        cv2.circle(image, point, round(radius * 2**_SHIFT), fill, -1, cv2.LINE_AA, _SHIFT)


def _draw_label(image: Rgb, hand: DrawnHand, colour: tuple[int, int, int], scale: float) -> None:
    finite = hand.points[np.isfinite(hand.points).all(axis=1)]
    if not len(finite):
        return
    font, size, weight = cv2.FONT_HERSHEY_SIMPLEX, 0.5 * scale, max(1, round(scale))
    (width, height), base = cv2.getTextSize(hand.label, font, size, weight)
    margin = round(5 * scale)
    left = int(
        np.clip(
            finite[:, 0].mean() - width / 2, margin, max(margin, image.shape[1] - width - margin)
        )
    )
    top = int(
        np.clip(finite[:, 1].min() - 14 * scale, height + margin, image.shape[0] - base - margin)
    )
    corner = (left - margin, top - height - margin)
    cv2.rectangle(image, corner, (left + width + margin, top + base + margin // 2), _OUTLINE, -1)
    cv2.putText(image, hand.label, (left, top), font, size, colour, weight, cv2.LINE_AA)


def _blend(
    first: tuple[int, int, int], second: tuple[int, int, int], share: float
) -> tuple[int, int, int]:
    mixed = [round((1 - share) * a + share * b) for a, b in zip(first, second, strict=True)]
    return mixed[0], mixed[1], mixed[2]
