"""Whether the views of a camera determine its intrinsics, and what to record if they do not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.board_pose import tilt
from hand_pose_ros.calibration.detection import Detection

Array = NDArray[np.float64]

FEWEST_VIEWS = 8
LEAST_TILT = 20.0  # degrees, reached by the third most tilted view
LEAST_SHARE = 0.45  # of the image's cells with a point of the target
WORST_ERROR = 1.5  # pixels RMS
WORST_FOCAL = 0.02  # of the focal length, standard deviation
_CELLS = (8, 6)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """How much the views of one camera say.

    Attributes:
        views: moments in which the target was found.
        share: of the image that the target visited, 0..1.
        tilt: degrees, of the third most tilted view.
        near, far: metres, distances of the target.
    """

    views: int
    share: float
    tilt: float
    near: float
    far: float


def coverage(views: Sequence[Detection], poses: Sequence[Array], size: tuple[int, int]) -> Coverage:
    """Measure the views of one camera and the target's poses (4, 4) in them."""
    pixels = np.concatenate([view.pixels for view in views])
    cells = np.clip(pixels / np.array(size) * _CELLS, 0, np.array(_CELLS) - 1).astype(int)
    visited = len(np.unique(cells, axis=0)) / (_CELLS[0] * _CELLS[1])
    tilts = sorted((tilt(pose) for pose in poses), reverse=True)
    distances = [float(np.linalg.norm(pose[:3, 3])) for pose in poses]
    return Coverage(
        views=len(views), share=visited, tilt=tilts[min(2, len(tilts) - 1)],
        near=min(distances), far=max(distances),
    )  # fmt: skip


def too_few(name: str, found: int, looked: int, target: str) -> str | None:
    """Return what is wrong when the target was hardly found, else None."""
    if found == 0:
        return (
            f'{name}: {target} was found in none of {looked} images: check its columns and rows '
            '(inner corners), that all of it is in view, and for thermal that it is warm or cold'
        )
    if found < FEWEST_VIEWS:
        return (
            f'{name}: the target was found in only {found} moments ({looked} images): check its '
            f'columns and rows, and record at least {FEWEST_VIEWS} moments, better 30, with all of '
            'it in view'
        )
    return None


def uncertain(name: str, focal: float, deviation: float, error: float) -> str | None:
    """Return what is wrong with a solution that explains little, or None.

    Args:
        name: of the camera.
        focal, deviation: its focal length and the standard deviation of it, pixels.
        error: reprojection error, pixels RMS.
    """
    if error > WORST_ERROR or not deviation < WORST_FOCAL * focal:
        return (
            f'{name}: the views do not fit together ({error:.2f} px, focal length uncertain by '
            f'{100 * deviation / focal:.1f} %): record more of them, tilted and in all corners, '
            'with a flat and stiff target, and check its columns, rows and spacing'
        )
    return None


def degenerate(name: str, measured: Coverage) -> str | None:
    """Return what is missing of one camera's views and what to record next, or None."""
    faults, remedies = [], []
    if measured.tilt < LEAST_TILT:
        faults.append(f'was never tilted by more than {measured.tilt:.0f} degrees')
        remedies.append('tilted 30-45 degrees about both its axes')
    if measured.share < LEAST_SHARE:
        faults.append(f'covers only {100 * measured.share:.0f} % of the image')
        remedies.append('in all four corners of the image')
    if not faults:
        return None
    return f'{name}: the target {" and ".join(faults)}: record it {" and ".join(remedies)}'
