"""Motion: how both hands move before the rig, per scenario, as a function of time."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.errors import CameraError
from hand_pose_ros.hand_model.hand import HandModel, rotation_matrices
from hand_pose_ros.hand_model.model_files import MIRROR_POINTS
from hand_pose_ros.simulation.scenarios import SCENARIOS, ArmTracks
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

# The middle of the palm in the rest axes of the right model hand, the point that motion places.
PALM = np.array([0.04, 0.0, 0.0])
# Right elbow before the rig (x forward, y left, z up) while the palm rests at _NOMINAL, metres,
# and the share of the palm's displacement that it follows.
_ELBOW = np.array([0.12, -0.30, -0.40])
_NOMINAL = np.array([0.38, -0.12, -0.26])
_ELBOW_FOLLOWS = np.array([0.35, 0.45, 0.30])


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmState:
    """Both arms at one moment in the rig frame, left then right.

    Attributes:
        global_orient: (2, 3) axis-angle of the hands, rad.
        hand_pose: (2, 15, 3) axis-angle, rad.
        betas: (2, 10).
        translation: (2, 3) metres, MANO's (added after skinning).
        orientations: (2, 3, 3) the hands' rotation matrices.
        forearms: (2, 3, 3) the forearms' rotation matrices.
    """

    global_orient: Array
    hand_pose: Array
    betas: Array
    translation: Array
    orientations: Array
    forearms: Array


class Motion:
    """Two arms of one person following a scenario; a pure function of time after construction."""

    def __init__(self, scenario: str, seed: int, models: dict[Any, HandModel]) -> None:
        """Lay out the scenario.

        Args:
            scenario: ``static``, ``normal`` or ``demo``.
            seed: varies the hand's shape and, but for ``static``, what it does.
            models: hand model of each side.

        Raises:
            CameraError: the scenario does not exist.
        """
        if scenario not in SCENARIOS:
            raise CameraError(
                f'scenario {scenario!r} does not exist, use one of {", ".join(SCENARIOS)}'
            )
        generator = np.random.default_rng([seed, list(SCENARIOS).index(scenario)])
        self.betas = np.clip(np.random.default_rng(seed).normal(0, 0.7, 10), -1.5, 1.5)
        self._tracks: dict[Any, ArmTracks] = SCENARIOS[scenario](generator)
        self._models = models
        self._wrists = {
            side: model.rest_joints(self.betas[None])[0, 0] for side, model in models.items()
        }

    @property
    def period(self) -> float:
        """Seconds after which everything repeats."""
        return self._tracks['right'].period

    def at(self, time: float) -> ArmState:
        """Return both arms at a time in seconds."""
        rotations, forearms, poses, translations = [], [], [], []
        for side in SIDES:
            palm, turns, angles = self._tracks[side].at(time)
            forearm, hand = _arm_rotations(palm, turns)
            anchor = PALM
            if side == 'left':
                palm = palm * np.array([1, -1, 1])
                forearm, hand = mirror_rotation(forearm, 1), mirror_rotation(hand, 1)
                anchor = PALM * np.array([-1, 1, 1])
            wrist = self._wrists[side]
            translations.append(palm - hand @ (anchor - wrist) - wrist)
            rotations.append(hand)
            forearms.append(forearm)
            poses.append(self._models[side].pose_from_angles(angles[None])[0])
        orientations = np.array(rotations)
        return ArmState(
            global_orient=Rotation.from_matrix(orientations).as_rotvec(),
            hand_pose=np.array(poses),
            betas=np.tile(self.betas, (2, 1)),
            translation=np.array(translations),
            orientations=orientations,
            forearms=np.array(forearms),
        )


def _arm_rotations(palm: Array, turns: Array) -> tuple[Array, Array]:
    """Return rotations of forearm and hand of a right arm from the palm's place.

    Args:
        palm: (3,) metres in the rig frame.
        turns: (3,) supination (0 = palm down), wrist flexion, and deviation to the thumb side, rad.
    """
    elbow = _ELBOW + _ELBOW_FOLLOWS * (palm - _NOMINAL)
    forward = palm - elbow
    forward /= np.linalg.norm(forward)
    up = np.array([0.0, 0.0, 1.0])
    y = up - forward * (up @ forward)
    y /= np.linalg.norm(y)
    forearm = np.column_stack([-forward, y, np.cross(-forward, y)])
    supination, flexion, deviation = turns
    about = rotation_matrices(np.diag([-supination, deviation, flexion]))
    return forearm, forearm @ about[0] @ about[1] @ about[2]


def mirror_rotation(rotation: Array, axis: int) -> Array:
    """Mirror a right hand's rotation into the left hand's across the world plane ``axis`` = 0."""
    world = np.ones(3)
    world[axis] = -1
    return world[:, None] * rotation * MIRROR_POINTS
