"""Blobs: where hands probably are, from warmth or depth alone, with an honestly low score."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import ImageError
from hand_pose_ros.estimators.hand_shapes import HandShape, Mask, entries, hands_in
from hand_pose_ros.estimators.regions import Region, heading
from hand_pose_ros.rig.frame import StreamImage
from hand_pose_ros.rig.thermal import agc_limits
from hand_pose_ros.skeleton import Side

Array = NDArray[np.float64]
Grey = NDArray[np.float32]

_WORK_WIDTH = 160
_HISTOGRAM_BINS = 32
# Without a scale: the palm's radius as a part of the image's width.
_PALM_FRACTIONS = (0.015, 0.15)
_LEAST_CONTRAST, _FULL_CONTRAST = 0.1, 0.35
# Metres.
_PALM_RADII = (0.018, 0.06)
_PALM_RADIUS = 0.04
_HAND_LENGTH = 0.2
_NEAREST, _FARTHEST = 0.15, 1.3
_JUMP, _SLAB, _BEHIND = 0.02, 0.14, 0.04
_LEAST_AREA, _ARM_AREA = 0.002, 0.05
_LEAST_FREE_OUTLINE = 0.55
_DEFAULT_FOCAL = 0.74
# A wearer's arms do not enter an image in its uppermost part.
_TOP = 0.1
# The landmark network's square, in palm radii: its side, and its centre beyond the palm's.
_REGION_SIZE, _REGION_SHIFT = 6.0, 0.6
_BEST_SCORE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Blob:
    """A place where a hand probably is.

    Attributes:
        center: (2,) palm centre in pixels of the native image.
        radius: palm radius in pixels.
        box: (4,) x0, y0, x1, y1 of the hand without its forearm, pixels.
        region: where the landmark network may look at it.
        depth: median depth of the palm in metres, or None when only warmth is known.
        score: 0..0.5, how hand-like it looks.
        side: a guess from where the arm enters the image or from a second blob, or None.
    """

    center: Array
    radius: float
    box: Array
    region: Region
    depth: float | None
    score: float
    side: Side | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Candidate:
    hand: HandShape
    score: float
    depth: float | None = None


def thermal_blobs(stream: StreamImage, max_hands: int = 2) -> list[Blob]:
    """Return the warm, hand-sized regions of a thermal image, best first.

    Args:
        stream: thermal image, (H, W) uint8 or uint16.
        max_hands: most blobs to return.

    Raises:
        ImageError: if the image is not a thermal one.
    """
    image = stream.image
    if image.ndim != 2 or image.dtype not in (np.uint8, np.uint16) or not image.size:
        raise ImageError(
            f'thermal image of {image.dtype} {image.shape} has no warm regions: give (H, W) '
            'uint8 or uint16'
        )
    factor = max(1, image.shape[1] // _WORK_WIDTH)
    levels = _warmth(image, factor, stream.white_hot)
    radii = _PALM_FRACTIONS[0] * levels.shape[1], _PALM_FRACTIONS[1] * levels.shape[1]
    candidates: list[_Candidate] = []
    for threshold in _class_limits(levels):
        # Clothes are only looked at when skin alone does not show enough hands.
        if len(candidates) >= max_hands:
            break
        warm = (levels >= threshold).astype(np.uint8)
        for hand in hands_in(warm, radii, None):
            contrast = _contrast(levels, hand.mask)
            if contrast > _LEAST_CONTRAST:
                score = _BEST_SCORE * min(1.0, contrast / _FULL_CONTRAST)
                candidates.append(_Candidate(hand=hand, score=score))
    return _blobs(candidates, max_hands, factor, levels.shape[1])


def depth_blobs(stream: StreamImage, max_hands: int = 2) -> list[Blob]:
    """Return the near, hand-sized regions of a depth image that stand out, best first.

    Args:
        stream: depth image, (H, W) float32 metres, NaN where invalid; its camera, when known,
            gives the scale (else a field of view of 68 degrees is assumed).
        max_hands: most blobs to return.

    Raises:
        ImageError: if the image is not a depth image in metres.
    """
    image = stream.image
    if image.ndim != 2 or image.dtype.kind != 'f' or not image.size:
        raise ImageError(
            f'depth image of {image.dtype} {image.shape} is not in metres: give (H, W) float32'
        )
    factor = max(1, image.shape[1] // _WORK_WIDTH)
    depth = np.nan_to_num(image[::factor, ::factor].astype(np.float32), nan=0.0, posinf=0.0)
    depth[(depth < _NEAREST) | (depth > _FARTHEST)] = 0.0
    width = image.shape[1]
    focal = float(stream.camera.intrinsics[0, 0]) if stream.camera else _DEFAULT_FOCAL * width
    candidates = []
    for part, distance in _near_parts(depth, focal / factor):
        scale = focal / factor / distance
        radii = _PALM_RADII[0] * scale, _PALM_RADII[1] * scale
        for hand in hands_in(part, radii, _HAND_LENGTH * scale):
            free = _free_outline(depth, hand)
            if free >= _LEAST_FREE_OUTLINE:
                palm = _palm_depth(depth, hand)
                # A wearer's arm may end in a hand seen from the side; another piece may be a head.
                is_arm = hand.entry is not None and hand.entry[1] > _TOP * depth.shape[0]
                size = 1.0 if is_arm else min(1.0, (hand.radius / scale / _PALM_RADIUS) ** 2)
                score = _BEST_SCORE * free * size * (1.0 - 0.5 * palm / _FARTHEST)
                candidates.append(_Candidate(hand=hand, score=score, depth=palm))
    return _blobs(candidates, max_hands, factor, depth.shape[1])


def _warmth(image: NDArray[Any], factor: int, white_hot: bool) -> Grey:
    size = image.shape[1] // factor, max(1, image.shape[0] // factor)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    low, high = agc_limits(small)
    levels = np.clip((small.astype(np.float32) - low) / max(high - low, 1.0), 0.0, 1.0)
    return levels if white_hot else 1.0 - levels


def _class_limits(levels: Grey) -> tuple[float, float]:
    """Split grey levels into three classes with the least variance inside each (Otsu 1979).

    Returns the upper limit (skin) and the lower one (skin and clothes).
    """
    counts, edges = np.histogram(levels, _HISTOGRAM_BINS, (0.0, 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    mass = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * middles)])

    def between(first: NDArray[np.intp], last: NDArray[np.intp]) -> Array:
        inside = mass[last] - mass[first]
        return (moment[last] - moment[first]) ** 2 / np.maximum(inside, 1e-9)

    lower, upper = np.triu_indices(_HISTOGRAM_BINS, 1)
    lower, upper = lower[lower > 0], upper[lower > 0]
    start, end = np.zeros_like(lower), np.full_like(lower, _HISTOGRAM_BINS)
    best = np.argmax(between(start, lower) + between(lower, upper) + between(upper, end))
    return float(edges[upper[best]]), float(edges[lower[best]])


def _contrast(levels: Grey, mask: Mask) -> float:
    return float(cv2.mean(levels, mask)[0] - cv2.mean(levels, _ring(mask))[0])


def _near_parts(depth: Grey, focal: float) -> list[tuple[Mask, float]]:
    """Cut a depth image at its jumps; return hand-sized to arm-sized parts and their depth."""
    surface = (depth > 0).astype(np.uint8)
    limit = _JUMP * np.maximum(1.0, depth / 0.5)
    for axis in (0, 1):
        step = np.diff(depth, axis=axis)
        near, far = (np.s_[:-1], np.s_[1:]) if axis == 0 else (np.s_[:, :-1], np.s_[:, 1:])
        # Only the farther pixel of a jump is cut away, so that the hand stays whole.
        surface[far][(step > limit[far]) & (depth[near] > 0)] = 0
        surface[near][(-step > limit[near]) & (depth[far] > 0)] = 0
    parts: list[tuple[Mask, float]] = []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(surface, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA]
    for label in np.flatnonzero(areas * (_FARTHEST / focal) ** 2 > _LEAST_AREA):
        if not label:
            continue
        part = (labels == label).astype(np.uint8)
        distance = cv2.mean(depth, part)[0]
        area = areas[label] * (distance / focal) ** 2
        if area < _LEAST_AREA:
            continue
        if area > _ARM_AREA or not entries(part):
            # A whole body, or an arm of which either end may be the hand: take what is near.
            part[depth > _quantile(depth[part > 0], 0.02) + _SLAB] = 0
            distance = cv2.mean(depth, part)[0]
        parts.append((part, distance))
    return parts


def _free_outline(depth: Grey, hand: HandShape) -> float:
    """Return which part of a hand's surroundings is clearly behind it or empty."""
    around = depth[_ring(hand.mask) > 0]
    inside = depth[hand.mask > 0]
    continues = (around > 0) & (around < _quantile(inside, 0.9) + _BEHIND)
    return 1.0 - float(continues.mean()) if around.size else 0.0


