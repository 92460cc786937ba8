"""Retargeting: joint angles of a robot hand that moves as a labelled hand does.

The work is done by dex-retargeting (an extra); the robots' URDF files are the user's.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.errors import DataError
from hand_pose_ros.exporting.episodes import Episode, RobotMotion
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]
Robot = Literal['leap', 'allegro', 'shadow']
ROBOTS: tuple[Robot, ...] = ('leap', 'allegro', 'shadow')

_EXTRA = 'pip install -r requirements/retargeting.txt'
_TOLERANCE = 2e-3  # rad beyond a limit that the solver allows itself; what is written is within


class Retargeter:
    """Both hands of one kind of robot."""

    def __init__(self, robot: Robot, urdf: Path) -> None:
        """Load the robot's hands.

        Args:
            robot: its name.
            urdf: folder that holds ``leap_hand``, ``allegro_hand`` or ``shadow_hand``, such as
                ``robots/hands`` of dexsuite's dex-urdf.

        Raises:
            DataError: if the package or the URDF is not there.
        """
        self.robot = robot
        self._hands = [_loaded(robot, side, urdf) for side in SIDES]

    def moved(self, episode: Episode) -> tuple[RobotMotion, RobotMotion]:
        """Return the motions of the left and the right robot hand."""
        left, right = (self._moved(episode, side) for side in range(2))
        return left, right

    def _moved(self, episode: Episode, side: int) -> RobotMotion:
        hand = self._hands[side]
        hand.reset()
        origins, tasks = np.asarray(hand.optimizer.target_link_human_indices).reshape(2, -1)
        limits = np.asarray(hand.optimizer.robot.joint_limits)
        points = operator_joints(episode, side)
        angles = np.tile(limits.mean(axis=1), (len(episode), 1))
        seen = np.flatnonzero(episode.valid[:, side])
        for moment in range(len(episode)):
            if episode.valid[moment, side]:
                vectors = points[moment, tasks] - points[moment, origins]
                found = np.asarray(hand.retarget(vectors))
                angles[moment] = np.clip(found, limits[:, 0], limits[:, 1])
                if np.abs(angles[moment] - found).max() > _TOLERANCE:
                    raise DataError(f'the {self.robot} hand was moved beyond its joint limits.')
            elif moment:
                angles[moment] = angles[moment - 1]
        if len(seen):
            angles[: seen[0]] = angles[seen[0]]
        return RobotMotion(names=tuple(hand.joint_names), angles=angles)


def operator_joints(episode: Episode, side: int) -> Array:
    """Return joints (T, 21, 3) about the wrist in the axes that dex-retargeting works in.

    x out of the palm, y across it (on a right hand to the thumb), z along the fingers.
    """
    about = episode.joints[:, side] - episode.wrist[:, side, None]
    x, y, z = np.moveaxis(about @ episode.rotation[:, side], -1, 0)
    return np.stack([-z, y, x], axis=-1)


def _loaded(robot: Robot, side: str, urdf: Path) -> Any:
    try:
        from dex_retargeting.constants import (
            HandType,
            RetargetingType,
            RobotName,
            get_default_config_path,
        )
        from dex_retargeting.retargeting_config import RetargetingConfig
    except ImportError:
        raise DataError(f'--retarget needs the package dex-retargeting: {_EXTRA}.') from None
    path = get_default_config_path(RobotName[robot], RetargetingType.vector, HandType[side])
    if not urdf.is_dir():
        raise DataError(
            f'--urdf {urdf} is no folder: get the robots of dexsuite/dex-urdf and name the folder '
            'that holds their hands.'
        )
    RetargetingConfig.set_default_urdf_dir(str(urdf))
    try:
        # The labels are smooth already: a filter would only make the robot late.
        return RetargetingConfig.load_from_file(path, {'low_pass_alpha': 1.0}).build()
    except (ValueError, OSError) as error:
        raise DataError(
            f'{urdf} has no usable {side} {robot} hand ({error}): get it from dexsuite/dex-urdf.'
        ) from None
