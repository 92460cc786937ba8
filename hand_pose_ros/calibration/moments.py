"""A moment: a target's pose, velocity and acceleration around one time, seen by several cameras."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.calibration.projection import right_jacobian, skew, turned
from hand_pose_ros.geometry.transforms import rigid

Array = NDArray[np.float64]

# Order of a moment's 18 parameters: turn, place and their first and second derivatives by time.
SIZE = 18
_TURN, _PLACE, _SPIN, _SPEED, _TWIST, _PUSH = (slice(3 * k, 3 * k + 3) for k in range(6))
# How fast a held target moves and changes its motion: weak knowledge for moments seen only once.
SIGMA = np.repeat([np.inf, np.inf, 3.0, 1.0, 30.0, 8.0], 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """How a target moves for a tenth of a second.

    Attributes:
        stamp: nanoseconds on the reference camera's clock.
        rotation: (3, 3) of the target in the reference frame at the stamp.
        place: (3,) metres.
        motion: (12,) angular velocity (target's frame, rad/s), velocity (m/s), and their changes.
    """

    stamp: int
    rotation: Array
    place: Array
    motion: Array

    def at(self, time: float) -> Array:
        """Return the pose (4, 4) some seconds after the stamp."""
        spin, speed, twist, push = self.motion.reshape(4, 3)
        turn = spin * time + twist * time**2 / 2
        return rigid(turned(self.rotation, turn), self.place + speed * time + push * time**2 / 2)

    def moved(self, points: Array, time: float) -> tuple[Array, Array, Array]:
        """Move points (N, 3) of the target to some seconds after the stamp.

        Returns:
            Points (N, 3), their derivative by the 18 parameters (N, 3, 18), and by time (N, 3).
        """
        spin, speed, twist, push = self.motion.reshape(4, 3)
        half = time**2 / 2
        turn = spin * time + twist * half
        since = Rotation.from_rotvec(turn).as_matrix()
        rotation = self.rotation @ since
        moved = points @ rotation.T + self.place + speed * time + push * half
        by_turn = -rotation @ skew(points) @ right_jacobian(turn)
        jacobian = np.zeros((len(points), 3, SIZE))
        eye = np.eye(3)
        jacobian[..., _TURN] = -self.rotation @ skew(points @ since.T)
        jacobian[..., _PLACE] = eye
        jacobian[..., _SPIN], jacobian[..., _SPEED] = by_turn * time, eye * time
        jacobian[..., _TWIST], jacobian[..., _PUSH] = by_turn * half, eye * half
        by_time = by_turn @ (spin + twist * time) + speed + push * time
        return moved, jacobian, by_time

    def stepped(self, step: Array) -> 'Moment':
        """Return the moment changed by a step (18,) of its parameters."""
        return replace(
            self, rotation=turned(self.rotation, step[_TURN]), place=self.place + step[_PLACE],
            motion=self.motion + step[6:],
        )  # fmt: skip
