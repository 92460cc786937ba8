"""Report: what an annotation found, in numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.sessions.labels import ABSENT, CORRECTED, FITTED, INTERPOLATED, SessionLabels
from hand_pose_ros.skeleton import SIDES

_ORIGINS = {'fitted': FITTED, 'interpolated': INTERPOLATED, 'corrected': CORRECTED}


def summary(labels: SessionLabels, truth: SessionLabels | None) -> dict[str, Any]:
    """Return counts, quality and residuals of each side, and errors where the truth is known.

    Args:
        labels: of a session.
        truth: its exact hands in the same rows, or None.
    """
    result: dict[str, Any] = {
        'frames': len(labels.stamps),
        'frames_with_hands': int((labels.origin != ABSENT).any(axis=1).sum()),
        'hands': int((labels.origin != ABSENT).sum()),
        'sides': {name: _side(labels, side) for side, name in enumerate(SIDES)},
    }
    if truth is not None:
        result['truth'] = errors(labels, truth)
    return result


def errors(labels: SessionLabels, truth: SessionLabels) -> dict[str, Any]:
    """Compare usable labels with the exact hands of the same rows.

    Returns:
        millimetres over all joints (mean, median, 95th percentile), over the joints about the
        wrist, and how many true hands have no label and labels no true hand (in view).
    """
    there = truth.origin != ABSENT
    found = labels.usable & there
    away = labels.joints[found] - truth.joints[found]
    distance = np.linalg.norm(away, axis=-1) * 1e3
    relative = np.linalg.norm(away - away[:, :1], axis=-1)[:, 1:] * 1e3
    return {
        'hands': int(there.sum()),
        'missed': int((there & ~labels.usable).sum()),
        'false': int((labels.usable & ~there).sum()),
        'joint_error_mm': _distribution(distance),
        'wrist_relative_error_mm': _distribution(relative),
    }


def _side(labels: SessionLabels, side: int) -> dict[str, Any]:
    known = labels.origin[:, side] != ABSENT
    counts = {name: int((labels.origin[:, side] == code).sum()) for name, code in _ORIGINS.items()}
    residuals = {
        name: _number(np.nanmedian(values[known, side]))
        for name, values in labels.residuals.items()
        if np.isfinite(values[known, side]).any()
    }
    quality = labels.quality[known, side]
    return counts | {
        'quality': _number(quality.mean()) if known.any() else None,
        'median_residuals': residuals,
    }


def _distribution(values: NDArray[np.float64]) -> dict[str, float] | None:
    if not values.size:
        return None
    return {
        'mean': _number(values.mean()),
        'median': _number(np.median(values)),
        'p95': _number(np.percentile(values, 95)),
    }


def _number(value: Any) -> float:
    return round(float(value), 4)
