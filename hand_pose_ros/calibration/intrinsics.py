"""Intrinsics and distortion of one camera from views of a target; bad views are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.calibration.board_pose import board_pose
from hand_pose_ros.calibration.bundle import Bundle, Eye, Sighting, rms
from hand_pose_ros.calibration.detection import Detection
from hand_pose_ros.calibration.initial import first_moment
from hand_pose_ros.calibration.projection import projected
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]
Lens = Literal['plumb_bob', 'equidistant']

# A view is bad when its error is so much larger than that of the middle view, and not tiny.
_BAD, _TINY = 3.0, 0.25
_ROUNDS = 4
_TRIED = 15  # views of which the starts are tried
_FOCAL = (0.35, 0.55, 0.85, 1.3, 2.5)  # their focal lengths, in image widths
_BENT = (0.0, -0.35)  # their k1
_FISHEYE_SIGMA = 0.3  # pixels
_FEWEST = 4  # views that are never rejected
# A coefficient is freed when it explains more than chance: a gain in log-likelihood far above
# what the Bayesian criterion asks, as errors of neighbouring corners are not independent.
_GAIN = 15.0
_BASE = cv2.CALIB_FIX_K3 | cv2.CALIB_ZERO_TANGENT_DIST


@dataclass(frozen=True, kw_only=True, eq=False)
class MonoCalibration:
    """One camera calibrated alone.

    Attributes:
        camera: intrinsics and distortion.
        free: which of fx, fy, cx, cy, then the distortion coefficients, were estimated.
        kept: numbers of the views that were used.
        rejected: numbers of the views left out, and their error in pixels.
        rms: of the used views, pixels.
    """

    camera: Camera
    free: tuple[int, ...]
    kept: tuple[int, ...]
    rejected: dict[int, float]
    rms: float


def calibrate_camera(
    views: Sequence[Detection], size: tuple[int, int], target: Target, lens: Lens = 'plumb_bob'
) -> MonoCalibration:
    """Calibrate one camera.

    Args:
        views: of one camera; at least three.
        size: (width, height) of its images.
        target: what they show.
        lens: distortion model; of ``plumb_bob`` the tangential terms and k3 stay zero unless
            the views clearly show them.
    """
    kept = list(range(len(views)))
    camera, judged = _first(views, size, target, lens)
    for _ in range(_ROUNDS):
        limit = max(_BAD * float(np.median(judged)), _TINY)
        good = [number for number, error in enumerate(judged) if error <= limit]
        if good == kept or len(good) < _FEWEST:
            break
        kept = good
        camera, _ = _solve([views[number] for number in kept], camera, target, _BASE)
        # A good view whose pose had gone astray in the common solution comes back here.
        judged = np.array([view_error(view, camera, target) for view in views])
    chosen = [views[number] for number in kept]
    flags = _supported(chosen, camera, target) if lens == 'plumb_bob' else _BASE
    camera, errors = _solve(chosen, camera, target, flags)
    rejected = {n: float(e) for n, e in enumerate(judged) if n not in kept}
    return MonoCalibration(
        camera=camera, free=_free(flags, lens), kept=tuple(kept), rejected=rejected,
        rms=float(np.sqrt(np.mean(np.square(errors)))),
    )  # fmt: skip


def view_error(view: Detection, camera: Camera, target: Target) -> float:
    """Return the RMS distance in pixels between a view and the target in its best pose."""
    seen = apply(board_pose(view, camera, target), target.points[view.ids])
    away = projected(camera, seen)[0] - view.pixels
    return float(np.sqrt(np.mean(np.sum(away**2, axis=1))))


def _free(flags: int, lens: Lens) -> tuple[int, ...]:
    if lens == 'equidistant':
        return tuple(range(8))
    tangential = () if flags & cv2.CALIB_ZERO_TANGENT_DIST else (6, 7)
    return (0, 1, 2, 3, 4, 5, *tangential, *(() if flags & cv2.CALIB_FIX_K3 else (8,)))


def _first(
    views: Sequence[Detection], size: tuple[int, int], target: Target, lens: Lens
) -> tuple[Camera, Array]:
    """Return a first solution: the best of many starts on a few views, then of all views.

    From a wrong focal length or a straight lens, the poses of views in the corners of a wide lens
    settle wrongly, and the camera with them.
    """
    few = views[:: max(1, len(views) // _TRIED)]
    if lens == 'equidistant':
        starts = [_start(size, focal * size[0], np.zeros(4), lens) for focal in _FOCAL]
    else:
        starts = [
            _start(size, focal * size[0], np.array([bend, 0, 0, 0, 0]), lens)
            for focal in _FOCAL
            for bend in _BENT
        ]
    tried = [_solve(few, start, target, _BASE) for start in starts]
    best = min(tried, key=lambda solution: float(np.median(solution[1])))[0]
    return _solve(views, best, target, _BASE)


def _supported(views: Sequence[Detection], start: Camera, target: Target) -> int:
    """Return OpenCV's flags with those coefficients freed that the views clearly show."""
    flags, count = _BASE, 2 * sum(len(view.ids) for view in views)
    error = _squared(_solve(views, start, target, flags)[1], views)
    for freed in (cv2.CALIB_FIX_K3, cv2.CALIB_ZERO_TANGENT_DIST):
        candidate = flags & ~freed
        smaller = _squared(_solve(views, start, target, candidate)[1], views)
        if count * np.log(error / smaller) > _GAIN:
            flags, error = candidate, smaller
    return flags


