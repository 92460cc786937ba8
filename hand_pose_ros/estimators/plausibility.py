"""Plausibility: what other hands, depth and uncertainty say against a fitted hand."""

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
# A camera sees through joints that have nothing nearer than this behind them, metres, and sees no
# joints with something so much nearer before them: what a hand holds is not that far before it.
_BEHIND, _BEFORE = 0.06, 0.12
# Such joints speak against a hand if most of those with a measurement are, of at least so many.
_MOST, _LEAST = 0.7, 10
# A depth image agrees with so much of the surface of a hand that is there: more may be hidden.
_AGREES = 0.4
# A hand as unsure as this (RMS of its joints, metres) is as likely out of place as in it: mostly,
# and where a depth camera measures at all of its joints and the network for it saw no hand there.
_UNSURE, _UNSURE_UNSEEN = 0.12, 0.025


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


def contradicted(joints: Array, depth: View) -> bool:
    """Say whether a depth image speaks against a hand.

    It does where it sees most joints' places through the hand, or something so far before them
    that no camera would see the hand; a wrong hand is often half of each. Where nothing was
    measured it says nothing.

    Args:
        joints: (21, 3) metres, frame of the results.
        depth: view of the depth camera.
    """
    farther = _farther(joints, depth)
    farther = farther[np.isfinite(farther)]
    wrong = (farther > _BEHIND) | (farther < -_BEFORE)
    return len(wrong) >= _LEAST and bool(wrong.mean() >= _MOST)


def measured_share(joints: Array, depth: View) -> float:
    """Return the share of joints (21, 3) in the results' frame at which a depth image measures."""
    return float(np.isfinite(_farther(joints, depth)).mean())


def agreement(share: float, measured: float) -> float:
    """Return how far a depth image lets one believe in a hand, 0..1; 1 where it measures nothing.

    Args:
        share: of the points of its surface that face the camera, those which the image agrees with.
        measured: share of its joints at which the image measures.
    """
    return 1.0 - measured * (1.0 - min(share / _AGREES, 1.0))


def in_place(covariance: Array, unseen: float) -> float:
    """Return the probability that a hand as unsure as this is in its place.

    Args:
        covariance: (21, 3, 3) of its joints, square metres.
        unseen: share of its joints that a network which knows distances should have seen and did
            not.
    """
    variance = mean_variance(covariance)
    mostly, there = (
        1.0 / (1.0 + (variance / unsure**2) ** 2) for unsure in (_UNSURE, _UNSURE_UNSEEN)
    )
    return (1.0 - unseen) * mostly + unseen * there


def mean_variance(covariance: Array) -> float:
    """Return the mean over joints (21, 3, 3) of the variance in all directions."""
    return float(np.trace(covariance, axis1=1, axis2=2).mean())


def _farther(joints: Array, depth: View) -> Array:
    """Return how much farther than joints (21, 3) a depth image measures, metres.

    NaN where nothing was measured.
    """
    seen = joints @ depth.rotation.T + depth.translation
    farther = np.full(len(joints), np.nan)
    before = seen[:, 2] > 0.0
    seen = seen[before]
    measured = sample(depth.depth_measurement(), seen[:, :2] / seen[:, 2:])
    known = np.isfinite(measured) & (measured > 0.0)
    farther[before] = np.where(known, measured - seen[:, 2], np.nan)
    return farther


def _apart(fit: Fit, one: int, other: int) -> float:
    return float(np.linalg.norm(fit.joints[one] - fit.joints[other], axis=1).mean())
