"""Draws the plan of a clip from its number: the same for any batch, device and machine."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hand_pose_ros.hand_model.model_files import MIRROR_POINTS
from hand_pose_ros.simulation import batch_motion as motion
from hand_pose_ros.simulation.batch_arms import arm_rotations, forearm_directions
from hand_pose_ros.simulation.batch_config import SPLITS, SimulationConfig
from hand_pose_ros.simulation.batch_paths import wander
from hand_pose_ros.simulation.batch_plan import NO_GRASP, ClipPlan
from hand_pose_ros.simulation.batch_poses import draw_pose, models
from hand_pose_ros.simulation.batch_room import draw_room
from hand_pose_ros.simulation.motion import PALM, mirror_rotation
from hand_pose_ros.skeleton import SIDES

Array = NDArray[np.float64]

# What a generator of a clip is for; each purpose has its own, so that one's needs do not change
# what another draws.
_PURPOSES = ('person', 'head', 'place', 'turns', 'fingers', 'things', 'room', 'cameras', 'sensors')
_ELBOW_FOLLOWS = np.array([0.35, 0.45, 0.30])
_CLEARANCE = 0.09  # metres that a hand needs below its palm


def generator(config: SimulationConfig, number: int, purpose: str) -> np.random.Generator:
    """Return the generator of one purpose of a clip (see ``_PURPOSES``)."""
    key = [config.seed, SPLITS.index(config.split), number, _PURPOSES.index(purpose)]
    return np.random.default_rng(key)


def draw_plan(config: SimulationConfig, number: int, frames: int) -> ClipPlan:
    """Draw everything that happens in one clip.

    A clip with more frames begins with those of the shorter one.

    Args:
        config: what varies.
        number: the clip.
        frames: moments.
    """
    person = generator(config, number, 'person')
    betas = np.clip(person.normal(0, 0.8, 10), -2, 2)
    rate = float(np.exp(person.uniform(*np.log(config.rate_range))))
    present = np.ones(2, bool)
    if person.random() < config.absent:
        present[person.integers(2)] = False
    times = np.arange(frames) / rate
    mean, T_scene_rig = motion.head(generator(config, number, 'head'), times)
    place = generator(config, number, 'place')
    near = bool(place.random() < 0.3)
    where = motion.anchors(place, mean @ config.rig.reference_camera.T_rig_cam, near)
    paths = motion.palms(place, times, where)
    angles = _fingers(config, number, times)
    rotations, forearms = _arms(config, number, times, paths, where.points)
    poses = [models()[side].pose_from_angles(angles[:, k]) for k, side in enumerate(SIDES)]
    room = generator(config, number, 'room')
    margin = room.uniform(0.0, 0.15)
    lowest = where.points[present, 2].min() - 1.8 * where.amplitude - _CLEARANCE - margin
    return ClipPlan(
        rate=rate,
        betas=betas,
        present=present,
        rotations=rotations,
        forearms=forearms,
        hand_pose=np.stack(poses, 1),
        translation=_translations(betas, paths, rotations),
        grasp=np.full((frames, 2), NO_GRASP),
        T_scene_rig=T_scene_rig,
        solids=(),
        room=draw_room(room, lowest),
    )


def _fingers(config: SimulationConfig, number: int, times: Array) -> Array:
    """Return the finger angles (T, 2, 15, 3) of both hands."""
    paths = []
    for child in generator(config, number, 'fingers').spawn(2):
        slow = child.uniform(0.3, 1.2)
        gap = (0.5 * slow, 1.5 * slow)
        paths.append(
            wander(child, times, lambda c=child: draw_pose(c, config.split), gap)  # type: ignore[misc]
        )
    return np.stack(paths, 1)


def _arms(
    config: SimulationConfig, number: int, times: Array, paths: Array, places: Array
) -> tuple[Array, Array]:
    """Return rotations of hands and forearms (T, 2, 3, 3) for palm paths (T, 2, 3)."""
    hands, forearms = [], []
    for index, child in enumerate(generator(config, number, 'turns').spawn(2)):
        palm, place = paths[:, index], places[index]
        if SIDES[index] == 'left':
            palm, place = motion.mirrored(palm), motion.mirrored(place)
        elbow = place + motion.elbow_of(child, place) + _ELBOW_FOLLOWS * (palm - place)
        forearm, hand = arm_rotations(forearm_directions(palm, elbow), motion.turns(child, times))
        if SIDES[index] == 'left':
            forearm, hand = mirror_rotation(forearm, 1), mirror_rotation(hand, 1)
        hands.append(hand)
        forearms.append(forearm)
    return np.stack(hands, 1), np.stack(forearms, 1)


def _translations(betas: Array, paths: Array, rotations: Array) -> Array:
    """Return MANO's translation (T, 2, 3) that puts the palms on their paths."""
    result = np.empty_like(paths)
    for index, side in enumerate(SIDES):
        wrist = models()[side].rest_joints(betas[None])[0, 0]
        palm = PALM * (MIRROR_POINTS if side == 'left' else 1)
        result[:, index] = paths[:, index] - rotations[:, index] @ (palm - wrist) - wrist
    return result


def rotation_vectors(matrices: Array) -> Array:
    """Return axis-angle vectors (..., 3) of rotation matrices (..., 3, 3)."""
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec()
    return flat.reshape(*matrices.shape[:-1])