def _squared(errors: Array, views: Sequence[Detection]) -> float:
    return float(np.sum(errors**2 * [len(view.ids) for view in views]))


def _solve(
    views: Sequence[Detection], start: Camera, target: Target, flags: int
) -> tuple[Camera, Array]:
    """Return the camera and the RMS error of each view in pixels, beginning with a camera."""
    size = (start.width, start.height)
    if start.distortion_model == 'equidistant':
        return _solve_fisheye(views, start, target)
    objects = [target.points[view.ids].astype(np.float32) for view in views]
    images = [view.pixels.astype(np.float32) for view in views]
    _, K, distortion, _, _, _, _, errors = cv2.calibrateCameraExtended(
        objects, images, size, start.intrinsics.copy(), start.distortion.copy(),
        flags=flags | cv2.CALIB_USE_INTRINSIC_GUESS,
    )  # fmt: skip
    return _camera(size, K, distortion.ravel()[:5], 'plumb_bob'), errors.ravel()


def _solve_fisheye(
    views: Sequence[Detection], start: Camera, target: Target
) -> tuple[Camera, Array]:
    """Solve as a bundle, every view a moment: OpenCV's fisheye solver gives up early."""
    eye = Eye(
        camera=start, free=tuple(range(8)), T_cam_ref=np.eye(4), sigma=_FISHEYE_SIGMA, placed=False
    )
    moments = [first_moment(v.stamp, [(0.0, board_pose(v, start, target))]) for v in views]
    sightings = [Sighting(detection=view, moment=number) for number, view in enumerate(views)]
    bundle = Bundle(
        target=target, eyes={views[0].camera: eye}, moments=moments, sightings=sightings
    )
    solved = bundle.solved()
    return solved.eyes[views[0].camera].camera, np.array([rms([e]) for e in solved.residuals()])


def _start(size: tuple[int, int], focal: float, distortion: Array, model: Lens) -> Camera:
    """Return a camera that looks through the middle of its image."""
    K = np.array([[focal, 0, (size[0] - 1) / 2], [0, focal, (size[1] - 1) / 2], [0, 0, 1.0]])
    return _camera(size, K, distortion, model)


def _camera(size: tuple[int, int], K: Array, distortion: Array, model: Lens) -> Camera:
    return Camera(
        width=size[0], height=size[1], intrinsics=K, distortion=distortion, distortion_model=model
    )
