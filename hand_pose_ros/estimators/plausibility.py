"""Plausibility: which fitted hands cannot be there, by what the others and the depth image say."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.estimators.rig_views import View
from hand_pose_ros.hand_model.fitting import Fit
from hand_pose_ros.hand_model.residuals import sample

Array = NDArray[np.float64]

# Two hands whose joints are nearer than this on average can hardly be two, metres, and so much less
# of the surface of the one that is not there agrees with the depth image.
_ONE_PLACE, _WORSE = 0.075, 0.75
# The camera sees through a hand whose joints have nothing nearer than this behind them, metres,
# most of at least so many.
_BEHIND, _MOST, _LEAST = 0.06, 0.7, 10
# No camera sees a hand whose joints have something so much nearer before them, metres. What a hand
# holds is not that far before it.
_BEFORE = 0.12


def doubles(fit: Fit, rows: Mapping[int, int], duplicate: float) -> set[int]:
    """Return the younger of any two tracks that agree on where their hands are.

    Args:
        fit: of all hands.
        rows: row of the fit by number of the track.
        duplicate: mean distance between joints below which two agree, metres.
    """
    found: set[int] = set()
    for older, younger in combinations(sorted(rows), 2):
        if older not in found and _apart(fit, rows[older], rows[younger]) < duplicate:
            found.add(younger)
    return found


def crowded_out(fit: Fit, rows: Mapping[int, int]) -> set[int]:
    """Return the tracks in whose place the depth image shows another one's hand.

    Two hands that are too near each other to be two are one, if the depth image shows clearly less
    of one of them.

    Args:
        fit: of all hands.
        rows: row of the fit by number of the track.
    """
    found: set[int] = set()
    for pair in combinations(rows, 2):
        shown = fit.depth_share[[rows[number] for number in pair]]
        near = _apart(fit, rows[pair[0]], rows[pair[1]]) < _ONE_PLACE
        if near and shown.min() < _WORSE * shown.max():
            found.add(pair[int(shown.argmin())])
    return found


def seen_through(joints: Array, depth: View) -> bool:
    """Say whether a depth image sees what is far behind a hand instead of the hand.

    Where nothing was measured and where something nearer hides the hand, it says nothing.

    Args:
        joints: (21, 3) metres, frame of the results.
        depth: view of the depth camera.
    """
    return _most(_farther(joints, depth) > _BEHIND)


def covered(joints: Array, depth: View) -> bool:
    """Say whether a depth image shows something far before a hand, which no camera could see then.

    Args:
        joints: (21, 3) metres, frame of the results.
        depth: view of the depth camera.
    """
    return _most(_farther(joints, depth) < -_BEFORE)


def _most(flags: NDArray[np.bool_]) -> bool:
    return len(flags) >= _LEAST and bool(flags.mean() >= _MOST)


def _farther(joints: Array, depth: View) -> Array:
    """Return how much farther, metres, than joints (21, 3) the image measures, where it does."""
    seen = joints @ depth.rotation.T + depth.translation
    seen = seen[seen[:, 2] > 0.0]
    measured = sample(depth.depth_measurement(), seen[:, :2] / seen[:, 2:])
    known = np.isfinite(measured) & (measured > 0.0)
    return (measured - seen[:, 2])[known]


def _apart(fit: Fit, one: int, other: int) -> float:
    return float(np.linalg.norm(fit.joints[one] - fit.joints[other], axis=1).mean())
