"""Joint bundle adjustment: intrinsics, camera poses, time offsets and the target's motion at once.

Images need not be simultaneous: in every moment (about a tenth of a second) the target moves with
a pose, a velocity and an acceleration of its own, so each image is explained at its own time, and
a constant lateness of a camera shows as a displacement along the motion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.detection import Detection
from hand_pose_ros.calibration.moments import SIGMA, SIZE, Moment
from hand_pose_ros.calibration.projection import changed, projected, skew
from hand_pose_ros.geometry.camera import Camera
from hand_pose_ros.geometry.transforms import apply, rigid
from hand_pose_ros.rig.target import Target

Array = NDArray[np.float64]

_HUBER = 2.5  # standard deviations from which a corner counts less
_STEPS = 60
_SETTLED = 1e-6  # relative change of the cost, far below one standard deviation of anything


@dataclass(frozen=True, kw_only=True, eq=False)
class Eye:
    """One camera in the adjustment.

    Attributes:
        camera: intrinsics.
        free: which of fx, fy, cx, cy, distortion are estimated.
        T_cam_ref: (4, 4) maps points of the reference camera's frame into this one's.
        offset: seconds its stamps are late against the reference camera's.
        sigma: pixels, standard deviation of its corners.
        placed: whether pose and offset are estimated; not those of the reference camera.
        timed: whether the offset is estimated.
    """

    camera: Camera
    free: tuple[int, ...]
    T_cam_ref: Array
    offset: float = 0.0
    sigma: float = 0.1
    placed: bool = True
    timed: bool = True

    @property
    def size(self) -> int:
        """Number of its parameters."""
        return len(self.free) + 6 * self.placed + (self.placed and self.timed)

    def stepped(self, step: Array) -> 'Eye':
        """Return the camera changed by a step of its parameters."""
        count = len(self.free)
        eye = replace(self, camera=changed(self.camera, self.free, step[:count]))
        if not self.placed:
            return eye
        turn = Rotation.from_rotvec(step[count : count + 3]).as_matrix()
        pose = rigid(turn @ eye.T_cam_ref[:3, :3], eye.T_cam_ref[:3, 3] + step[count + 3 :][:3])
        late = eye.offset + (float(step[count + 6]) if self.timed else 0.0)
        return replace(eye, T_cam_ref=pose, offset=late)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sighting:
    """A detection and the number of the moment it belongs to."""

    detection: Detection
    moment: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """State and data of the adjustment.

    Attributes:
        target: what is seen.
        eyes: cameras by name.
        moments: the target's motion around each moment.
        sightings: what was seen; those of one camera and moment are of different times.
    """

    target: Target
    eyes: dict[str, Eye]
    moments: list[Moment]
    sightings: list[Sighting]

    def solved(self) -> 'Bundle':
        """Return the adjusted state: Levenberg-Marquardt on robust normal equations.

        The normal equations are built image by image and are small (18 numbers a moment), which
        keeps each step exact; scipy's sparse least squares solves its steps only approximately.
        """
        state, damping = self, 1e-4
        cost, hessian, gradient = state._equations()
        for _ in range(_STEPS):
            damped = hessian + damping * np.diag(np.diag(hessian) + 1e-12)
            candidate = state._stepped(-cho_solve(cho_factor(damped), gradient))
            trial, next_hessian, next_gradient = candidate._equations()
            if not trial < cost:
                damping *= 10
                if damping > 1e8:
                    break
                continue
            settled = cost - trial < _SETTLED * cost
            state, cost, damping = candidate, trial, max(damping / 10, 1e-12)
            hessian, gradient = next_hessian, next_gradient
            if settled:
                break
        return state

    def with_sightings(self, sightings: Sequence[Sighting]) -> 'Bundle':
        """Return the state with other sightings; moments that nobody saw are left out."""
        used = sorted({sighting.moment for sighting in sightings})
        numbers = {moment: number for number, moment in enumerate(used)}
        return replace(
            self,
            moments=[self.moments[moment] for moment in used],
            sightings=[replace(s, moment=numbers[s.moment]) for s in sightings],
        )

    def residuals(self) -> list[Array]:
        """Return the reprojection errors (n, 2) in pixels of every sighting."""
        return [self._seen(sighting)[0] for sighting in self.sightings]

    def covariance(self) -> dict[str, Array]:
        """Return the covariance of every camera's parameters, all others estimated beside them.

        Errors of corners within a moment hang together (blur, window of the corner finder), so
        moments count as one observation each (cluster-robust covariance, Liang and Zeger 1986).
        """
        base = sum(eye.size for eye in self.eyes.values())
        _, hessian, _ = self._equations()
        inverse = np.asarray(np.linalg.inv(hessian)[:base, :base], np.float64)
        scores = np.zeros((len(self.moments), base))
        for number in range(len(self.moments)):
            own = [s for s in self.sightings if s.moment == number]
            scores[number] = replace(self, sightings=own)._equations()[2][:base]
        # The fewer moments there are for each parameter, the better they look explained.
        count = len(self.moments)
        few = count / max(count - base, count / 4)
        spread = few * inverse @ (scores.T @ scores) @ inverse
        return {
            name: spread[start : start + self.eyes[name].size, start : start + self.eyes[name].size]
            for name, start in self._places().items()
        }

    def board_pose(self, sighting: Sighting) -> Array:
        """Return ``T_cam_board`` (4, 4) at the time of a sighting."""
        eye, moment = self.eyes[sighting.detection.camera], self.moments[sighting.moment]
        return eye.T_cam_ref @ moment.at(self._time(sighting))

    def _time(self, sighting: Sighting) -> float:
        """Seconds from the moment's stamp to when the image was taken, on the reference's clock."""
        late = self.eyes[sighting.detection.camera].offset
        return (sighting.detection.stamp - self.moments[sighting.moment].stamp) * 1e-9 - late

    def _places(self) -> dict[str, int]:
        """Return where each camera's parameters begin."""
        places, start = {}, 0
        for name, eye in self.eyes.items():
            places[name] = start
            start += eye.size
        return places

    def _stepped(self, step: Array) -> 'Bundle':
        places = self._places()
        start = sum(eye.size for eye in self.eyes.values())
        eyes = {
            n: eye.stepped(step[places[n] : places[n] + eye.size]) for n, eye in self.eyes.items()
        }
        moments = [
            moment.stepped(step[start + SIZE * k : start + SIZE * (k + 1)])
            for k, moment in enumerate(self.moments)
        ]
        return replace(self, eyes=eyes, moments=moments)

    def _seen(self, sighting: Sighting) -> tuple[Array, Array, Array]:
        """Return errors (n, 2) in pixels, and their derivatives by the camera and the moment."""
        detection = sighting.detection
        eye, moment = self.eyes[detection.camera], self.moments[sighting.moment]
        points = self.target.points[detection.ids]
        world, by_moment, by_time = moment.moved(points, self._time(sighting))
        seen = apply(eye.T_cam_ref, world)
        pixels, by_point, by_lens = projected(eye.camera, seen)
        by_world = by_point @ eye.T_cam_ref[:3, :3]
        parts = [by_lens[..., list(eye.free)]]
        if eye.placed:
            # A turn on the left moves the point as it is before the translation.
            parts += [-by_point @ skew(seen - eye.T_cam_ref[:3, 3]), by_point]
            if eye.timed:
                parts.append(-by_world @ by_time[..., None])
        return pixels - detection.pixels, np.concatenate(parts, axis=-1), by_world @ by_moment

    def _equations(self) -> tuple[float, Array, Array]:
        """Return the robust cost, and the normal equations' matrix and gradient."""
        places = self._places()
        base = sum(eye.size for eye in self.eyes.values())
        size = base + SIZE * len(self.moments)
        hessian, gradient, cost = np.zeros((size, size)), np.zeros(size), 0.0
        for sighting in self.sightings:
            name = sighting.detection.camera
            eye = self.eyes[name]
            errors, by_eye, by_moment = self._seen(sighting)
            lengths = np.linalg.norm(errors, axis=1) / eye.sigma
            far = np.maximum(lengths, 1e-12) > _HUBER
            weights = np.where(far, _HUBER / np.maximum(lengths, 1e-12), 1.0) / eye.sigma**2
            cost += float(np.where(far, _HUBER * (2 * lengths - _HUBER), lengths**2).sum())
            jacobian = np.concatenate([by_eye, by_moment], axis=-1).reshape(-1, eye.size + SIZE)
            weighted = jacobian * np.repeat(weights, 2)[:, None]
            start = base + SIZE * sighting.moment
            where = np.r_[places[name] : places[name] + eye.size, start : start + SIZE]
            hessian[np.ix_(where, where)] += weighted.T @ jacobian
            gradient[where] += weighted.T @ errors.ravel()
        return self._with_motion(cost, hessian, gradient, base)

    def _with_motion(
        self, cost: float, hessian: Array, gradient: Array, base: int
    ) -> tuple[float, Array, Array]:
        """Add what is known of how a held target moves."""
        for number, moment in enumerate(self.moments):
            where = np.arange(base + SIZE * number + 6, base + SIZE * (number + 1))
            precision = 1 / SIGMA[6:] ** 2
            cost += float(np.sum(precision * moment.motion**2))
            hessian[where, where] += precision
            gradient[where] += precision * moment.motion
        return cost, hessian, gradient


def sigmas(bundle: Bundle) -> dict[str, float]:
    """Return a robust standard deviation in pixels of each camera's corners."""
    values: dict[str, list[Array]] = {}
    for sighting, errors in zip(bundle.sightings, bundle.residuals(), strict=True):
        values.setdefault(sighting.detection.camera, []).append(errors.ravel())
    return {
        name: max(1.4826 * float(np.median(np.abs(np.concatenate(parts)))), 1e-3)
        for name, parts in values.items()
    }


def rms(errors: Sequence[Array]) -> float:
    """Return the root mean square distance of errors (n, 2), pixels."""
    return float(np.sqrt(np.mean(np.sum(np.concatenate(list(errors)) ** 2, axis=1))))