def _palm_depth(depth: Grey, hand: HandShape) -> float:
    rows, columns = np.nonzero(hand.mask)
    offsets = np.column_stack([columns, rows]) - hand.center
    palm = np.linalg.norm(offsets, axis=1) <= hand.radius
    return _quantile(depth[rows[palm], columns[palm]], 0.5)


def _quantile(values: Grey, fraction: float) -> float:
    rank = int(fraction * (values.size - 1))
    return float(np.partition(values, rank)[rank])


def _ring(mask: Mask) -> Mask:
    kernel = np.ones((3, 3), np.uint8)
    ring = cv2.subtract(cv2.dilate(mask, kernel, iterations=3), cv2.dilate(mask, kernel))
    return np.asarray(ring, dtype=np.uint8)


def _blobs(found: list[_Candidate], max_hands: int, factor: int, width: int) -> list[Blob]:
    kept: list[_Candidate] = []
    for candidate in sorted(found, key=lambda item: -item.score):
        hand = candidate.hand
        apart = all(
            np.linalg.norm(hand.center - other.hand.center)
            > 2.5 * max(hand.radius, other.hand.radius)
            for other in kept
        )
        if apart and candidate.score >= 0.5 * (kept[0].score if kept else 0.0):
            kept.append(candidate)
    kept = kept[:max_hands]
    sides = _sides([candidate.hand for candidate in kept], width)
    return [
        Blob(
            center=(candidate.hand.center + 0.5) * factor - 0.5,
            radius=candidate.hand.radius * factor,
            box=candidate.hand.box * factor,
            region=_region(candidate.hand, factor),
            depth=candidate.depth,
            score=candidate.score,
            side=side,
        )
        for candidate, side in zip(kept, sides, strict=True)
    ]


def _region(hand: HandShape, factor: int) -> Region:
    """Fingers point away from the arm, or to where most of the hand lies beyond the palm."""
    if hand.entry is None:
        rows, columns = np.nonzero(hand.mask)
        direction = np.array([columns.mean(), rows.mean()]) - hand.center
    else:
        direction = hand.center - hand.entry
    angle = heading(direction)
    ahead = np.array([np.sin(angle), -np.cos(angle)])
    center = hand.center + _REGION_SHIFT * hand.radius * ahead
    size = _REGION_SIZE * hand.radius * factor
    return Region(center=(center + 0.5) * factor - 0.5, size=size, angle=angle)


def _sides(hands: list[HandShape], width: int) -> list[Side | None]:
    """Guess sides as a head camera sees them: the left arm enters left of the right one."""
    if len(hands) == 2:
        places = [hand.center if hand.entry is None else hand.entry for hand in hands]
        left_first = places[0][0] < places[1][0]
        return ['left', 'right'] if left_first else ['right', 'left']
    guesses: list[Side | None] = []
    for hand in hands:
        offset = 0.0 if hand.entry is None else hand.entry[0] / width - 0.5
        guesses.append(None if abs(offset) < 0.1 else 'left' if offset < 0 else 'right')
    return guesses
