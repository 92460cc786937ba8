"""Quality: how far off a fitted hand is likely to be, and the score that labels carry for it."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.terms import Terms

Array = NDArray[np.float64]

# A label whose joints are expected to be off by so much scores a half, metres.
HALF = 0.008
LARGEST = 0.1  # metres; nothing is expected to be worse
# Logarithm of the error in millimetres as a linear function of four signs, in the order of
# ``signs``, and what it is where all are 0. Regressed on eight rendered sessions (benchmarks/
# annotator.py's rig, 3800 hands, with and without the tripod); docs/annotation.md says how well
# it ranks hands of sessions it has not seen.
_SLOPES = np.array([0.20, 0.45, -0.66, -1.47])
_LEVEL = 8.56
_USUAL_GAP = 0.003  # metres


def signs(terms: Terms) -> Array:
    """Return what tells good from bad fits (M, 4).

    The logarithms of the landmarks' root mean square in standard deviations and of the surface's
    mean distance from the cloud, the share of the visible surface that lies on the cloud, and the
    logarithm of the number of believed landmarks in all views. Without landmarks, or without a
    cloud, the first two are 0.
    """
    points = np.sqrt(row_means(terms.pixels.transpose(1, 0, 2) ** 2))
    gap = row_means(np.abs(terms.gaps)) / _USUAL_GAP
    covered = np.isfinite(terms.gaps).sum(axis=1) / np.maximum(terms.facing, 1)
    believed = terms.belief.sum(axis=(0, 2))
    logs = [np.log(np.maximum(np.nan_to_num(x, nan=1.0), 1e-3)) for x in (points, gap)]
    return np.column_stack([*logs, covered, np.log1p(believed)])


def expected_error(terms: Terms) -> Array:
    """Return the mean joint error (M,) to be expected of M fitted hands, metres."""
    error = 1e-3 * np.exp(signs(terms) @ _SLOPES + _LEVEL)
    return np.minimum(error, LARGEST)


def score(error: Array) -> Array:
    """Return a quality in 0..1 of expected errors in metres: 1 for none, a half at ``HALF``."""
    return 1.0 / (1.0 + (error / HALF) ** 2)


def row_means(values: Array) -> Array:
    """Return the means (M,) of what is there in (M, ...); NaN where nothing is."""
    flat = values.reshape(len(values), -1)
    count = np.isfinite(flat).sum(axis=1)
    return np.where(count > 0, np.nansum(flat, axis=1) / np.maximum(count, 1), np.nan)
