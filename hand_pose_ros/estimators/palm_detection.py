"""Palm detection: anchors, decoding and weighted non-maximum suppression of the palm network."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.regions import Region, region_from_palm

Array = NDArray[np.float64]

PALM_INPUT = 192
PALM_KEYPOINTS = 7
# (cells per side, anchors per cell) of the two output maps, strides 8 and 16.
_ANCHOR_GRIDS = ((24, 2), (12, 6))
_LOGIT_LIMIT = 100.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Palm:
    """One palm in the pixels of the image it was decoded to.

    Attributes:
        box: (4,) x0, y0, x1, y1.
        keypoints: (7, 2); 0 is the wrist, 2 the middle knuckle.
        score: probability in 0..1.
    """

    box: Array
    keypoints: Array
    score: float

    @property
    def region(self) -> Region:
        """The region in which the landmark network looks at this hand."""
        return region_from_palm(self.box, self.keypoints)


@lru_cache(maxsize=1)
def anchors() -> Array:
    """Return the (2016, 2) anchor centres in 0..1, in the order of the network's output."""
    grids = []
    for cells, repeats in _ANCHOR_GRIDS:
        centers = (np.arange(cells) + 0.5) / cells
        rows, columns = np.meshgrid(centers, centers, indexing='ij')
        grids.append(np.repeat(np.column_stack([columns.ravel(), rows.ravel()]), repeats, axis=0))
    return np.concatenate(grids)


def decode(
    offsets: NDArray[np.floating], logits: NDArray[np.floating], threshold: float
) -> tuple[Array, Array]:
    """Decode the network's output into candidates in the unit square of its input.

    Args:
        offsets: (2016, 18) box centre, width, height and seven key points, in input pixels.
        logits: (2016,) palm scores.
        threshold: least probability that is kept.

    Returns:
        (N, 18) x0, y0, x1, y1 and the key points, and the scores (N,), best first.
    """
    limited = np.clip(logits, -_LOGIT_LIMIT, _LOGIT_LIMIT).astype(np.float64)
    scores = 1.0 / (1.0 + np.exp(-limited))
    kept = np.flatnonzero(scores >= threshold)
    kept = kept[np.argsort(-scores[kept], kind='stable')]
    values = offsets[kept].astype(np.float64) / PALM_INPUT
    center = anchors()[kept]
    values[:, :2] += center
    values[:, 4:] += np.tile(center, PALM_KEYPOINTS)
    middle, half = values[:, :2].copy(), values[:, 2:4] / 2
    values[:, :2], values[:, 2:4] = middle - half, middle + half
    return values, scores[kept]


def weighted_nms(values: Array, scores: Array, iou_threshold: float = 0.3) -> tuple[Array, Array]:
    """Merge overlapping candidates into their score-weighted mean.

    The best candidate absorbs all that overlap it by more than the threshold; the merged one
    keeps the best one's score. Source: MediaPipe's non-maximum suppression, weighted mode.

    Args:
        values: (N, 4 + K) x0, y0, x1, y1 and anything else to average.
        scores: (N,) weights.
        iou_threshold: overlap above which two candidates are one palm.

    Returns:
        (M, 4 + K) and (M,), best first.
    """
    remaining = np.argsort(-scores, kind='stable')
    merged, best = [], []
    while remaining.size:
        overlaps = box_iou(values[remaining[0]], values[remaining])
        absorbed = overlaps > iou_threshold
        absorbed[0] = True
        group = remaining[absorbed]
        merged.append(np.average(values[group], axis=0, weights=scores[group]))
        best.append(scores[remaining[0]])
        remaining = remaining[~absorbed]
    return np.array(merged).reshape(-1, values.shape[1]), np.array(best)


def box_iou(box: Array, boxes: Array) -> Array:
    """Return the IoU (N,) of one box x0, y0, x1, y1, ... with boxes (N, 4 or more)."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:4], boxes[:, 2:4])
    overlap = np.prod(np.clip(high - low, 0.0, None), axis=1)
    areas = np.prod(np.clip(boxes[:, 2:4] - boxes[:, :2], 0.0, None), axis=1)
    area = np.prod(np.clip(box[2:4] - box[:2], 0.0, None))
    union = area + areas - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def palms_in_image(
    offsets: NDArray[np.floating],
    logits: NDArray[np.floating],
    window: Region,
    threshold: float = 0.5,
    iou_threshold: float = 0.3,
) -> list[Palm]:
    """Return the palms of one network run, best first, in image pixels.

    Args:
        offsets, logits: the network's raw output, (2016, 18) and (2016,).
        window: the square of the image that the network saw.
        threshold: least palm probability.
        iou_threshold: see ``weighted_nms``.
    """
    values, scores = weighted_nms(*decode(offsets, logits, threshold), iou_threshold)
    palms = []
    for row, score in zip(values, scores, strict=True):
        keypoints = window.to_image(row[4:].reshape(-1, 2), 1)
        # The box of a rotated window is given upright about its mapped centre, with its own size.
        center = window.to_image((row[None, :2] + row[None, 2:4]) / 2, 1)[0]
        half = (row[2:4] - row[:2]) * window.size / 2
        box = np.concatenate([center - half, center + half])
        palms.append(Palm(box=box, keypoints=keypoints, score=float(score)))
    return palms
