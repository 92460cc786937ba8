"""Quality: how far off a fitted hand is likely to be, and the score that labels carry for it."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.terms import Terms
from hand_pose_ros.hand_model.residuals import JOINTS

Array = NDArray[np.float64]

# What neighbouring frames say of a pose, besides its own evidence: rad, metres, rad.
_TURN, _WRIST, _ANGLE = 0.15, 0.02, 0.3
# A label whose joints are expected to be off by so much scores a half, metres.
HALF = 0.008
# Residuals by which the fit is worse than it believes: of landmarks in standard deviations, of
# the surface in metres.
_USUAL_POINT, _USUAL_GAP = 0.6, 0.002


def expected_error(terms: Terms) -> Array:
    """Return the error (M,) to be expected of the joints of M fitted hands, metres.

    It is the spread of the joints that the evidence leaves open, widened where landmarks or the
    surface disagree with the fit more than usual.
    """
    size = terms.normal.hessian.shape[1]
    prior = np.full(size, 1.0 / _ANGLE**2)
    prior[:3], prior[3:6] = 1.0 / _TURN**2, 1.0 / _WRIST**2
    covariance = np.linalg.inv(terms.normal.hessian + np.diag(prior))
    slopes = terms.posed.jacobian[:, :size, :, JOINTS]  # (M, P, 3, 21)
    spread = np.einsum('mpaj,mpq,mqaj->mj', slopes, covariance, slopes, optimize=True)
    open_error = np.sqrt(np.maximum(spread, 0.0)).mean(axis=1)
    strain = point_strain(terms) / _USUAL_POINT, surface_strain(terms) / _USUAL_GAP
    worst = np.fmax(*(np.nan_to_num(value, nan=1.0) for value in strain))
    return open_error * np.maximum(worst, 1.0)


def score(error: Array) -> Array:
    """Return a quality in 0..1 of expected errors in metres: 1 for none, a half at ``HALF``."""
    return 1.0 / (1.0 + (error / HALF) ** 2)


def point_strain(terms: Terms) -> Array:
    """Return the median distance (M,) of the landmarks in standard deviations; NaN without any."""
    return _middle(terms.pixels.transpose(1, 0, 2))


def surface_strain(terms: Terms) -> Array:
    """Return the median distance (M,) of the surface from the cloud, metres; NaN without any."""
    return _middle(np.abs(terms.gaps))


def _middle(values: Array) -> Array:
    flat = values.reshape(len(values), -1)
    known = np.isfinite(flat).any(axis=1)
    middle = np.full(len(flat), np.nan)
    middle[known] = np.nanmedian(flat[known], axis=1)
    return middle
