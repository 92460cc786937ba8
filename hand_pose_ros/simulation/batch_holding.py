"""Holding: hands that hold something throughout a clip, or reach for it and take it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.simulation.batch_grasps import Grasp, draw_grasp
from hand_pose_ros.simulation.batch_paths import smooth_step, wander
from hand_pose_ros.simulation.batch_plan import NO_GRASP, Solid
from hand_pose_ros.simulation.batch_poses import within

Array = NDArray[np.float64]
Generator = np.random.Generator

_TAKES = 0.3  # share of the grasps that begin within the clip
_MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Hold:
    """A hand that holds something.

    Attributes:
        grasp: how.
        start: seconds at which the hand has closed; before, the thing is at rest.
        away: (3,) metres in the scene from the thing to where the hand reaches from.
    """

    grasp: Grasp
    start: float
    away: Array

    def distance(self, moments: Array) -> Array:
        """Return how far (T,) the hand still is: 1 at the start of the clip, 0 once it holds."""
        if self.start <= 0:
            return np.zeros(len(moments))
        return 1 - smooth_step(moments / self.start)

    def angles(self, generator: Generator, moments: Array) -> Array:
        """Return finger angles (T, 15, 3): a firm hand with a little play, opened before."""
        play = wander(generator, moments, lambda: generator.normal(0, 0.025, (15, 3)), (0.3, 0.9))
        far = self.distance(moments)[:, None, None]
        closed, before = self.grasp.closed, self.grasp.open
        return within(closed + far * (before - closed) + play)

    def labels(self, moments: Array) -> NDArray[np.int64]:
        """Return the grasp class (T,) at every moment."""
        return np.where(self.distance(moments) < 0.1, self.grasp.label, NO_GRASP)

    def solid(self, side: int, T_scene_hand: Array, T_start: Array, moments: Array) -> Solid:
        """Return what is held.

        Args:
            side: 0 left, 1 right.
            T_scene_hand: (T, 4, 4) the hand's rest axes in the scene.
            T_start: (4, 4) the same when it closes.
            moments: (T,) seconds.
        """
        place = self.grasp.T_hand_item
        place = _MIRROR @ place @ _MIRROR if side == 0 else place
        before = (moments < self.start)[:, None, None]
        poses = np.where(before, T_start, T_scene_hand) @ place
        return Solid(kind=self.grasp.kind, size=self.grasp.size, T_scene_item=poses)


def draw_holds(generator: Generator, betas: Array) -> list[Hold | None]:
    """Draw which hands (left, right) hold something, and how; at least one does."""
    which = generator.choice(3, p=(0.28, 0.47, 0.25))
    holds: list[Hold | None] = []
    for side in range(2):
        child = generator.spawn(1)[0]
        if which in (side, 2):
            takes = child.random() < _TAKES
            away = child.normal((-0.05, 0.0, 0.05), 0.04)
            holds.append(
                Hold(
                    grasp=draw_grasp(child, betas),
                    start=float(child.uniform(0.2, 0.8)) if takes else 0.0,
                    away=away,
                )
            )
        else:
            holds.append(None)
    return holds
