"""Reweighting: landmarks are believed as far as they prove right over the frames of a session."""

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.annotation.terms import Terms
from hand_pose_ros.annotation.weights import Weights

Array = NDArray[np.float64]

# Median length of a residual of two unit components.
_MEDIAN = 1.1774
# So many frames of a landmark count as much as what is known beforehand, a factor of one.
_PRIOR_FRAMES = 15.0
_LEAST, _MOST = 0.7, 6.0


def landmark_factors(terms: Terms, weights: Weights) -> Array:
    """Return by which factor each view's landmarks (V, 21) stray more than they claim.

    A network may be worse from one view, or at one joint, than where its deviations were
    measured; the other views, the clouds and the motion show it.

    Args:
        terms: of a fit to many frames.
        weights: of that fit.
    """
    seen = np.isfinite(terms.pixels)
    count = seen.sum(axis=1)  # (V, 21)
    filled = np.where(seen, terms.pixels, np.inf)
    ordered = np.sort(filled, axis=1)
    middle = np.take_along_axis(ordered, np.maximum(count // 2, 0)[:, None], axis=1)[:, 0]
    middle = np.where(count > 0, middle, _MEDIAN / weights.point)
    factor = np.clip(weights.point * middle / _MEDIAN, _LEAST, _MOST)
    return np.exp(np.log(factor) * count / (count + _PRIOR_FRAMES))
