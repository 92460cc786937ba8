"""Hand shapes: the hand's end of arm-like parts of a binary mask."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.uint8]

# In palm radii: finger tips and wrist from the palm's centre, and a hand's length.
_REACH, _WRIST, _LENGTH = 3.0, 1.3, 5.0
_LEAST_CONTACT = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class HandShape:
    """A hand-like end of a part.

    Attributes:
        center: (2,) palm centre, mask pixels.
        radius: palm radius, mask pixels.
        mask: (H, W) 0 or 1, the hand without its forearm.
        entry: (2,) where its arm meets the border of the image, or None.
    """

    center: Array
    radius: float
    mask: Mask
    entry: Array | None

    @property
    def box(self) -> Array:
        """The (4,) x0, y0, x1, y1 that holds the hand."""
        x, y, width, height = cv2.boundingRect(self.mask)
        return np.array([x, y, x + width, y + height], dtype=np.float64)


def hands_in(mask: Mask, radii: tuple[float, float], length: float | None) -> list[HandShape]:
    """Return the hand's end of each connected part of a mask.

    An arm that enters at the border ends in its hand; the palm is the widest place there. A part
    that enters twice is two arms that touch.

    Args:
        mask: (H, W) 0 or 1.
        radii: least and largest radius of a palm in pixels.
        length: length of a hand in pixels, or None to take it from the palm.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    hands = []
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < np.pi * radii[0] ** 2:
            continue
        part = (labels == label).astype(np.uint8)
        for arm, entry in _arms(part):
            hand = _hand_of(arm, entry, length)
            if hand is not None and radii[0] <= hand.radius <= radii[1]:
                hands.append(hand)
    return hands


def entries(part: Mask) -> list[Array]:
    """Return the middles (2,) of the stretches in which a part touches the image's border."""
    points = _perimeter(*part.shape)
    touching = part[points[:, 1], points[:, 0]] > 0
    if not touching.any():
        return []
    # Start between two stretches, so that none wraps around the end of the perimeter.
    start = int(touching.argmin())
    touching, points = np.roll(touching, -start), np.roll(points, -start, axis=0)
    changes = np.flatnonzero(np.diff(np.concatenate([[0], touching.astype(np.int8), [0]])))
    return [
        points[first:end].mean(axis=0)
        for first, end in changes.reshape(-1, 2)
        if end - first >= _LEAST_CONTACT
    ]


@lru_cache(maxsize=8)
def _perimeter(height: int, width: int) -> NDArray[np.intp]:
    """Return the border pixels (N, 2) as x, y, clockwise from the upper left corner."""
    across, down = np.arange(width), np.arange(1, height)
    top = np.column_stack([across, np.zeros(width, int)])
    right = np.column_stack([np.full(height - 1, width - 1), down])
    bottom = np.column_stack([across[::-1][1:], np.full(width - 1, height - 1)])
    left = np.column_stack([np.zeros(height - 1, int), down[::-1]])[1:]
    return np.concatenate([top, right, bottom, left])


def _arms(part: Mask) -> list[tuple[Mask, Array | None]]:
    found = entries(part)
    if len(found) < 2:
        return [(part, found[0] if found else None)]
    points = _pixels(part)
    distances = np.linalg.norm(points[:, None] - np.array(found), axis=2)
    nearest = distances.argmin(axis=1)
    return [(_mask(part.shape, points[nearest == i]), entry) for i, entry in enumerate(found)]


def _hand_of(arm: Mask, entry: Array | None, length: float | None) -> HandShape | None:
    points = _pixels(arm)
    if not len(points):
        return None
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    # A frame of zeros makes the image's border an edge of the part as well.
    part = cv2.copyMakeBorder(
        arm[top : bottom + 1, left : right + 1], 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0
    )
    widths = cv2.distanceTransform(part, cv2.DIST_L2, 3)
    all_widths = widths[points[:, 1] - top + 1, points[:, 0] - left + 1]
    values = all_widths
    if entry is not None:
        from_entry = np.hypot(*(points - entry).T)
        tip = points[from_entry.argmax()]
        reach = length or _LENGTH * float(values.max())
        # A forearm is as wide as a palm: of two wide places, the one nearer the tip is the palm.
        share = np.hypot(*(points - tip).T) / reach
        values = np.where(share < 1.0, values * (1.0 - 0.7 * share), 0.0)
    best = int(values.argmax())
    center, radius = points[best].astype(np.float64), float(all_widths[best])
    offsets = points - center
    kept = np.hypot(*offsets.T) < _REACH * radius
    if entry is not None:
        towards = (entry - center) / max(float(np.hypot(*(entry - center))), 1e-9)
        kept &= offsets @ towards < _WRIST * radius
    return HandShape(center=center, radius=radius, mask=_mask(arm.shape, points[kept]), entry=entry)


def _pixels(mask: Mask) -> NDArray[np.intp]:
    found = cv2.findNonZero(mask)
    return np.zeros((0, 2), int) if found is None else np.asarray(found[:, 0], dtype=np.intp)


def _mask(shape: tuple[int, ...], points: NDArray[np.intp]) -> Mask:
    mask = np.zeros(shape, np.uint8)
    mask[points[:, 1], points[:, 0]] = 1
    return mask
