"""One set of figures from results and truth, with their grids and counts beside them."""

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.evaluation import metrics

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class AccuracySummary:
    """Errors of one side over a run; millimetres, shares in 0..1, NaN when nothing was compared.

    Attributes:
        frames: frames in which the truth shows the hand.
        found: of those, frames in which the hand was reported with 3D joints.
        mepe_mm, mepe_ra_mm, wrist_mm, mpjpe_mm, pa_mpjpe_mm: see ``metrics``.
        auc_camera_0_90: AUC over 0-90 mm, 37 thresholds, camera space.
        auc_aligned_0_50: AUC over 0-50 mm, 21 thresholds, wrist-aligned, 20 joints.
        sigma_share: share of errors within one published standard deviation.
    """

    frames: int
    found: int
    mepe_mm: float
    mepe_ra_mm: float
    wrist_mm: float
    mpjpe_mm: float
    pa_mpjpe_mm: float
    auc_camera_0_90: float
    auc_aligned_0_50: float
    sigma_share: float

    def as_dict(self) -> dict[str, float | int | None]:
        """The figures by name, NaN as None, fit for JSON."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def summarise(predicted: Array, truth: Array, covariance: Array | None = None) -> AccuracySummary:
    """Compare joints (N, 21, 3) in metres of one side with the truth; missing is NaN.

    Args:
        predicted: joints of the results.
        truth: joints in the same frame at the same stamps.
        covariance: (N, 21, 3, 3) square metres, or None when not published.
    """
    predicted, truth = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    visible = np.isfinite(truth).any(axis=(1, 2))
    found = visible & np.isfinite(predicted).any(axis=(1, 2))
    aligned = metrics.joint_errors(metrics.root_aligned(predicted), metrics.root_aligned(truth))
    share = float('nan')
    if covariance is not None:
        share = metrics.sigma_share(predicted, truth, covariance)
    return AccuracySummary(
        frames=int(visible.sum()),
        found=int(found.sum()),
        mepe_mm=1e3 * metrics.mepe(predicted, truth),
        mepe_ra_mm=1e3 * metrics.mepe_root_aligned(predicted, truth),
        wrist_mm=1e3 * metrics.wrist_error(predicted, truth),
        mpjpe_mm=1e3 * metrics.mpjpe(predicted, truth),
        pa_mpjpe_mm=1e3 * metrics.pa_mpjpe(predicted, truth),
        auc_camera_0_90=metrics.auc(metrics.joint_errors(predicted, truth), metrics.CAMERA_SPACE),
        auc_aligned_0_50=metrics.auc(aligned, metrics.ROOT_ALIGNED),
        sigma_share=share,
    )
