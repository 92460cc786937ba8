"""Error measures of hand poses, each with the exact protocol of its source.

Joints are (N, 21, 3) arrays in metres, one side at a time, in one common frame; N counts frames.
A missing hand or label is NaN: it is left out of every mean and never counts as zero. A measure
without a single valid value is NaN.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.skeleton import WRIST

Array = NDArray[np.float64]

# Keeps an error that equals a threshold on its inner side in spite of binary rounding, metres.
_EDGE = 1e-9


@dataclass(frozen=True, kw_only=True)
class ThresholdGrid:
    """A linear grid of error thresholds from 0, for PCK and AUC.

    Attributes:
        maximum: last threshold, metres.
        count: number of thresholds, both ends included.
    """

    maximum: float
    count: int

    @property
    def thresholds(self) -> Array:
        """The thresholds (count,) in metres."""
        return np.linspace(0.0, self.maximum, self.count)


# Source: ThermoHands' evaluation (methods specification, section 1.6).
CAMERA_SPACE = ThresholdGrid(maximum=0.090, count=37)
SINGLE_HAND = ThresholdGrid(maximum=0.080, count=33)
ROOT_ALIGNED = ThresholdGrid(maximum=0.050, count=21)


def _nanmean(values: Array, axis: int | None = None) -> Array:
    """Mean over the values that are there; NaN, without a warning, where there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', category=RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def joint_errors(predicted: Array, truth: Array) -> Array:
    """Euclidean error per frame and joint (N, J) in metres; NaN where either is missing."""
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    if predicted.shape != truth.shape or predicted.shape[-1:] != (3,):
        raise ValueError(f'joints must be (N, J, 3) twice, got {predicted.shape} and {truth.shape}')
    return np.linalg.norm(predicted - truth, axis=-1)


def root_aligned(joints: Array) -> Array:
    """Subtract the wrist from joints (N, 21, 3) and leave it out: (N, 20, 3), metres."""
    joints = np.asarray(joints, np.float64)
    return np.delete(joints - joints[:, WRIST : WRIST + 1], WRIST, axis=1)


def mean_joint_error(errors: Array) -> float:
    """Mean per joint over frames first, then over joints; errors (N, J) in metres."""
    return float(_nanmean(_nanmean(np.asarray(errors, np.float64), axis=0)))


def mepe(predicted: Array, truth: Array) -> float:
    """MEPE: mean end-point error over the 21 joints in camera space, metres.

    Source: methods specification, section 1.6.
    """
    return mean_joint_error(joint_errors(predicted, truth))


def mepe_root_aligned(predicted: Array, truth: Array) -> float:
    """MEPE-RA: mean error of the 20 other joints relative to the wrist, metres.

    Source: methods specification, section 1.6.
    """
    return mean_joint_error(joint_errors(root_aligned(predicted), root_aligned(truth)))


def pck(errors: Array, thresholds: Array) -> Array:
    """Share of frames with ``error <= threshold`` per joint and threshold: (J, T).

    Args:
        errors: (N, J) metres, NaN where missing.
        thresholds: (T,) metres.
    """
    errors = np.asarray(errors, np.float64)
    valid = np.isfinite(errors)
    inside = errors[:, :, None] <= np.asarray(thresholds, np.float64) + _EDGE
    counts = valid.sum(axis=0)[:, None]
    shares = np.divide((inside & valid[:, :, None]).sum(axis=0), np.maximum(counts, 1))
    return np.where(counts > 0, shares, np.nan)


def auc(errors: Array, grid: ThresholdGrid = CAMERA_SPACE) -> float:
    """Area under PCK by the trapezoid rule over the grid, divided by its range, mean over joints.

    Report the grid with the number: values of different grids do not compare.
    Source: methods specification, section 1.6.
    """
    curves = pck(errors, grid.thresholds)
    areas = (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2.0
    return float(_nanmean(areas))


def wrist_error(predicted: Array, truth: Array) -> float:
    """Mean error of the wrist in camera space, metres."""
    return float(_nanmean(joint_errors(predicted, truth)[:, WRIST]))


def mpjpe(predicted: Array, truth: Array) -> float:
    """MPJPE: wrist-aligned mean over all 21 joints, the wrist's own zero included, metres.

    Each frame is averaged first, then the frames.
    Source: methods specification, section 2.8.
    """
    aligned = [
        joints - joints[:, WRIST : WRIST + 1] for joints in map(np.asarray, (predicted, truth))
    ]
    return float(_nanmean(_nanmean(joint_errors(*aligned), axis=1)))


def procrustes(source: Array, target: Array) -> Array:
    """Map points (J, 3) onto target (J, 3) by the best similarity transform (det +1)."""
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred, aim = source - source_mean, target - target_mean
    spread = float((centred**2).sum())
    if spread == 0.0:
        return np.broadcast_to(target_mean, target.shape).copy()
    u, singular, vt = np.linalg.svd(centred.T @ aim)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    rotation = u @ np.diag(signs) @ vt
    return centred @ rotation * float((singular * signs).sum() / spread) + target_mean


def pa_mpjpe(predicted: Array, truth: Array) -> float:
    """PA-MPJPE: mean joint distance after a similarity alignment of each hand, metres.

    Only joints present in both take part; a hand with fewer than three of them is left out.
    Source: methods specification, section 2.8.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    means = []
    for hand, label in zip(predicted, truth, strict=True):
        valid = np.isfinite(hand).all(axis=1) & np.isfinite(label).all(axis=1)
        if valid.sum() >= 3:
            aligned = procrustes(hand[valid], label[valid])
            means.append(np.linalg.norm(aligned - label[valid], axis=1).mean())
    return float(np.mean(means)) if means else float('nan')


def sigma_share(predicted: Array, truth: Array, covariance: Array) -> float:
    """Share of the errors along x, y and z that lie within one published standard deviation.

    About 0.68 for an honest Gaussian uncertainty; more means too modest, less too sure.

    Args:
        predicted: (N, 21, 3) metres.
        truth: (N, 21, 3) metres.
        covariance: (N, 21, 3, 3) square metres.
    """
    sigma = np.sqrt(np.diagonal(np.asarray(covariance, np.float64), axis1=-2, axis2=-1))
    errors = np.abs(np.asarray(predicted, np.float64) - np.asarray(truth, np.float64))
    valid = np.isfinite(errors) & np.isfinite(sigma)
    if not valid.any():
        return float('nan')
    return float((errors[valid] <= sigma[valid]).mean())


def jitter(joints: Array) -> Array:
    """RMS deviation of a still hand's joints from their own mean along x, y and z: (3,) metres.

    Args:
        joints: (N, 21, 3) metres over time, NaN where the hand was not reported.
    """
    joints = np.asarray(joints, np.float64)
    return np.sqrt(_nanmean(_nanmean((joints - _nanmean(joints, axis=0)) ** 2, axis=0), axis=0))
