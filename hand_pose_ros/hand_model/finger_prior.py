"""How fingers usually lie: the mean and the covariance of their angles."""

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.resources import asset

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

NAME = 'finger_prior.json'
_FLEXION = 2
_RELAXED = 0.35  # rad, the flexion of a joint that the table does not know
_WIDE = 0.7  # rad, its standard deviation
# Standard deviation of what no table knows of a person's joints, rad: bending, and spreading or
# twisting. The simulator's fingers hardly spread, real ones do.
_OWN = (0.087, 0.2)


@dataclass(frozen=True, kw_only=True, eq=False)
class FingerPrior:
    """A Gaussian over D free angles: fingers bend together, and each of them in all its joints.

    Attributes:
        mean: (D,) rad.
        precision: (D, D) inverse of the covariance, 1 / rad^2.
    """

    mean: Array
    precision: Array


def finger_prior(degrees: Indices, lower: Array, upper: Array) -> FingerPrior:
    """Return the prior of a hand model's free angles.

    The table in ``assets`` was made by ``scripts/make_finger_prior.py`` from the hands of the
    simulator's training split. Angles it does not know are relaxed, and independent of the others.

    Args:
        degrees: (D, 2) joint (MANO order, 0 = index base) and angle of each, as in
            ``FittingModel``.
        lower: (D,) limits, rad.
        upper: (D,) limits, rad.
    """
    rows, mean_known, covariance_known = _table()
    places = [rows.get((int(joint), int(angle)), -1) for joint, angle in degrees]
    known = np.flatnonzero(np.array(places) >= 0)
    taken = np.array(places)[known]
    mean = np.where(degrees[:, 1] == _FLEXION, _RELAXED, 0.0)
    covariance = np.eye(len(degrees)) * _WIDE**2
    mean[known] = mean_known[taken]
    covariance[np.ix_(known, known)] = covariance_known[np.ix_(taken, taken)]
    covariance += np.diag(np.where(degrees[:, 1] == _FLEXION, *_OWN) ** 2)
    precision = np.asarray(np.linalg.inv(covariance), np.float64)
    return FingerPrior(mean=np.clip(mean, lower, upper), precision=precision)


@cache
def _table() -> tuple[dict[tuple[int, int], int], Array, Array]:
    """Return the row of each angle, and mean and covariance of all."""
    content = json.loads(asset(NAME).read_text(encoding='utf-8'))
    rows = {(joint, angle): row for row, (joint, angle) in enumerate(content['degrees'])}
    return rows, np.array(content['mean']), np.array(content['covariance'])
