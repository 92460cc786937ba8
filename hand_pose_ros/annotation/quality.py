"""Quality: how far off a fitted hand is likely to be, and the score that labels carry for it."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.terms import Terms

Array = NDArray[np.float64]

# A label whose joints are expected to be off by so much scores a half, metres.
HALF = 0.008
LARGEST = 0.1  # metres; nothing is expected to be worse
# Logarithm of the error in millimetres as a linear function of ``signs``, and where all are 0.
# Regressed on four rendered sessions, each seen by nine sets of cameras, with and without depth;
# docs/annotation.md says how well it ranks hands of sessions it has not seen.
_SLOPES = np.array([0.90, 0.24, 0.28, -0.70, -0.61])
_LEVEL = 1.25
_USUAL_GAP = 0.003  # metres
# What is known of a pose without evidence: rad, metres, rad.
_TURN, _WRIST, _ANGLE = 0.15, 0.02, 0.3


def signs(terms: Terms) -> Array:
    """Return what tells good from bad fits (M, 5).

    The logarithms of the joints' spread that the evidence leaves open (mm), of the landmarks' root
    mean square in standard deviations, and of the surface's mean distance from the cloud (in
    3 mm); the share of the visible surface that lies on the cloud; 1 without any cloud. Without
    landmarks, or without a cloud, the second and third are 0.
    """
    points = row_means(terms.pixels.transpose(1, 0, 2) ** 2) ** 0.5
    gap = row_means(np.abs(terms.gaps)) / _USUAL_GAP
    found = np.isfinite(terms.gaps).sum(axis=1)
    spread = 1e3 * open_error(terms)
    logs = [np.log(np.maximum(np.nan_to_num(x, nan=1.0), 1e-3)) for x in (spread, points, gap)]
    return np.column_stack([*logs, found / np.maximum(terms.facing, 1), found == 0])


def open_error(terms: Terms) -> Array:
    """Return the mean standard deviation (M,) of the joints, metres, as far as the fit knows."""
    size = terms.settled.shape[1]
    prior = np.full(size, _ANGLE)
    prior[:3], prior[3:6] = _TURN, _WRIST
    covariance = np.linalg.inv(terms.settled + np.diag(prior**-2))
    slopes = terms.slopes[..., :size]
    spread = ((slopes @ covariance[:, None]) * slopes).sum(axis=(2, 3))
    return np.sqrt(np.maximum(spread, 0.0)).mean(axis=1)


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
